# GPL-3.0-or-later
"""Every service tells whether it is well, or the stack says why it cannot."""

from __future__ import annotations

from collections.abc import Iterator

from ..derive import health
from ..problem import Problem
from ..stack import Stack

NEEDS = frozenset({"allow", "routes", "host", "port", "health", "profiles"})


def problems(stack: Stack) -> Iterator[Problem]:
    """Services without any sign of life."""
    for name in stack.services:
        if name in stack.oneshots or health.told(stack, name) or stack.allowed(name, "no_health_check"):
            continue
        off = health.off(stack.view.services[name])
        route = "health: /path beside host" if stack.single else "a route with health: /path"
        yield stack.view.problem(
            ("services", name),
            "its health check is switched off" if off else "nothing tells whether it is well",
            f"{'remove disable from' if off else 'write healthcheck: in'} the file, {route}, or "
            f'allow: {{{name}: {{no_health_check: "the reason"}}}}',
        )
