# GPL-3.0-or-later
"""What every stack on this host should be, as the releases on its disk say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from drover import lifecycle, tls
from drover.fields import NAME
from drover.layout import PROXY, Layout, link
from drover.release import Manifest, Proxy, read
from drover.run import DroverError


class Wishes(NamedTuple):
    """What every stack should be, and what was wrong with those we could not read."""

    stacks: dict[str, Manifest]
    problems: dict[str, str]


def load(layout: Layout, stack: str, identity: str) -> Manifest:
    """The manifest in a release's folder, which must be of that stack and release."""
    path = layout.release(stack, identity) / "manifest.json"
    try:
        found = read(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise DroverError(f"{path}: cannot be read: {error}") from None
    if (found.stack, found.release) != (stack, identity):
        raise DroverError(f"{path}: describes {found.stack} {found.release}, not {stack} {identity}")
    return here(layout, found)


def here(layout: Layout, found: Manifest) -> Manifest:
    """The manifest with what this host's proxy is, and what of it runs by the part that this host has."""
    if found.stack == PROXY:
        return found
    known = found._replace(proxy=proxy(layout, found.stack))
    return lifecycle.reduced(known, lifecycle.of(layout), lifecycle.held(layout))


def proxy(layout: Layout, stack: str = "") -> Proxy:
    """The proxy that stands, else the one that is wanted; with what a stack's routes can name.

    One that cannot be read is an error: routes for another kind would take away those that are there.
    """
    folder = layout.stack(PROXY)
    identity = link(folder / "current") or link(folder / "wanted")
    known = _proxy_of(layout.release(PROXY, identity) / "manifest.json") if identity else None
    found = known or Proxy()
    return found._replace(users=_ages(layout, stack), certificates=tls.known(layout, found.tls))


def _proxy_of(path: Path) -> Proxy | None:
    try:
        return read(json.loads(path.read_text("utf-8"))).proxy
    except (OSError, ValueError) as error:
        raise DroverError(f"{path}: cannot be read: {error}") from None


def _ages(layout: Layout, stack: str) -> dict[str, int]:
    """Milliseconds of the last change, by name."""
    found = layout.users.glob(f"{stack}.*") if stack else ()
    return {path.name.removeprefix(f"{stack}."): path.stat().st_mtime_ns // 1_000_000 for path in found}


def wanted(layout: Layout, name: str) -> Manifest | None:
    """What the controller put there last. A stack whose `wanted` was taken away shall go; its data stays."""
    identity = link(layout.stack(name) / "wanted")
    if identity:
        return load(layout, name, identity)
    gone = Manifest(name, absent=True)
    return here(layout, gone) if link(layout.stack(name) / "current") else None


def standing(layout: Layout, name: str) -> Manifest | None:
    """What ran well last, whatever is wanted since; else what is wanted: the wish of a boot."""
    identity = link(layout.stack(name) / "current")
    return load(layout, name, identity) if identity else wanted(layout, name)


def every(layout: Layout, choose: Callable[[Layout, str], Manifest | None]) -> Wishes:
    """The wish for every stack on this host."""
    found = Wishes({}, {})
    for name in names(layout):
        try:
            manifest = choose(layout, name)
        except DroverError as failure:
            found.problems[name] = str(failure)
            continue
        if manifest:
            found.stacks[name] = manifest
    return found


def names(layout: Layout) -> list[str]:
    """Every stack that has a folder."""
    return sorted(path.name for path in _folders(layout.stacks))


def _folders(path: Path) -> Iterable[Path]:
    try:
        return [each for each in path.iterdir() if NAME.fullmatch(each.name) and each.is_dir()]
    except FileNotFoundError:
        return []


def given(text: str) -> dict[str, Manifest]:
    """Manifests from standard input: a JSON list."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise DroverError(f"manifests on standard input: {error}") from None
    if not isinstance(raw, list):
        raise DroverError("manifests on standard input: not a list")
    return {manifest.stack: manifest for manifest in map(read, raw)}
