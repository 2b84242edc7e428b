# GPL-3.0-or-later
"""Folders held by descriptor: what every write, rename and removal of the tree module goes through.

A path is walked one component at a time, so that a symbolic link that somebody puts in the way between a look
and a write cannot lead root elsewhere. From the first listed folder on no link is followed at all; above it
(`/var/run`, a `/srv` that points to a volume) only root's own, in folders that only root can write.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import HostError

LEFT_OVER = ".drover-new"
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 20


@dataclass(frozen=True)
class Found:
    """One name in a folder. `kind` is file, folder, link or other."""

    kind: str
    uid: int
    gid: int
    mode: int
    size: int
    to: str = ""


def temporary(name: str) -> str:
    """The name beside `name` under which it is prepared; always the same, so that a next run finds it."""
    return f".{name}{LEFT_OVER}"


def is_left_over(name: str) -> bool:
    return name.startswith(".") and name.endswith(LEFT_OVER)


def parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def parent_and_name(path: str) -> tuple[str, str]:
    parent, _, name = path.rpartition("/")
    return parent or "/", name


@contextmanager
def opened(path: str, listed: Collection[str] = ()) -> Iterator[int]:
    """The folder at `path` as a descriptor. `listed`: folders from which on no link may be met."""
    descriptor = _walk(path, listed)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _walk(path: str, listed: Collection[str]) -> int:
    components = parts(path)
    free = _components_above(components, listed)
    descriptor = _reach("/", components[:free])
    for index in range(free, len(components)):
        descriptor = _step(descriptor, components[index], "/" + "/".join(components[: index + 1]))
    return descriptor


def _components_above(components: list[str], listed: Collection[str]) -> int:
    for count in range(1, len(components) + 1):
        if "/" + "/".join(components[:count]) in listed:
            return count - 1
    return len(components)


def _reach(start: str, components: list[str]) -> int:
    """Walk where links are allowed, each one judged by `_target`."""
    descriptor = os.open(start, os.O_RDONLY | _FOLDER)
    todo, links = list(components), 0
    while todo:
        name = todo.pop(0)
        target = _target(descriptor, name)
        if target is None:
            descriptor = _step(descriptor, name, "/" + "/".join(components))
            continue
        links += 1
        if links > _MOST_LINKS:
            os.close(descriptor)
            raise HostError(f"/{'/'.join(components)}: symbolic links go round in circles")
        if target.startswith("/"):
            os.close(descriptor)
            descriptor = os.open("/", os.O_RDONLY | _FOLDER)
        todo = parts(target) + todo
    return descriptor


def _target(descriptor: int, name: str) -> str | None:
    """Where a link that may be followed leads; None for anything but a link."""
    try:
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISLNK(status.st_mode):
        return None
    folder, ours = os.fstat(descriptor), (0, os.geteuid())
    others_write = folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX
    if status.st_uid not in ours or folder.st_uid not in ours or others_write:
        os.close(descriptor)
        raise HostError(f"{name}: a symbolic link that others than root can change is not followed")
    return os.readlink(name, dir_fd=descriptor)


def _step(descriptor: int, name: str, path: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | _FOLDER, dir_fd=descriptor)
    except NotADirectoryError:
        raise HostError(f"{path}: is not a folder, or a symbolic link on the way to one; remove it") from None
    finally:
        os.close(descriptor)


def look(path: str, listed: Collection[str] = ()) -> Found | None:
    """What is at `path`, its last component never followed; None if nothing is, or no folder above it."""
    parent, name = parent_and_name(path)
    try:
        with opened(parent, listed) as folder:
            status = os.stat(name or ".", dir_fd=folder, follow_symlinks=False)
            to = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(status.st_mode) else ""
    except FileNotFoundError:
        return None
    return Found(
        _kind(status.st_mode), status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), status.st_size, to
    )


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"))
    return next((name for test, name in kinds if test(mode)), "other")


def read(path: str, listed: Collection[str] = ()) -> bytes:
    parent, name = parent_and_name(path)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with opened(parent, listed) as folder, os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
        return file.read()


def names(path: str, listed: Collection[str] = ()) -> list[str]:
    """The names in a folder, none if it is missing."""
    try:
        with opened(path, listed) as folder:
            return sorted(os.listdir(folder))  # noqa: PTH208 - of a descriptor
    except FileNotFoundError:
        return []


def create(folder: int, name: str, content: bytes) -> int:
    """A new file, readable by nobody else from its first instant; the descriptor stays open for its owner."""
    descriptor = os.open(
        name,
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
        0o600,
        dir_fd=folder,
    )
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def give(descriptor: int, uid: int | None, gid: int | None, mode: int) -> None:
    """Owner and mode by way of the narrower of the two modes: at no instant wider than before or after."""
    status = os.fstat(descriptor)
    now = stat.S_IMODE(status.st_mode)
    wanted_uid = status.st_uid if uid is None else uid
    wanted_gid = status.st_gid if gid is None else gid
    if (status.st_uid, status.st_gid) != (wanted_uid, wanted_gid):
        if now & mode != now:
            os.fchmod(descriptor, now & mode)
        os.fchown(descriptor, wanted_uid, wanted_gid)
        now = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if now != mode:
        os.fchmod(descriptor, mode)


def remove(folder: int, name: str) -> None:
    """Remove a file, a link, or a folder with what is in it; no link is followed, what is gone is fine."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=folder)
            return
        inside = os.open(name, os.O_RDONLY | _FOLDER, dir_fd=folder)
        try:
            for child in os.listdir(inside):  # noqa: PTH208 - of a descriptor
                remove(inside, child)
        finally:
            os.close(inside)
        os.rmdir(name, dir_fd=folder)
    except FileNotFoundError:
        return
