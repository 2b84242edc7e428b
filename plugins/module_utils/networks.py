# GPL-3.0-or-later
"""Docker networks: wanted against found, and the commands between."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .errors import HostError

Found = Mapping[str, Any]  # an entry of `docker network inspect`


@dataclass(frozen=True)
class Network:
    """A bridge. `options`: driver options that it must have; others do not matter."""

    name: str
    internal: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


def inspect_command(networks: Sequence[Network]) -> list[str]:
    return ["docker", "network", "inspect", *(network.name for network in networks)]


def parse_inspected(text: str) -> dict[str, Found]:
    """Name → what Docker knows; a name that is missing is missing here too."""
    return {str(found["Name"]): found for found in json.loads(text or "[]")}


def drift(wanted: Network, found: Found) -> list[str]:
    """What differs, in words."""
    options = found["Options"] or {}
    return [
        *([f"driver {found.get('Driver')}"] if found.get("Driver") != "bridge" else []),
        *([f"internal {found.get('Internal')}"] if bool(found.get("Internal")) != wanted.internal else []),
        *(f"{key} {options.get(key)}" for key, value in wanted.options.items() if options.get(key) != value),
    ]


def members(found: Found) -> list[str]:
    containers = found["Containers"] or {}
    return sorted(str(container["Name"]) for container in containers.values())


def create_command(wanted: Network) -> list[str]:
    options = [word for key, value in wanted.options.items() for word in ("--opt", f"{key}={value}")]
    internal = ["--internal"] if wanted.internal else []
    return ["docker", "network", "create", "--driver", "bridge", *internal, *options, wanted.name]


def remove_command(wanted: Network) -> list[str]:
    return ["docker", "network", "rm", wanted.name]


class Step(NamedTuple):
    """What is done, and the commands that do it."""

    text: str
    commands: list[list[str]]


def steps(wanted: Sequence[Network], found: Mapping[str, Found]) -> list[Step]:
    """A network that differs is made anew, but never under containers that run in it."""
    return [step for network in wanted for step in _steps(network, found.get(network.name))]


def _steps(wanted: Network, found: Found | None) -> list[Step]:
    if found is None:
        return [Step(f"create {wanted.name}", [create_command(wanted)])]
    differs = ", ".join(drift(wanted, found))
    if not differs:
        return []
    if members(found):
        inside = ", ".join(members(found))
        raise HostError(f"network {wanted.name} has {differs}; stop what is in it ({inside}) and run again")
    return [
        Step(f"create {wanted.name} anew (had {differs})", [remove_command(wanted), create_command(wanted)])
    ]
