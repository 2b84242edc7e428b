# GPL-3.0-or-later
"""Names that Docker shares between stacks: networks and volumes must have one owner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..derive import networks
from ..problem import Problem
from ..stack import Stack
from ..words import quoted

_DOCKERS = {"bridge", "host", "none", *networks.HOST_WIDE}


def clashes(stacks: Sequence[Stack]) -> Iterator[Problem]:
    """A network or volume of the same name in two stacks, or a network of Docker's or the host's name."""
    for section in ("networks", "volumes"):
        seen: dict[str, str] = dict.fromkeys(_DOCKERS, "the host") if section == "networks" else {}
        for stack in stacks:
            for key, name in _named(stack, section):
                if seen.get(name, stack.name) != stack.name:
                    yield stack.view.problem(
                        (section, key),
                        f"the name {quoted(name)} belongs to {seen[name]} too",
                        "remove name:, so that the stack has its own",
                    )
                seen.setdefault(name, stack.name)


def _named(stack: Stack, section: str) -> Iterator[tuple[str, str]]:
    """Key and Docker's name of everything the stack makes itself."""
    for key, value in stack.view.section(section).items():
        if not value.get("external") and not (section == "networks" and key == networks.public_key(stack)):
            yield key, str(value.get("name") or f"{stack.name}_{key}")
