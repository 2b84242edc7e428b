"""Tables made of what stands elsewhere: the roles' argument specs, and the evidence of measurements."""

# GPL-3.0-or-later

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
NOT_TRIED = "*Not tried yet: `make mutations` writes docs/evidence/mutations.json.*"
NOT_MEASURED = "*Not measured yet: `make bench` writes docs/evidence/converge.json.*"


def roles() -> str:
    """The page of every role's variables."""
    specs = {path.parts[-3]: path for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))}
    lines = [
        "# Variables of the roles",
        "",
        "Written by `docs/generate.py` from each role's `meta/argument_specs.yml`.",
    ]
    for role, path in specs.items():
        main = yaml.safe_load(path.read_text())["argument_specs"]["main"]
        lines += [
            "",
            f"## {role}",
            "",
            f"{main['short_description']}.",
            "",
            "| Variable | Type | Default | What it is |",
        ]
        lines += ["|---|---|---|---|", *_options(main.get("options", {}))]
    return "\n".join(lines) + "\n"


def _options(options: dict[str, Any]) -> Iterator[str]:
    for name, option in options.items():
        default = option.get("default", "")
        shown = default if isinstance(default, str) else json.dumps(default)
        cells = [f"`{name}`", option["type"], f"`{shown}`" if shown else "", _text(option["description"])]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _text(description: str | list[str]) -> str:
    text = description if isinstance(description, str) else " ".join(description)
    return re.sub(r"[COVBI]\(([^)]*)\)", r"`\1`", " ".join(text.split()))


def readme() -> str:
    """The README with what is made of evidence, between its markers, brought up to date."""
    text = (ROOT / "README.md").read_text()
    for name, made in {"mutations": mutations(), "converge": costs()}.items():
        start = f"<!-- generated: {name} -->\n"
        before, rest = text.split(start, 1)
        text = f"{before}{start}{made}\n<!-- end -->{rest.split('<!-- end -->', 1)[1]}"
    return text


def mutations() -> str:
    """How often taking away what makes a promise true turned the promise's test red."""
    path = ROOT / "docs" / "evidence" / "mutations.json"
    if not path.exists():
        return NOT_TRIED
    found = json.loads(path.read_text())
    promises = dict.fromkeys(each["promise"] for each in found["mutations"])
    counts = [
        f"{promise} {sum(each['result'] == 'red' for each in own)}/{len(own)}"
        for promise in promises
        for own in [[each for each in found["mutations"] if each["promise"] == promise]]
    ]
    return (
        "Taking away the line that makes a promise true turned its test red "
        f"{found['red']} of {found['of']} times "
        f"(`{found['command']}`, last on {found['date']}; "
        f"[docs/evidence/mutations.json](docs/evidence/mutations.json)): {', '.join(counts)}."
    )


def costs() -> str:
    """What the committed evidence says of a converge, with its date and command."""
    path = ROOT / "docs" / "evidence" / "converge.json"
    if not path.exists():
        return NOT_MEASURED
    found = json.loads(path.read_text())
    rows = [
        f"| {name} | {entry['value']} | ≤ {entry['target']} | {'yes' if entry['met'] else '**no**'} |"
        for name, entry in found["ratios"].items()
    ]
    return "\n".join(
        [
            f"Ratios of one run on one machine, `{found['command']}` on {found['date']} "
            f"at {found['commit']}; "
            "images: stand-ins where no registry answered, listed with the raw seconds in "
            "[docs/evidence/converge.json](docs/evidence/converge.json).",
            "",
            "| Ratio | Measured | Target | Met |",
            "|---|---|---|---|",
            *rows,
        ]
    )
