# GPL-3.0-or-later
"""What the controller told on standard input becomes `wanted`; each release is looked at first."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from drover import disk, routes
from drover.layout import PROXY, Layout, link
from drover.release import Manifest
from drover.run import DroverError
from drover.wishes import Wishes, here, load, names


def merged(layout: Layout, wishes: Wishes, told: Mapping[str, Manifest], check: bool) -> Wishes:
    """The wishes with what was told, read from its releases; in a dry run they may not be there yet."""
    found = Wishes(dict(wishes.stacks), dict(wishes.problems))
    for name, manifest in told.items():
        found.stacks.pop(name, None)
        found.problems.pop(name, None)
        try:
            keep = manifest.absent or check
            found.stacks[name] = here(layout, manifest) if keep else load(layout, name, manifest.release)
        except DroverError as failure:
            found.problems[name] = str(failure)
    return found


def want(layout: Layout, wish: Manifest) -> None:
    """Point `wanted` at the release; a stack that shall go has none, whatever happens to its removal."""
    path = layout.stack(wish.stack) / "wanted"
    if wish.absent:
        with suppress(IsADirectoryError):
            disk.remove(path)
    elif link(path) != wish.release:
        disk.point(path, f"releases/{wish.release}")


def unlisted(layout: Layout, told: Mapping[str, Manifest]) -> tuple[str, ...]:
    """Stacks that run here and are not among those that were told, which are all but the proxy."""
    return tuple(name for name in _others(layout, told) if (layout.stack(name) / "current").is_symlink())


def taken(layout: Layout, told: Mapping[str, Manifest]) -> dict[str, str]:
    """Stacks of which a route would take that of a stack that was not told: most likely it was renamed.

    Both would answer under one address, each for some of the requests.
    """
    owners = {place: name for name in _others(layout, told) for place in _places(layout, name)}
    return {
        name: f"{place[0]}{place[1]} leads to {owners[place]}, which runs here and is not in the inventory: "
        f"write {{name: {owners[place]}, state: absent}} to take it away"
        for name, manifest in told.items()
        for place in map(routes.place, manifest.routes)
        if place in owners
    }


def _others(layout: Layout, told: Mapping[str, Manifest]) -> list[str]:
    return [name for name in names(layout) if name not in told and name != PROXY]


def _places(layout: Layout, name: str) -> frozenset[tuple[str, str]]:
    """By its route file and by its release: a run that was killed leaves them apart."""
    found = routes.places(layout, name)
    with suppress(DroverError):
        current = link(layout.stack(name) / "current")
        return found | {routes.place(route) for route in load(layout, name, current).routes}
    return found
