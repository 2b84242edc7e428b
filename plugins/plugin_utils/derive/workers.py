# GPL-3.0-or-later
"""Which services run on each generation of a host: databases on all, those that act by themselves on one."""

from __future__ import annotations

from ..stack import PROXY, Data, Stack, mapping
from . import backups, networks


def is_worker(stack: Stack, name: str) -> bool:
    """What the data says, else whether nobody leads or waits for it, and it keeps no database."""
    said = stack.data["workers"].get(name)
    if said is not None:
        return bool(said)
    asked = stack.name == PROXY or stack.routed(name) or name in stack.oneshots
    return not (asked or name in always(stack) or waiting(stack, name))


def always(stack: Stack) -> frozenset[str]:
    """The databases, and what they depend on."""
    found: set[str] = set()
    todo = [name for name in stack.services if backups.engine(stack, name)]
    while todo:
        name = todo.pop()
        if name in stack.services and name not in found:
            found.add(name)
            todo += dict(mapping(stack.services[name], "depends_on"))
    return frozenset(found)


def parts(stack: Stack) -> Data:
    """What of the stack's manifest says where it runs: only what is not usual."""
    return {
        **({"private": True} if is_private(stack) else {}),
        **({"trial": False} if not stack.data["trial"] else {}),
        **({"frozen": "read"} if stack.data["frozen"] == "read" else {}),
    }


def is_private(stack: Stack) -> bool:
    """Whether it reaches other stacks, and so their data, by the host's private network."""
    return any(networks.external_name(stack, name) == networks.PRIVATE for name in stack.view.networks)


def waiting(stack: Stack, name: str) -> list[str]:
    """The services that depend on it."""
    return [other for other in stack.services if name in dict(mapping(stack.services[other], "depends_on"))]
