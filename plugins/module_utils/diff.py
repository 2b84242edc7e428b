# GPL-3.0-or-later
"""What a change of a tree looks like to a person: a diff without anything that only its owner may read."""

from __future__ import annotations

import grp
import hashlib
import pwd
from collections.abc import Callable, Sequence

from .tree import Change, File, Folder, Link

_LONGEST = 100_000
_SEEN_BY_OTHERS = 0o044


def differences(changes: Sequence[Change]) -> list[dict[str, str]]:
    """Entries as Ansible prints them: before_header, after_header, before, after."""
    return [
        {"before_header": change.path, "after_header": change.path, "before": before, "after": after}
        for change in changes
        for before, after in _pairs(change)
    ]


def _pairs(change: Change) -> list[tuple[str, str]]:
    if change.action == "write" and isinstance(change.item, File):
        return _written(change, change.item)
    if change.action == "link" and isinstance(change.item, Link):
        return [(_what(change), f"link to {change.item.to}\n")]
    if change.action in ("make", "give") and isinstance(change.item, Folder | File):
        return [(_attributes_found(change), _attributes(change.item))]
    return [(_what(change), "absent\n")]


def _written(change: Change, file: File) -> list[tuple[str, str]]:
    found = change.found if change.found is not None and change.found.kind == "file" else None
    hidden_before = file.secret or (found is not None and not found.mode & _SEEN_BY_OTHERS)
    hidden_after = file.secret or not file.mode & _SEEN_BY_OTHERS
    if found is None:
        before = _what(change) if change.found else ""
    else:
        before = "content not shown\n" if hidden_before else _shown(change.before or b"")
    after = "changed, not shown\n" if hidden_after else _shown(file.content)
    attributes = (_attributes_found(change), _attributes(file))
    return [(before, after), *([attributes] if found is not None and attributes[0] != attributes[1] else [])]


def _shown(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or len(text) > _LONGEST:
        return f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()[:16]}\n"
    return text


def _what(change: Change) -> str:
    if change.found is None:
        return "absent\n"
    return f"link to {change.found.to}\n" if change.found.kind == "link" else f"{change.found.kind}\n"


def _attributes_found(change: Change) -> str:
    found = change.found
    if found is None:
        return "absent\n"
    item = change.item
    uid = found.uid if isinstance(item, Folder | File) and item.uid is not None else None
    gid = found.gid if isinstance(item, Folder | File) and item.gid is not None else None
    return _line(found.kind, uid, gid, found.mode)


def _attributes(item: Folder | File) -> str:
    return _line("folder" if isinstance(item, Folder) else "file", item.uid, item.gid, item.mode)


def _line(kind: str, uid: int | None, gid: int | None, mode: int) -> str:
    owner = "" if uid is None else f" owner={_name(uid, lambda number: pwd.getpwuid(number).pw_name)}"
    group = "" if gid is None else f" group={_name(gid, lambda number: grp.getgrgid(number).gr_name)}"
    return f"{kind}{owner}{group} mode={mode:04o}\n"


def _name(number: int, find: Callable[[int], str]) -> str:
    try:
        return find(number)
    except (KeyError, OverflowError):
        return str(number) if number >= 0 else "(not there yet)"
