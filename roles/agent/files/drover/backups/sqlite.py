# GPL-3.0-or-later
"""SQLite databases of a volume, taken whole: as copies on the disk, the one thing that is staged.

One that is copied while somebody writes is broken, so SQLite's own backup makes the copy, which locks as any
reader does. It cannot where a writer died within a transaction: whoever opens the database for writing next
rolls it back first, by the journal that is left. The volume is not ours to write, so its files are copied as
they are, and SQLite rolls back the copy.

Whoever writes there is a container, and SQLite opens what is beside a database by its name: it waits for ever
at a pipe, and to open a device may be to use it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Container, Iterable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from drover.backups import files
from drover.backups.files import BESIDE, Found, Seen
from drover.run import DroverError

BUSY = 60.0  # seconds that a database may be locked by its writer
PATIENCE = 600.0  # seconds that a copy may take,
SLOW = 1 << 20  # and one more for so many bytes
OK, LOCKED = 0, (5, 6)  # SQLITE_BUSY and SQLITE_LOCKED
PAGES = 10_000  # that are copied before a writer has its turn, at first
# SQLITE_READONLY and SQLITE_CANTOPEN: it would have to write. Python 3.10 has no more of it than the words.
UNWRITABLE = ("attempt to write a readonly database", "unable to open database file")
PARTS = ("", "-journal", "-wal")  # of a database; what is in `-shm` is made anew from the log
JOURNAL = bytes.fromhex("d9d505f920a163d7")  # how a journal begins, and how it ends if it names another file


class AnewError(Exception):
    """SQLite began a backup anew."""


class RefusedError(Exception):
    """Why we let SQLite make no copy of a database."""


def size(found: Found) -> int:
    """Bytes that the copies take at most."""
    names = [name + each for name in found.databases for each in PARTS]
    return sum(found.files[name].size for name in names if name in found.files)


def stage(place: Path, found: Found, staging: Path) -> dict[str, str]:
    """A whole copy of each database, at the same path below another folder.

    Those of which none can be made, since they are damaged or only begin like one, and who says why.
    """
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700, parents=True)
    damaged = {}
    for name in found.databases:
        target, one, said = staging / name, found._replace(databases=(name,)), ""
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _copy(place, name, found.files[name], target, PATIENCE + size(one) / SLOW)
        except sqlite3.OperationalError as error:  # locked, or no room: nothing is known of the file
            raise DroverError(files.remark(name, _says(error))) from None
        except sqlite3.DatabaseError as error:
            said = _says(error)
        except RefusedError as error:
            said = str(error)
        if said:
            damaged[name] = said
            _remove(target)
            continue
        seen = found.files[name]
        os.chown(target, seen.owner, seen.group)
        target.chmod(seen.mode & 0o7777)
    return damaged


def _copy(place: Path, name: str, seen: Seen, target: Path, seconds: float) -> None:
    """By SQLite's own backup as long as that can be, also if somebody writes again meanwhile."""
    _need_files(place / name)
    work = partial(_back_up, place, name, seen, target)
    try:
        _wait(seconds, name, work)
    except sqlite3.OperationalError as error:
        if str(error) not in UNWRITABLE:
            raise
        _remove(target)
        if not _recover(place, name, seen, target):
            _remove(target)
            _wait(seconds, name, work)


def _need_files(path: Path) -> None:
    """Refuse a database that has anything beside it but files, where SQLite would look for its own."""
    for each in BESIDE:
        beside = _beside(path, each)
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(beside.lstat().st_mode):
                raise RefusedError(f"{beside.name} beside it is no regular file")


def _wait(seconds: float, name: str, work: Callable[[float], None]) -> None:
    """Wait for SQLite no longer than that, and say until when: what it opens may not be what was looked at.

    No signal gets it out of an open: its thread stays there until the agent ends, or the pipe is opened.
    """
    failed, end = list[Exception](), time.monotonic() + seconds

    def run() -> None:
        try:
            work(end)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise DroverError(f"{files.printable(name)}: SQLite did not come to an end within {seconds:.0f} s")
    for error in failed:
        raise error


