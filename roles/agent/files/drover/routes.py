# GPL-3.0-or-later
"""Route files: one for each stack, rendered by the proxy's module, validated, and only then put in place."""

from __future__ import annotations

from collections.abc import Sequence

from drover import disk
from drover.docker import Container
from drover.layout import Layout
from drover.proxy import traefik as proxy
from drover.release import Manifest, Route
from drover.run import DroverError

SUFFIX = proxy.SUFFIX


def text(wish: Manifest, found: Sequence[Container]) -> str:
    """The route file's text; empty without routes. Until all replicas run, it has their usual names.

    Those that run may have others: when the first of two is removed by hand, Compose makes a third.
    """
    servers: dict[str, list[str]] = {}
    for name in {route.service for route in wish.routes}:
        count = wish.services[name].replicas
        running = [
            each for each in found if each.service == name and each.running and each.name == each.usual_name
        ]
        usual = [f"{wish.stack}-{name}-{number}" for number in range(1, count + 1)]
        servers[name] = [each.name for each in running] if len(running) == count else usual
    return proxy.render(wish, servers)


def place(route: Route) -> tuple[str, str]:
    """Host and path, of which only one stack can have each pair."""
    return route.host, route.path.rstrip("/") or "/"


def places(layout: Layout, stack: str) -> frozenset[tuple[str, str]]:
    """What the proxy leads to the stack now, as pairs of host and path."""
    try:
        return proxy.places((layout.routes / f"{stack}{SUFFIX}").read_text("utf-8"))
    except (OSError, ValueError):
        return frozenset()


def write(layout: Layout, stack: str, content: str) -> None:
    """Put the file in place if it is one that the proxy accepts; without content remove it."""
    path = layout.routes / f"{stack}{SUFFIX}"
    if not content:
        disk.remove(path)
        return
    try:
        proxy.validate(content)
    except ValueError as error:
        raise DroverError(f"its route was not written, the proxy would stumble over it: {error}") from None
    layout.routes.mkdir(mode=0o755, parents=True, exist_ok=True)
    disk.replace(path, content)
