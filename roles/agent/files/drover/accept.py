# GPL-3.0-or-later
"""What the controller told on standard input becomes `wanted`; each release is looked at first."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from drover import disk
from drover.layout import PROXY, Layout, link
from drover.release import Manifest, Wishes, load, names
from drover.run import DroverError


def merged(layout: Layout, wishes: Wishes, told: Mapping[str, Manifest], check: bool) -> Wishes:
    """The wishes with what was told, read from its releases; in a dry run they may not be there yet."""
    found = Wishes(dict(wishes.stacks), dict(wishes.problems))
    for name, manifest in told.items():
        found.stacks.pop(name, None)
        found.problems.pop(name, None)
        try:
            keep = manifest.absent or check
            found.stacks[name] = manifest if keep else load(layout, name, manifest.release)
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
    """Stacks that run here and that nobody told of. The proxy's own list says nothing about the others."""
    if not set(told) - {PROXY}:
        return ()
    return tuple(
        name
        for name in names(layout)
        if name not in told and name != PROXY and (layout.stack(name) / "current").is_symlink()
    )
