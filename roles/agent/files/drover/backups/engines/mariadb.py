# GPL-3.0-or-later
"""MariaDB and MySQL: users and all databases in one stream, by the server's own dump program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import IO

from drover.backups.engines.common import Named, rest, same, script
from drover.backups.parts import Line, Parts

FILE = "dump.sql"
VARIABLES = ("MARIADB_", "MYSQL_")
SCRIPT = script(__file__)
MEMORY = "160m"
SAMPLES, KEEPS, HOLDS = False, False, True
SEED, BRINGS_PASSWORD = "", False

_ROWS = re.compile(rb"(?:INSERT|REPLACE) INTO (`(?:[^`]|``)+`) ")
USERS = b"-- drover: users\n"  # of mariadb.sh, before the statements about them
_USE = re.compile(rb"USE (`.+`);")
# The image makes these users, with the passwords of this host. Roles that they were given are the data's.
_OWN_USER = re.compile(rb"(?:CREATE USER|GRANT\b.* ON) .*['`](?:root|healthcheck|mariadb\.sys|mysql)['`]@")
_SYSTEM = ("`mysql`", "`sys`")
_CURRENT = re.compile(rb"-- Current Database: (`.+`)")
_OF_DATABASE = re.compile(rb"CREATE DATABASE |USE `|/\*!\d+ DROP DATABASE |DROP DATABASE ")
_THEIRS = (*_SYSTEM, "`information_schema`", "`performance_schema`")

server = same


def reader(variables: Mapping[str, str]) -> Parts:
    """Rows belong to their table. Of the system's own tables only users are compared, as statements."""
    del variables
    database, table, users = "", "", False

    def whose(start: bytes) -> Line:
        nonlocal database, table, users
        users = users or start == USERS.strip()
        if not start or start.startswith((b"--", b"/*M!999999")) or (users and _OWN_USER.match(start)):
            return Line(None)
        if found := _USE.match(start):
            database = found[1].decode("utf-8", "replace")
        if database in _SYSTEM:
            return Line(None)
        if found := _ROWS.match(start):
            table = f"{database}: {found[1].decode('utf-8', 'replace')}"
        elif not start.startswith(b"("):  # more rows, each in a line of its own
            table = ""
        return Line(table)

    return Parts(whose)


def filtered(stream: IO[bytes], variables: Mapping[str, str]) -> Iterator[bytes]:
    """Without the statements about users that the image has made already."""
    del variables
    kept = b""
    for chunk in rest(stream):
        text = kept + chunk
        before, mark, after = text.partition(b"\n" + USERS)
        if mark:
            yield before + mark
            yield from _without_own(after, stream)
            return
        kept = text[-len(USERS) :]
        yield text[: -len(USERS)]
    yield kept


def _without_own(text: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    for line in (text + stream.read()).splitlines(keepends=True):
        if not _OWN_USER.match(line):
            yield line


# From elsewhere


def own_database(variables: Mapping[str, str]) -> str:
    """The database that the image makes; empty for none."""
    return variables.get("MARIADB_DATABASE") or variables.get("MYSQL_DATABASE") or ""


def listener(named: Named) -> Callable[[bytes], Line]:
    """Note what a dump names in its lines."""

    def whose(start: bytes) -> Line:
        found = _CURRENT.fullmatch(start)
        if found and _quoted(found) not in _THEIRS:
            named.databases.add(_quoted(found)[1:-1].replace("``", "`"))
        named.ours = named.ours or start == USERS.strip()
        return Line(None)

    return whose


def _quoted(found: re.Match[bytes]) -> str:
    return found[1].decode("utf-8", "replace")


def theirs(stream: IO[bytes], variables: Mapping[str, str], *, nameless: bool) -> Iterator[bytes]:
    """Without the system's own databases; `nameless`: without the name of the single one that is left."""
    del variables
    leave = False
    for line in stream:
        if found := _CURRENT.match(line):
            leave = _quoted(found) in _THEIRS
        if not leave and not (nameless and _OF_DATABASE.match(line)):
            yield line
