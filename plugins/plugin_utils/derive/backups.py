# GPL-3.0-or-later
"""What of a stack is backed up: its databases, and every volume and folder of data beside theirs."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from .. import catalogue
from ..compose.normal import Plain
from ..stack import PROXY, Data, Stack, entries, inner
from . import files, point_in_time

LABEL = "drover.engine"
NO_DATABASE = "none"
ENGINES = (*catalogue.DATA_PATHS, NO_DATABASE)
"""What a service's label may say."""

VOLUME = "volume"  # the engine of what is no database


@dataclass(frozen=True)
class Kept:
    """What a mount keeps: a volume by its key, or a folder of data by its path; `target` in the container."""

    kind: str
    name: str
    target: str


def jobs(stack: Stack) -> list[Data]:
    """Every backup of the stack, sorted by name."""
    wanted = [job for job in candidates(stack) if stack.data["backup"].get(job["name"], True)]
    return sorted(wanted, key=lambda job: str(job["name"]))


def candidates(stack: Stack) -> Iterator[Data]:
    """Every backup that the stack could have, whether it is left out or not."""
    for name, kind in databases(stack).items():
        mount = data_mount(stack, name, kind)
        if mount:
            data = _data(stack, mount.kind, mount.name)
            job = {"name": name, "engine": kind, "service": name, "data": data, "target": mount.target}
            yield {**job, "point_in_time": True} if point_in_time.wanted(stack, name) else job
    for (kind, name), services in volumes(stack).items():
        yield {"name": name, "engine": VOLUME, "data": _data(stack, kind, name), "services": services}


def databases(stack: Stack) -> dict[str, str]:
    """Service → engine, of the databases that run."""
    found = {name: engine(stack, name) for name in stack.services}
    return {name: kind for name, kind in found.items() if kind}


def engine(stack: Stack, name: str) -> str | None:
    """The engine that the service's label says, else that of its image; a one-shot has none by its image."""
    service = stack.services[name]
    said = inner(service, "labels", LABEL)
    if said is not None:
        return str(said) if said in catalogue.DATA_PATHS else None
    return None if name in stack.oneshots else catalogue.engine(service.get("image"))


def data_path(stack: Stack, name: str, engine: str) -> str:
    """Where the database keeps its data; PostgreSQL may be told."""
    service = stack.services[name]
    told = inner(service, "environment", "PGDATA") if engine == "postgres" else None
    return _whole(told) if told else catalogue.data_path(service.get("image"), engine)


def data_mount(stack: Stack, name: str, engine: str) -> Kept | None:
    """The mount that holds the database's data: the one nearest to its path, above or below."""
    path = data_path(stack, name, engine)
    found = [mount for mount in kept(stack, name) if near(mount.target, path)]
    return min(found, key=lambda mount: _distance(mount.target, path), default=None)


def near(target: str, path: str) -> bool:
    """Whether one of the two is the other, or lies in it."""
    return _is_in(path, target) or _is_in(target, path)


def _distance(target: str, path: str) -> tuple[bool, bool, int]:
    """Smaller is nearer; PostgreSQL's images of many years keep their data in `data` below the path."""
    return target != f"{path}/data", not _is_in(path, target), -len(target)


def volumes(stack: Stack) -> dict[tuple[str, str], list[str]]:
    """Volumes and folders of data that no database has → the services that mount them."""
    if stack.name == PROXY:
        return {}
    held = {name: {(mount.kind, mount.name) for mount in kept(stack, name)} for name in stack.services}
    holding = [data_mount(stack, name, kind) for name, kind in databases(stack).items()]
    taken = {(mount.kind, mount.name) for mount in holding if mount}
    every = {each for found in held.values() for each in found}
    return {each: sorted(name for name in held if each in held[name]) for each in sorted(every - taken)}


def kept(stack: Stack, name: str) -> list[Kept]:
    """The mounts of the service that keep data."""
    found = [_kept(stack, mount) for mount in entries(stack.services[name], "volumes")]
    return [mount for mount in found if mount]


def _kept(stack: Stack, mount: Plain) -> Kept | None:
    """None for what travels, for the host's own paths, and for volumes that have no name or no disk."""
    target = _whole(mount.get("target"))
    folder = files.data_folder(mount)
    if folder:
        return None if files.source_of(stack, mount) else Kept("folder", folder, target)
    key = str(mount.get("source") or "")
    volume = stack.view.volumes.get(key) if mount.get("type") == "volume" else None
    if volume is None or inner(volume, "driver_opts", "type") == "tmpfs":
        return None
    return Kept("volume", key, target)


def _data(stack: Stack, kind: str, name: str) -> Data:
    """Where the data is on the host, as the agent has it."""
    return {kind: volume_name(stack, name) if kind == "volume" else name}


def volume_name(stack: Stack, key: str) -> str:
    """The volume as Docker names it."""
    return str(stack.view.volumes[key].get("name") or f"{stack.name}_{key}")


def _is_in(path: str, folder: str) -> bool:
    """Whether the path is the folder, or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _whole(path: object) -> str:
    """The path from the root, without `..` and doubled slashes."""
    return posixpath.normpath("/" + str(path or "").lstrip("/"))
