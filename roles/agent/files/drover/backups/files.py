# GPL-3.0-or-later
"""Volumes and data folders: what is in them, and digests of files that stay the same meanwhile.

Whoever writes there is a container, and we are root: what is opened is a regular file below the folder,
whatever was put in its place since it was looked at.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO, Any, NamedTuple

MAGIC = b"SQLite format 3\0"
BESIDE = ("-wal", "-shm", "-journal")  # ends of the names of files that belong to a SQLite database
TOP = "."  # the folder itself
SAMPLES = 5_000  # files whose content is compared
SAMPLED = 512 << 20  # bytes of them at most
CHUNK = 1 << 20
NOTES = 5  # damaged databases that are named


class Seen(NamedTuple):
    """A file, folder or link as it was at one moment."""

    size: int
    changed: int
    inode: int
    mode: int
    owner: int
    group: int


class Found(NamedTuple):
    """What is below a folder, itself included: by path, which of it are SQLite's, and how much it is."""

    files: Mapping[str, Seen]
    databases: tuple[str, ...]
    size: int


def look(place: Path) -> Found:
    """Walk through it; what goes away meanwhile was never there."""
    files: dict[str, Seen] = {}
    databases = []
    for path in _walk(place):
        name = str(path.relative_to(place))
        try:
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode) and not path.is_symlink():
                continue
            if stat.S_ISREG(found.st_mode) and found.st_size >= len(MAGIC) and _is_database(place, name):
                databases.append(name)
        except OSError:
            continue
        files[name] = Seen(
            found.st_size, found.st_mtime_ns, found.st_ino, found.st_mode, found.st_uid, found.st_gid
        )
    return Found(files, tuple(sorted(databases)), sum(each.size for each in files.values()))


def _walk(place: Path) -> Iterator[Path]:
    yield place
    for root, folders, names in os.walk(place):
        for name in (*folders, *names):
            yield Path(root, name)


def opened(place: Path, name: str) -> IO[bytes]:
    """A regular file below the folder, to be read; no link is followed, and nothing else is touched."""
    here = os.open(place, os.O_PATH | os.O_DIRECTORY)
    try:
        for each in PurePosixPath(name).parts:
            inner = os.open(each, os.O_PATH | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = inner
        if ".." in PurePosixPath(name).parts or not stat.S_ISREG(os.fstat(here).st_mode):
            raise OSError(errno.EINVAL, "no regular file", name)
        return Path(f"/proc/self/fd/{here}").open("rb")
    finally:
        os.close(here)


def _is_database(place: Path, name: str) -> bool:
    with opened(place, name) as file:
        return file.read(len(MAGIC)) == MAGIC


def plain(found: Found, names: Container[str]) -> Found:
    """The same with these taken as files like any other."""
    return found._replace(databases=tuple(each for each in found.databases if each not in names))


def left_out(place: Path, found: Found) -> str:
    """Lines for restic's file of what it leaves out: the databases themselves, and what is beside them.

    A name of several lines would be several patterns: it stays in, and the copy takes its place all the same.
    """
    names = [name + each for name in found.databases for each in ("", *BESIDE) if "\n" not in name]
    return "".join(f"{_pattern(place / name)}\n" for name in names)


def _pattern(path: Path) -> str:
    """A path as restic's patterns have it, which know wild cards and variables."""
    text = "".join(f"\\{each}" if each in "\\*?[" else each for each in str(path))
    return text.replace("$", "$$")


def counted(found: Found) -> list[str]:
    """All files but those that SQLite makes and removes beside its databases."""
    beside = {name + each for name in found.databases for each in BESIDE}
    return [name for name in found.files if name not in beside]


# Digests


def chosen(found: Found) -> list[str]:
    """The files that are compared: all of a small volume, a sample of a large one."""
    names = [name for name in counted(found) if name not in (*found.databases, TOP)]
    # An order that has nothing to do with names, and is another one for each state of the volume.
    salt = f"{found.size} {len(found.files)}"
    names.sort(key=lambda each: hashlib.sha256(f"{salt} {each}".encode("utf-8", "replace")).digest())
    taken, size = [TOP], 0
    for name in names[:SAMPLES]:
        size += found.files[name].size
        if size > SAMPLED and len(taken) > 1:
            break
        taken.append(name)
    return taken


def digests(place: Path, names: Iterable[str]) -> dict[str, str]:
    """File → digest of its content, mode and owner; none of a file that is not there."""
    told = {}
    for name in names:
        try:
            told[name] = digest(place, name)
        except OSError:
            continue
    return told


def digest(place: Path, name: str) -> str:
    """Of a file's content, or where a link leads; with mode, owner and group."""
    path = place / name
    seen = path.lstat()
    if stat.S_ISLNK(seen.st_mode):
        return f"{path.readlink()} {_rights(seen)}"
    if stat.S_ISDIR(seen.st_mode):
        return f"folder {_rights(seen)}"
    total = hashlib.sha256()
    with opened(place, name) as file:
        while chunk := file.read(CHUNK):
            total.update(chunk)
        return f"{total.hexdigest()[:32]} {_rights(os.fstat(file.fileno()))}"


def _rights(seen: os.stat_result) -> str:
    return f"{seen.st_mode & 0o7777:o} {seen.st_uid}:{seen.st_gid}"


def unchanged(before: Found, after: Found, told: Mapping[str, str]) -> dict[str, str]:
    """The digests of what was the same before and after; the folder itself has to be, but for its time."""
    kept = {name: value for name, value in told.items() if before.files[name] == after.files.get(name)}
    return {**kept, TOP: told[TOP]} if TOP in told else kept


def record(
    before: Found,
    after: Found,
    told: Mapping[str, str],
    staged: Mapping[str, str],
    damaged: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """What is known of a volume at the time of its snapshot."""
    return {
        "engine": "volume",
        "bytes": before.size,
        "parts": {**unchanged(before, after, told), **staged},
        "files": sorted((len(counted(before)), len(counted(after)))),
        "databases": list(before.databases),
        "damaged": dict(damaged),
        "top": [before.files[TOP].mode & 0o7777, before.files[TOP].owner, before.files[TOP].group],
    }


def notes(record: Mapping[str, Any]) -> str:
    """What a person should know of SQLite databases that were damaged already when they were backed up."""
    found = dict(record.get("damaged") or {})
    said = [f"{remark(name, found[name])}, and so it is backed up" for name in sorted(found)]
    return "; ".join([*said[:NOTES], *([f"and {len(said) - NOTES} more"] if len(said) > NOTES else [])])


def remark(name: str, said: object) -> str:
    """What is said of a database, in one line."""
    return f"{printable(name)}: {printable(' '.join(str(said).split()))}"


def printable(name: str) -> str:
    """As it can be shown and kept: a file's name may be of any bytes."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)
