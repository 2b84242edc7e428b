# GPL-3.0-or-later
"""Routes that go from one stack to another within one run: who gains one goes first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from drover import proxy, routes, wishes
from drover.layout import Layout
from drover.plan import ROUTE, Plan

Moves = Mapping[str, Mapping[str, str]]  # stack that gives up a route → stack that gains it → which one


def moves(layout: Layout, plans: Mapping[str, Plan]) -> dict[str, dict[str, str]]:
    """By what the proxy leads to each stack now, and by what is wished."""
    changing = {name: each for name, each in plans.items() if each.has(ROUTE)}
    shared = proxy.KINDS[wishes.proxy(layout).kind].SHARED if changing else True

    def parts(places: Iterable[tuple[str, str]]) -> set[str]:
        return {f"{host}{path}" if shared else host for host, path in places}

    had = {name: parts(routes.places(layout, name)) for name in changing}
    wished = {name: parts(map(routes.place, each.wish.routes)) for name, each in changing.items()}
    found: dict[str, dict[str, str]] = {}
    for name in changing:
        for other in changing:
            gone = (had[name] - wished[name]) & (wished[other] - had[other])
            if gone:
                found.setdefault(name, {})[other] = min(gone)
    return found


def refusals(layout: Layout, moved: Moves) -> dict[str, str]:
    """Why no stack of a move may change, where the proxy leads a host name to one stack at a time."""
    kind = wishes.proxy(layout).kind if moved else ""
    if not moved or proxy.KINDS[kind].SHARED:
        return {}
    return {
        stack: f"{what} goes from {old} to {new}, and with {kind} it belongs to one stack: take two runs, "
        f"first of {old} alone (playbooks/deploy.yml -e stack={old}), then this one again"
        for old, gains in moved.items()
        for new, what in gains.items()
        for stack in (old, new)
    }


def rounds(plans: Iterable[Plan], moved: Moves) -> Iterator[list[Plan]]:
    """All at once, but who gives up a route after who gains it."""
    rest = {each.wish.stack: each for each in plans}
    while rest:
        first = [name for name in rest if not rest.keys() & moved.get(name, {}).keys()] or list(rest)
        yield [rest.pop(name) for name in first]
