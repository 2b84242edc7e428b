# GPL-3.0-or-later
"""`drover marks`: the versions that were rolled back, for the next generation of this host too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from drover.fields import NAME, text
from drover.release import RELEASE
from drover.run import DroverError
from drover.state import Mark, State
from drover.table import aligned, stamp

HEAD = ("STACK", "VERSION", "RELEASE", "ROLLED BACK", "BY")


def told(found: Iterable[Mark]) -> list[dict[str, Any]]:
    """As JSON has them."""
    return [each._asdict() for each in found]


def table(found: Iterable[Mark]) -> str:
    """For a person."""
    rows = [(each.stack, each.version or "-", each.release, stamp(each.at), each.who) for each in found]
    return "\n".join(aligned([HEAD, *rows])) if rows else "no version was rolled back"


def read(raw: object) -> list[Mark]:
    """Marks as `told` writes them; a DroverError names what is none."""
    if not isinstance(raw, list):
        raise DroverError("marks: not a list")
    return [_one(each) for each in raw]


def _one(raw: object) -> Mark:
    if not isinstance(raw, Mapping):
        raise DroverError("marks: not a mapping")
    at = raw.get("at")
    if isinstance(at, bool) or not isinstance(at, int | float):
        raise DroverError(f"marks: at: {at!r:.40} is not a time")
    name, release = text(raw, "stack", NAME, "marks"), text(raw, "release", RELEASE, "marks")
    return Mark(name, release, str(raw.get("version") or ""), float(at), str(raw.get("who") or ""))


def take(state: State, found: Iterable[Mark]) -> int:
    """Add those of another generation; how many were not known."""
    known = {(each.stack, each.release) for each in state.marks()}
    new = [each for each in found if (each.stack, each.release) not in known]
    for each in new:
        state.mark(each)
    return len(new)


def given(content: str) -> list[Mark]:
    """From standard input."""
    try:
        return read(json.loads(content))
    except ValueError as error:
        raise DroverError(f"marks on standard input: {error}") from None
