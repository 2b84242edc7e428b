#!/usr/bin/env python3
"""Writes what repeats the schema, the roles' argument specs or the evidence; `--check` only compares.

The schema is plugins/plugin_utils/schema/. From it come the reference page, the argument specs of the roles
`stacks`, `proxy`, `backup` and `aws_host`, and the commented sample inventory. What docs/aws.md says of the
bucket is plugin_utils/bucket.py's.
"""

# GPL-3.0-or-later

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import tables
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".collections"))

import sample  # noqa: E402
from ansible_collections.drover.platform.plugins.plugin_utils import bucket as rules  # noqa: E402
from ansible_collections.drover.platform.plugins.plugin_utils.key import Key  # noqa: E402
from ansible_collections.drover.platform.plugins.plugin_utils.schema import (  # noqa: E402
    AWS,
    CHANGE,
    INSTANCE,
    LIFECYCLE,
    ONLY,
    PLATFORM,
    PROGRAM,
    STACKS,
)

NOTE = "# Written by docs/generate.py from plugins/plugin_utils/schema/: change that, then `make docs`.\n"
TYPES = {"text": "str", "number": "int", "boolean": "bool", "list": "list", "map": "dict", "dict": "dict"}
WORDS = {
    "text": "text",
    "number": "number",
    "boolean": "true or false",
    "list": "list",
    "map": "mapping by name",
}


# Roles whose variables the schema describes: what each is about, and its variables below the role's own name.
ROLES: dict[str, tuple[str, dict[str, Key]]] = {
    "stacks": (
        "Stacks on the host, as the inventory describes them",
        {
            "stacks": STACKS,
            "platform": PLATFORM,
            "only": ONLY,
            **CHANGE,
        },
    ),
    "backup": (
        "Encrypted backups of what the stacks keep, verified and thinned out by timers",
        {"platform": PLATFORM, "stacks": STACKS, **PROGRAM},
    ),
    "proxy": ("The proxy, as a stack of its own", {"stacks": STACKS, "platform": PLATFORM, **CHANGE}),
    "aws_host": (
        "One instance of a client, launched if it is not there",
        {
            **{name: AWS.keys[name] for name in ("account", "region", "connection", "foundation", "wait")},
            **{name: PLATFORM.keys[name] for name in ("client", "environment")},
            "host": INSTANCE,
            "lifecycle": LIFECYCLE,
        },
    ),
}


def files() -> dict[str, str]:
    """Every generated file by its path in the repository."""
    inventory = "inventories/example/group_vars/all"
    specs = {f"roles/{role}/meta/argument_specs.yml": role_spec(role) for role in ROLES}
    return {
        "docs/reference.md": reference(),
        **specs,
        "docs/roles.md": tables.roles(specs),
        "README.md": tables.readme(),
        "docs/aws.md": tables.filled((ROOT / "docs/aws.md").read_text(), "bucket", bucket()),
        f"{inventory}/stacks.yml": sample.written("drover_stacks", STACKS, NOTE),
        f"{inventory}/platform.yml": sample.written("drover_platform", PLATFORM, NOTE),
        f"{inventory}/aws.yml": sample.written("drover_aws", AWS, NOTE),
    }


# --- the reference page


def reference() -> str:
    """A table for each variable, one row a key."""
    return "\n".join(
        [
            "# Every key of the data model",
            "",
            "Written by `docs/generate.py` from `plugins/plugin_utils/schema/`. A key marked *later* has",
            'its final shape but no behaviour yet: unless empty it is refused with "not supported yet".',
            "",
            "## `drover_stacks`: a list, each item",
            "",
            *table(STACKS.items),
            "",
            "## `drover_platform`",
            "",
            *table(PLATFORM),
            "",
            "## `drover_aws`",
            "",
            *table(AWS),
            "",
        ]
    )


def table(key: Key | None) -> Iterator[str]:
    yield "| Key | Type | Default | Meaning |"
    yield "|---|---|---|---|"
    for path, inner in rows(key, ""):
        default = (
            "**required**" if inner.required else f"`{json.dumps(inner.default)}`" if inner.default else ""
        )
        later = "" if inner.supported else " *(later)*"
        yield f"| `{path}` | {type_of(inner)} | {default} | {inner.about}{later} |"


