# GPL-3.0-or-later
"""Routes lead to services that are there, and no two to different ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..derive import replicas
from ..problem import Path, Problem
from ..stack import Data, Stack
from ..words import listed, quoted
from .services import runs_once, unknown

NEEDS = frozenset({"routes", "host", "port", "health", "profiles"})


def problems(stack: Stack) -> Iterator[Problem]:
    """A route's service exists, runs, and has a network and a container; the short form is whole."""
    yield from _short(stack)
    yield from _without_container(stack)
    for index, route in enumerate(stack.data["routes"]):
        yield from unknown(stack, ("routes", index, "service"), route["service"])
        yield from runs_once(stack, ("routes", index, "service"), route["service"])
        service = stack.view.services.get(route["service"], {})
        if service.get("network_mode"):
            yield stack.problem(
                ("routes", index, "service"),
                f"{quoted(route['service'])} has a network_mode of its own",
                "remove network_mode from the file, or the route",
            )


def _short(stack: Stack) -> Iterator[Problem]:
    data = stack.data
    several = listed(stack.view.services)
    if data["host"] and stack.single is None:
        yield stack.problem(("host",), f"the stack has several services ({several})", "write routes: instead")
    if data["host"] and not data["port"]:
        yield stack.problem(("host",), "the port is missing", "write port: and the port inside the container")
    if data["host"] and stack.single:
        yield from runs_once(stack, ("host",), stack.single)
    for key in ("port", "health"):
        if data[key] and not data["host"]:
            yield stack.problem((key,), "the host is missing", "write host: and the host name it answers to")


def _without_container(stack: Stack) -> Iterator[Problem]:
    for path, route in _placed(stack):
        service = stack.view.services.get(route["service"], {})
        if replicas.wanted(service) == 0:
            key, _ = replicas.written(service)
            yield Problem(
                (*path[:-1], "service") if len(path) > len(stack.path) + 1 else path,
                f"{quoted(route['service'])} has {key}: 0 in {stack.view.label}, so nothing answers",
                f"write 1 or more for {key}, or remove the route",
            )


def clashes(stacks: Sequence[Stack]) -> Iterator[Problem]:
    """Two routes of the same host and path, in one stack or in two."""
    seen: dict[tuple[str, str], str] = {}
    for stack in stacks:
        for path, route in _placed(stack):
            key = route["host"].lower(), route["path"]
            if key in seen:
                yield Problem(
                    path,
                    f"{quoted(key[0] + key[1])} is routed at {seen[key]} too",
                    "write another host or path, or remove one of the routes",
                )
            seen.setdefault(key, stack.shown(path))


def _placed(stack: Stack) -> Iterator[tuple[Path, Data]]:
    """Each route with the path it was written at."""
    short = len(stack.routes) - len(stack.data["routes"])
    for index, route in enumerate(stack.routes):
        path: Path = ("host",) if index < short else ("routes", index - short, "host")
        yield (*stack.path, *path), route
