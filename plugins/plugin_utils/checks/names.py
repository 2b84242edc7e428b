# GPL-3.0-or-later
"""Names that Docker shares between stacks: networks, volumes, and what the proxy asks for, have one owner."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..derive import networks
from ..problem import Path, Problem
from ..stack import PROXY, Stack, mapping, strings
from ..words import quoted

_DOCKERS = {"bridge", "host", "none", *networks.HOST_WIDE}
_OURS = "drover-"


def clashes(stacks: Sequence[Stack]) -> Iterator[Problem]:
    """A network or volume of the same name in two stacks, or a name that the platform or proxy goes by."""
    yield from _containers(stacks)
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


def _containers(stacks: Sequence[Stack]) -> Iterator[Problem]:
    """A service that answers to the name of another stack's container: the proxy, which is on the public
    network of both, might send it the other's requests.
    """
    owners = {f"{stack.name}-{name}".lower(): stack.name for stack in stacks for name in stack.view.services}
    for stack in stacks:
        for path, name in _answering(stack):
            numbered = re.fullmatch(r"(.+)-[0-9]+", name.lower())
            owner = owners.get(numbered[1], stack.name) if numbered else stack.name
            if owner != stack.name:
                found = (
                    f"{quoted(name)} is what a container of {owner} is called, and the proxy may mix them up"
                )
                yield stack.view.problem(path, found, "write another name")
            elif name.lower().startswith(_OURS) and stack.name != PROXY:
                found = f"names that begin with {quoted(_OURS)} are the platform's"
                yield stack.view.problem(path, found, "write another name")


def _answering(stack: Stack) -> Iterator[tuple[Path, str]]:
    """Each name by which other containers find a service, and where the file has it."""
    for service, given in stack.view.services.items():
        path: Path = ("services", service)
        yield path, service
        if given.get("hostname"):
            yield (*path, "hostname"), str(given["hostname"])
        for key, network in mapping(given, "networks"):
            for index, alias in enumerate(strings(network.get("aliases"))):
                yield (*path, "networks", key, "aliases", index), alias
