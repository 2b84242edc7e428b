# GPL-3.0-or-later
"""Networks that the platform can close: the stack's own bridges, and the host's two by name."""

from __future__ import annotations

from collections.abc import Iterator

from ..derive.networks import HOST_WIDE, external_name
from ..problem import Problem
from ..stack import Stack, mapping
from ..words import listed, quoted

NEEDS: frozenset[str] = frozenset()


def problems(stack: Stack) -> Iterator[Problem]:
    """External networks other than the host's, drivers other than bridge, and names nobody defines."""
    for key, network in stack.view.networks.items():
        external = external_name(stack, key)
        driver = str(network.get("driver") or "bridge")
        if external and external not in HOST_WIDE:
            yield stack.view.problem(
                ("networks", key),
                f"the external network {quoted(external)} is not the host's",
                "remove external: so that the stack has its own; a route needs no shared network",
            )
        if driver not in ("bridge", "default"):
            yield stack.view.problem(
                ("networks", key, "driver"), f"found {quoted(driver)}", "remove it: bridges only"
            )
    yield from _undefined(stack)


def _undefined(stack: Stack) -> Iterator[Problem]:
    known = {"default", *stack.view.networks}
    for name, service in stack.view.services.items():
        for key, _ in mapping(service, "networks"):
            if key not in known:
                yield stack.view.problem(
                    ("services", name, "networks", key),
                    "nobody defines this network",
                    f"write it under networks:, or one of: {listed(sorted(known))}",
                )
