# GPL-3.0-or-later
"""Files of another server: told by their first bytes, and read to their end before anything begins.

What a file is called says nothing. Packed ones are unpacked by the host's own programs.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple

from drover.backups import jobs
from drover.backups.engines import mariadb, postgres
from drover.backups.engines.common import Named, rest
from drover.backups.jobs import FILES
from drover.backups.parts import Line, Parts
from drover.run import DroverError, Result, environment

HEAD, TAIL = 4096, 4096  # bytes
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2"}


class Kind(NamedTuple):
    """`begins` and `ends` are in the first and the last bytes of a file of this kind that is whole."""

    name: str
    engine: str
    begins: re.Pattern[bytes]
    ends: re.Pattern[bytes]
    grows: int  # times its size that the data may take on the disk, indexes included
    listens: Callable[[Named], Callable[[bytes], Line]] | None = None  # to its lines


def _text(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode(), re.MULTILINE)


def _bytes(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


CLUSTER = Kind(
    "a pg_dumpall of PostgreSQL",
    "postgres",
    _text("^-- PostgreSQL database cluster dump$"),
    _text("^-- PostgreSQL database cluster dump complete$"),
    2,
    postgres.listener,
)
PLAIN = Kind(
    "a pg_dump of PostgreSQL",
    "postgres",
    _text("^-- PostgreSQL database dump$"),
    _text("^-- PostgreSQL database dump complete$"),
    2,
    postgres.listener,
)
CUSTOM = Kind("a pg_dump -Fc of PostgreSQL", "postgres", _bytes(rb"\APGDMP"), _bytes(b""), 6)
SQL = Kind(
    "a dump of MariaDB or MySQL",
    "mariadb",
    _text(r"^-- (?:MySQL|MariaDB) dump "),
    _text("^-- Dump completed"),
    2,
    mariadb.listener,
)
RDB = Kind(
    "a snapshot file of Valkey or Redis",
    "valkey",
    _bytes(rb"\A(?:REDIS|VALKEY)[0-9]"),
    _bytes(rb"\xff.{8}(?:[0-9a-f]{40})?\Z"),  # a checksum, and the mark of a transfer
    3,
)
ARCHIVE = Kind(
    "a mongodump --archive of MongoDB", "mongodb", _bytes(rb"\A\x6d\xe2\x99\x81"), _bytes(rb"\xff{4}\Z"), 2
)
TAR = Kind("a tar archive of files", FILES, _bytes(rb"\A.{257}ustar"), _bytes(rb"\0{1024}\Z"), 1)
FOLDER = Kind("a folder of files", FILES, _bytes(b""), _bytes(b""), 1)
KINDS = (CLUSTER, PLAIN, CUSTOM, SQL, RDB, ARCHIVE, TAR)
OTHER_TAR = _bytes(rb"\Atoc\.dat\0")  # pg_dump -Ft

PEOPLE_SAY = {
    "postgres": "a PostgreSQL",
    "mariadb": "a MariaDB or MySQL",
    "mongodb": "a MongoDB",
    "valkey": "a Valkey or Redis",
    FILES: "files",
}


class Found(NamedTuple):
    """A file or folder, and what it seems to be. `packed` is the program that unpacks it."""

    path: Path
    packed: str
    kind: Kind


class Dump(NamedTuple):
    """One that was read to its end. `size` is in bytes, unpacked."""

    found: Found
    size: int
    named: Named

    @property
    def weight(self) -> int:
        """Bytes that a copy may take."""
        return self.size * self.found.kind.grows


def recognise(path: Path) -> Found:
    """What it is by its first bytes; an error if nobody knows."""
    if path.is_dir():
        return Found(path, "", FOLDER)
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise DroverError(f"{path}: {error.strerror}") from None
    packed = next((program for magic, program in PACKED.items() if start.startswith(magic)), "")
    with unpacked(path, packed) as stream:
        head = stream.read(HEAD)
    return Found(path, packed, _kind(path, head))


def _kind(path: Path, head: bytes) -> Kind:
    if OTHER_TAR.search(head):
        raise DroverError(f"{path}: a pg_dump -Ft, which is not read here; take pg_dump -Fc or plain text")
    for kind in KINDS:
        if kind.begins.search(head):
            return kind
    known = ", ".join(kind.name for kind in KINDS)
    raise DroverError(
        f"{path}: nothing that is known here; known are {known}, and folders; packed by "
        f"{', '.join(PACKED.values())} or not. Text needs the comments that its program begins and ends with"
    )


def read(found: Found) -> Dump:
    """Read it whole; one that was cut off is an error."""
    if found.kind is FOLDER:
        return Dump(found, jobs.size(found.path), Named())
    named, size, last = Named(), 0, b""
    parts = Parts(found.kind.listens(named)) if found.kind.listens else None
    with unpacked(found.path, found.packed) as stream:
        for chunk in chain([stream.read(HEAD)], rest(stream)):
            size, last = size + len(chunk), (last + chunk)[-TAIL:]
            if parts:
                parts.feed(chunk)
    if parts:
        parts.found()
    if not found.kind.ends.search(last):
        raise DroverError(f"{found.path}: {found.kind.name} that is not whole: its end is missing")
    return Dump(found, size, named)


@contextmanager
def unpacked(path: Path, packed: str) -> Iterator[IO[bytes]]:
    """The content as it comes; what is read to its end has to be whole."""
    if not packed:
        with path.open("rb") as file:
            yield file
        return
    with _program(path, packed) as process:
        assert process.stdout and process.stderr  # noqa: S101  they are pipes
        try:
            yield process.stdout
            over = not process.stdout.read(1)
        except BaseException:
            process.kill()
            raise
        if not over:
            process.kill()
            return
        said = process.stderr.read().decode("utf-8", "replace")
        if process.wait():
            raise DroverError(f"{path}: {packed}: {Result(process.returncode, '', said).words}")


def _program(path: Path, packed: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [packed, "-dc", "--", str(path)],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError:
        raise DroverError(
            f"{path}: packed by {packed}, which is not installed on this host; install it, or unpack the file"
        ) from None
