# GPL-3.0-or-later
"""The options of a tree, and the tree that they describe."""

from __future__ import annotations

import base64
import binascii
import grp
import pwd
import re
from typing import Any

from .errors import HostError
from .tree import File, Folder, Link, Tree

_NOT_THERE_YET = -1


def arguments() -> dict[str, Any]:
    """An argument spec for Ansible."""
    path = {"type": "path", "required": True}
    owned = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}
    flags = {name: {"type": "bool", "default": False} for name in ("exact", "whole", "keep")}
    command = {"type": "list", "elements": "str", "default": []}
    file = {
        "content": {"type": "str"},
        "encoding": {"type": "str", "choices": ["text", "base64"], "default": "text"},
        "mode": _mode("0644"),
        "validate": command,
    }
    secret = {
        "content": {"type": "str", "required": True, "no_log": True},
        "owner": {"type": "str"},
        "mode": _mode("0600"),
    }
    return {
        "src": {"type": "list", "elements": "raw", "default": []},
        "folders": _list({"path": path, **owned, **flags, "mode": _mode("0755"), "validate": command}),
        # no_log for the whole list keeps it out of the journal. For a single content it would not: a list is
        # logged as its repr, in which a secret of two lines is no longer recognized.
        "files": {**_list({"path": path, **owned, **file}), "no_log": True},
        "secrets": {**_list({"path": path, **secret}), "no_log": True},
        "links": _list({"path": path, "to": {"type": "str", "required": True}}),
        "absent": {"type": "list", "elements": "path", "default": []},
    }


def _mode(usual: str) -> dict[str, Any]:
    return {"type": "str", "default": usual}


def _list(options: dict[str, Any]) -> dict[str, Any]:
    return {"type": "list", "elements": "dict", "default": [], "options": options}


def tree_of(params: dict[str, Any], lenient: bool) -> Tree:
    """The wanted tree. `lenient`: an owner may still be missing (check mode on a fresh host)."""
    if params["src"]:
        raise HostError("src: is expanded by the action of this name on the controller; pass files instead")
    return Tree(
        folders=tuple(
            Folder(
                item["path"],
                **_owners(item, lenient),
                exact=item["exact"],
                whole=item["whole"],
                keep=item["keep"],
                validate=_command(item),
            )
            for item in params["folders"]
        ),
        files=(
            *(
                File(
                    item["path"],
                    content=_content(item),
                    validate=_command(item),
                    **_owners(item, lenient),
                )
                for item in params["files"]
            ),
            *(
                File(
                    item["path"],
                    content=item["content"].encode("utf-8", "surrogateescape"),
                    secret=True,
                    **_owners(item, lenient),
                )
                for item in params["secrets"]
            ),
        ),
        links=tuple(Link(item["path"], item["to"]) for item in params["links"]),
        absent=tuple(params["absent"]),
    )


def _owners(item: dict[str, Any], lenient: bool) -> dict[str, Any]:
    if not re.fullmatch(r"0[0-7]{3,4}", item["mode"]):
        raise HostError(f'{item["path"]}: mode {item["mode"]}; write octal digits in quotes, such as "0644"')
    return {
        "uid": _number(item, "owner", lambda name: pwd.getpwnam(name).pw_uid, lenient),
        "gid": _number(item, "group", lambda name: grp.getgrnam(name).gr_gid, lenient),
        "mode": int(item["mode"], 8),
    }


def _number(item: dict[str, Any], key: str, find: Any, lenient: bool) -> int | None:
    name = item.get(key)
    if name is None:
        return None
    if name.isdigit():
        return int(name)
    try:
        return int(find(name))
    except KeyError:
        if lenient:
            return _NOT_THERE_YET
        raise HostError(f"{item['path']}: {key} {name} does not exist on this host") from None


def _content(item: dict[str, Any]) -> bytes:
    if item["content"] is None:
        raise HostError(f"{item['path']}: has no content, and no folder of src holds it")
    text = item["content"].encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode(text, validate=True) if item["encoding"] == "base64" else text
    except binascii.Error as error:
        raise HostError(f"{item['path']}: content is not base64: {error}") from None


def _command(item: dict[str, Any]) -> tuple[str, ...]:
    command = tuple(item["validate"])
    if command and not any("%s" in word for word in command):
        raise HostError(f"{item['path']}: validate names no %s; write it where the file's path belongs")
    return command
