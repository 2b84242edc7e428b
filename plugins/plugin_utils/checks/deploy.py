# GPL-3.0-or-later
"""How a new version takes over: the services that the data names are there, and can do what it says."""

from __future__ import annotations

from collections.abc import Iterator

from ..derive import replicas
from ..problem import Path, Problem
from ..stack import Stack
from ..words import quoted
from .services import unknown

NEEDS = frozenset({"deploy", "profiles"})


def problems(stack: Stack) -> Iterator[Problem]:
    """Commands run in services that start; what never runs twice has one replica."""
    deploy = stack.data["deploy"]
    for key in ("before", "after"):
        for index, entry in enumerate(deploy[key]):
            path: Path = ("deploy", key, index, "service")
            yield from unknown(stack, path, entry["service"])
            if entry["service"] in stack.services and not replicas.wanted(stack.services[entry["service"]]):
                found = f"{quoted(entry['service'])} runs 0 times, so that nothing would start the command"
                yield stack.problem(path, found, "write another service, or a replica in its file")
    for index, name in enumerate(deploy["singleton"]):
        path = ("deploy", "singleton", index)
        yield from unknown(stack, path, name)
        if name in stack.services and (count := replicas.wanted(stack.services[name])) > 1:
            yield stack.problem(path, f"{quoted(name)} runs {count} times", "write one replica in its file")
