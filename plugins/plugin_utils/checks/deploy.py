# GPL-3.0-or-later
"""How a new version, or another generation, takes over: what the data names is there, and can do that."""

from __future__ import annotations

from collections.abc import Iterator

from ..derive import backups, replicas, workers
from ..problem import Path, Problem
from ..stack import Stack
from ..words import listed, quoted
from .services import unknown

NEEDS = frozenset({"deploy", "profiles", "workers", "routes", "publish", "backup", "frozen"})


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
    yield from _workers(stack)
    if stack.data["frozen"] == "read" and not (backups.jobs(stack) or workers.is_private(stack)):
        found = "the stack keeps no data, so that it serves as ever while its host is frozen"
        yield stack.problem(("frozen",), found, "leave it out")


def _workers(stack: Stack) -> Iterator[Problem]:
    """A standby does not run them, and has to be well without."""
    for name, wanted in stack.data["workers"].items():
        path: Path = ("workers", name)
        yield from unknown(stack, path, name)
        if not wanted or name not in stack.services:
            continue
        if name in stack.oneshots:
            yield stack.problem(path, f"{quoted(name)} runs once", "leave it out")
        elif name in workers.always(stack):
            found = f"{quoted(name)} is a database, or one depends on it"
            yield stack.problem(path, found, "leave it out: it always runs")
        elif stack.routed(name):
            yield stack.problem(path, f"a route or a port leads to {quoted(name)}", "leave it out")
        elif others := workers.waiting(stack, name):
            found = f"{listed(others)} would wait for {quoted(name)} (depends_on)"
            yield stack.problem(path, found, "leave it out, or take away what waits")