def rows(key: Key | None, prefix: str) -> Iterator[tuple[str, Key]]:
    """Every key below, with its path; NAME stands for a name of the user's."""
    for name, inner in key.keys.items() if key else ():
        path = f"{prefix}{name}"
        yield path, inner
        yield from rows(inner, f"{path}.")
        items, step = inner.items, "[]" if inner.kind == "list" else ".NAME"
        if items and (items.keys or items.options):
            yield from below(items, path + step)


def below(items: Key, path: str) -> Iterator[tuple[str, Key]]:
    """The keys of a list's or map's items, whichever of several shapes has any."""
    for shape in (items, *items.options):
        yield from rows(shape, f"{path}.")


def type_of(key: Key) -> str:
    if key.choices:
        return " or ".join(f"`{word}`" for word in key.choices)
    if key.kind == "either":
        return " or ".join(dict.fromkeys(type_of(option) for option in key.options))
    return WORDS.get(key.kind, "mapping") + (f" of {type_of(key.items)}" if key.items else "")


# --- the bucket of the backups


def bucket() -> str:
    """Policies and settings, with names for an example, as AWS's own programs take them."""
    administrator = "arn:aws:iam::123456789012:role/terraform"
    settings = {
        "put-bucket-versioning --versioning-configuration": rules.VERSIONING,
        "put-bucket-lifecycle-configuration --lifecycle-configuration": rules.LIFECYCLE,
        "put-public-access-block --public-access-block-configuration": rules.PUBLIC_ACCESS,
        "put-bucket-encryption --server-side-encryption-configuration": rules.ENCRYPTION,
    }
    calls = [
        f"aws s3api {words} '{json.dumps(value)}' --bucket acme-backup" for words, value in settings.items()
    ]
    return "\n".join(
        [
            *("In the policy of the hosts' role:", ""),
            *_json(rules.role_policy("acme-backup", "acme", "production")),
            *("", f"The bucket's own policy; `{administrator}` stands for whoever administers it:", ""),
            *_json(rules.bucket_policy("acme-backup", administrator)),
            *("", "Its settings:", "", "```sh", *calls, "```"),
        ]
    )


def _json(policy: dict[str, Any]) -> list[str]:
    """A statement a line."""
    lines = [f"  {json.dumps(each)}" for each in policy["Statement"]]
    head = f'{{"Version": "{policy["Version"]}", "Statement": ['
    return ["```json", head, ",\n".join(lines), "]}", "```"]


# --- argument specs


def role_spec(role: str) -> str:
    """The argument specs of a role: each variable with the role's own default, required without one."""
    about, keys = ROLES[role]
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text())
    options = {}
    for name, key in keys.items():
        default = {"default": defaults[f"{role}_{name}"]} if f"{role}_{name}" in defaults else {}
        options[f"{role}_{name}"] = spec(replace(key, required=not default)) | default
    spec_of_main = {"short_description": about, "options": options}
    return "---\n" + NOTE + dump({"argument_specs": {"main": spec_of_main}})


def spec(key: Key) -> dict[str, Any]:
    """Ansible's form of the key. Either of two shapes, and a map's names, it cannot say."""
    found: dict[str, Any] = {
        "description": key.about,
        "type": "raw" if key.kind == "either" else TYPES[key.kind],
    }
    found |= {"required": True} if key.required else {}
    found |= {"choices": list(key.choices)} if key.choices else {}
    found |= {"options": {name: spec(inner) for name, inner in key.keys.items()}} if key.keys else {}
    if key.kind == "list" and key.items:
        inner = spec(key.items)
        found |= {"elements": inner["type"], **({"options": inner["options"]} if "options" in inner else {})}
    return found


class Indented(yaml.SafeDumper):
    """Lists stand further in than the key they belong to."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, False)


def dump(data: object) -> str:
    return yaml.dump(data, Dumper=Indented, sort_keys=False, width=110, allow_unicode=True)


def main() -> int:
    """Writes the files, or with --check names those that differ."""
    stale = {
        path: text
        for path, text in files().items()
        if not (ROOT / path).is_file() or (ROOT / path).read_text() != text
    }
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path} differs from what it is made of: run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
