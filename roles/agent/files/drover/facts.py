# GPL-3.0-or-later
"""What the disk says of a stack: the release that stands, ages and owners of its secrets, its route."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from drover.layout import Layout, link
from drover.release import Manifest, Proxy, Service
from drover.run import DroverError
from drover.state import Seen
from drover.wishes import load


class Secrets(NamedTuple):
    """Secrets of one service. Times are of the newest change, 0 for none."""

    files: float = 0.0
    environment: float = 0.0
    owners: frozenset[int] = frozenset()


class Facts(NamedTuple):
    """What was found of one stack besides its containers."""

    current: str = ""
    wanted: str = ""  # before this run
    before: Manifest | None = None  # the manifest of `current`
    seen: Mapping[str, Seen] = {}  # what ran, of the services that are still wished so, when all was well
    recorded: bool = False  # whether the wished release was well once
    secrets: Mapping[str, Secrets] = {}
    route: str | None = None  # the route file's text
    remains: bool = False  # whether an absent stack left something on the disk
    volumes: bool = False  # whether an absent stack left volumes that shall go
    standby: bool = False  # whether a change of the proxy was interrupted while its standby was there


def gather(
    layout: Layout,
    wish: Manifest,
    seen: Mapping[str, Mapping[str, Seen]],
    volumes: bool,
    suffixes: Mapping[str, str],
) -> Facts:
    """Look at the disk. `seen` is by release, `suffixes` of route files are by the proxy's kind."""
    current = _current(layout, wish)
    before = _before(layout, wish, current)
    return Facts(
        current=current,
        wanted="" if wish.absent else link(layout.stack(wish.stack) / "wanted"),
        before=before,
        seen=_seen(wish, before, current, seen),
        recorded=wish.release in seen,
        secrets={} if wish.absent else secrets(layout.secrets(wish.stack), wish.services),
        route=_text(layout.routes / f"{wish.stack}{suffixes[(wish.proxy or Proxy()).kind]}"),
        remains=wish.absent and remains(layout, wish),
        volumes=volumes,
    )


def _current(layout: Layout, wish: Manifest) -> str:
    """What is no link is an error, but not for a stack that goes: everything there goes with it."""
    try:
        return link(layout.stack(wish.stack) / "current")
    except DroverError:
        if wish.absent:
            return ""
        raise


def _before(layout: Layout, wish: Manifest, current: str) -> Manifest | None:
    if current in ("", wish.release):
        return wish if current else None
    with suppress(DroverError):
        return load(layout, wish.stack, current)
    return None


def _seen(
    wish: Manifest, before: Manifest | None, current: str, seen: Mapping[str, Mapping[str, Seen]]
) -> dict[str, Seen]:
    """What was recorded of the release that stands, where the service is the same, else of this one."""
    same = {
        name
        for name, service in wish.services.items()
        if before and name in before.services and before.services[name].digest == service.digest
    }
    of_current = {name: each for name, each in seen.get(current, {}).items() if name in same}
    return {**seen.get(wish.release, {}), **of_current}


def secrets(folder: Path, services: Mapping[str, Service]) -> dict[str, Secrets]:
    """Ages and owners of the secrets that the services list; what else lies there counts for nothing."""
    return {name: _secrets(folder, name, service) for name, service in services.items()}


def _secrets(folder: Path, name: str, service: Service) -> Secrets:
    files = [stat for file in service.secrets if (stat := _stat(folder / name / file))]
    environment = _stat(folder / f"{name}.env") if service.secret_env else None
    above = _stat(folder / name) if files else None
    return Secrets(
        max((stat.st_mtime for stat in files), default=0.0),
        environment.st_mtime if environment else 0.0,
        frozenset(stat.st_uid for stat in (*files, above) if stat),
    )


def _stat(path: Path) -> os.stat_result | None:
    with suppress(FileNotFoundError, NotADirectoryError):
        return path.lstat()
    return None


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def remains(layout: Layout, wish: Manifest) -> bool:
    """Whether something is left of a stack that is gone, other than data that shall stay."""
    names = {entry.name for entry in _entries(layout.stack(wish.stack))}
    return bool(names) if wish.delete else bool(names - {"data"})


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None


def touch(known: Facts, folder: Path, touched: Collection[str], now: float) -> Facts:
    """As it will be when these secret files have been written; for dry runs."""
    changed = dict(known.secrets)
    for path in map(Path, touched):
        if path.parent == folder and path.suffix == ".env":
            changed[path.stem] = changed.get(path.stem, Secrets())._replace(environment=now)
        elif path.parent.parent == folder:
            changed[path.parent.name] = changed.get(path.parent.name, Secrets())._replace(files=now)
    return known._replace(secrets=changed) if touched else known
