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
    """A network or volume of the same name in two stacks, or a network's name that is the platform's."""
    for section in ("networks", "volumes"):
        seen = _taken(stacks) if section == "networks" else {}
        for stack in stacks:
            for key, name in _named(stack, section):
                if seen.get(name, stack.name) != stack.name:
                    yield stack.view.problem(
                        (section, key),
                        f"the name {quoted(name)} belongs to {seen[name]} too",
                        "remove name:, so that the stack has its own",
                    )
                seen.setdefault(name, stack.name)


def _taken(stacks: Sequence[Stack]) -> dict[str, str]:
    """Names of networks that Docker, the host and the stacks have without a file saying so → their owner."""
    return {
        **{f"{stack.name}_default": stack.name for stack in stacks},
        **{networks.public_name(stack): f"the proxy's way to {stack.name}" for stack in stacks},
        **dict.fromkeys(_DOCKERS, "the host"),
        networks.FIRST_NAME: "the proxy",
    }


def _named(stack: Stack, section: str) -> Iterator[tuple[str, str]]:
    """Key and Docker's name of everything the stack makes itself."""
    for key, value in stack.view.section(section).items():
        if not value.get("external") and not (section == "networks" and key == networks.PUBLIC):
            yield key, str(value.get("name") or f"{stack.name}_{key}")