def _back_up(place: Path, name: str, seen: Seen, target: Path, end: float) -> None:
    """SQLite may have to make a log and its index beside it, which as root it gives to the owner of that."""
    with closing(sqlite3.connect(f"file:{_escaped(place / name)}?mode=ro", uri=True, timeout=BUSY)) as old:
        old.execute("PRAGMA schema_version")
        if not _is_open(seen.inode):
            raise DroverError(f"{files.printable(name)}: it was replaced while it was read")
        with closing(sqlite3.connect(target)) as new:
            _take(old, new, name, end)


def _take(old: sqlite3.Connection, new: sqlite3.Connection, name: str, end: float) -> None:
    """In steps, which get longer: SQLite begins anew if somebody wrote between two, and might never end."""
    pages = PAGES
    while True:
        try:
            return old.backup(new, pages=pages, progress=_progress(name, end))
        except AnewError:
            pages *= 4


def _progress(name: str, end: float) -> Callable[[int, int, int], None]:
    """What looks at each step of a backup, and ends it by an error: while it is locked nothing else does."""
    last, least = time.monotonic(), float("inf")

    def look(status: int, remaining: int, total: int) -> None:
        nonlocal last, least
        now = time.monotonic()
        if now > end:
            raise DroverError("nobody waits for it any longer")
        if status in LOCKED and now - last > BUSY:
            raise DroverError(f"{files.printable(name)}: it was locked for {BUSY:.0f} s while it was copied")
        if status == OK:
            if remaining >= least:
                raise AnewError
            last, least = now, remaining

    return look


def _recover(place: Path, name: str, seen: Seen, target: Path) -> bool:
    """Copy its files, and have SQLite roll back the copy, or take over what is in the log.

    False if they changed meanwhile: whoever writes to it has to do away with the journal that was left.
    """
    before = _states(place / name)
    if not before[0] or before[0][0] != seen.inode:
        return False
    try:
        for end, state in zip(PARTS, before, strict=True):
            if state:
                _copy_file(place, name + end, _beside(target, end))
    except FileNotFoundError:
        return False
    if _states(place / name) != before:
        return False
    _need_own(_beside(target, "-journal"))
    with closing(sqlite3.connect(target)) as copied:
        copied.execute("PRAGMA schema_version")  # whatever reads first
        copied.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return True


def _need_own(journal: Path) -> None:
    """Refuse one that names a file for several, which SQLite removes wherever it is, and we are root."""
    if not journal.exists() or journal.stat().st_size < len(JOURNAL):
        return
    with journal.open("rb") as file:
        file.seek(-len(JOURNAL), os.SEEK_END)
        if file.read() == JOURNAL:
            raise RefusedError("its writer died within a transaction over several databases")


def _copy_file(place: Path, name: str, target: Path) -> None:
    with files.opened(place, name) as source, target.open("xb") as copied:
        shutil.copyfileobj(source, copied, files.CHUNK)


def _states(path: Path) -> list[tuple[int, ...] | None]:
    return [_state(_beside(path, end)) for end in PARTS]


def _state(path: Path) -> tuple[int, ...] | None:
    """What changes with a regular file; None if there is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _remove(target: Path) -> None:
    for end in ("", *BESIDE):
        _beside(target, end).unlink(missing_ok=True)


def _is_open(inode: int) -> bool:
    """Whether this process has the file of that number open, and not another one by its name."""
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if each.stat().st_ino == inode:
                return True
    return False


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


# Whether they are sound


def damage(place: Path, databases: Iterable[str]) -> dict[str, str]:
    """SQLite databases that are not sound, and who says what of each."""
    found = {name: _damage(place / name) for name in databases}
    return {name: said for name, said in found.items() if said}


def _damage(path: Path) -> str:
    try:
        _need_files(path)
        with closing(sqlite3.connect(f"file:{_escaped(path)}?mode=ro", uri=True)) as base:
            told = base.execute("PRAGMA quick_check(1)").fetchone()[0]
    except RefusedError as error:
        return str(error)
    except sqlite3.Error as error:
        told = error
    return "" if told == "ok" else _says(told)


def broken(place: Path, databases: Iterable[str], known: Container[str] = ()) -> list[str]:
    """Those that are not sound, and were when they were backed up: `known` are those that were not."""
    found = damage(place, databases)
    return [files.remark(name, told) for name, told in found.items() if name not in known]


def _says(told: object) -> str:
    return f"SQLite says: {told}"
