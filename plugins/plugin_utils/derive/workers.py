# GPL-3.0-or-later
"""Which services act without being asked: they run on one generation of a host alone."""

from __future__ import annotations

from ..stack import PROXY, Stack, mapping
from . import backups


def is_worker(stack: Stack, name: str) -> bool:
    """What the data says, else whether nobody leads or waits for it, and it keeps no database."""
    said = stack.data["workers"].get(name)
    if said is not None:
        return bool(said)
    asked = stack.name == PROXY or stack.routed(name) or name in stack.oneshots
    return not (asked or backups.engine(stack, name) or waiting(stack, name))


def waiting(stack: Stack, name: str) -> list[str]:
    """The services that depend on it."""
    return [other for other in stack.services if name in dict(mapping(stack.services[other], "depends_on"))]
