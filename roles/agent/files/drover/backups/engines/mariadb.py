# GPL-3.0-or-later
"""MariaDB and MySQL: users and all databases in one stream, by the server's own dump program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import IO

from drover.backups.engines.common import rest, same, script
from drover.backups.parts import Line, Parts

FILE = "dump.sql"
VARIABLES = ("MARIADB_", "MYSQL_")
SCRIPT = script(__file__)
MEMORY = "160m"
SAMPLES, KEEPS, SEED = False, False, ""

_ROWS = re.compile(rb"(?:INSERT|REPLACE) INTO (`(?:[^`]|``)+`) ")
USERS = b"-- drover: users\n"  # of mariadb.sh, before the statements about them
_USE = re.compile(rb"USE (`.+`);")
# The image makes these users, with the passwords of this host. Roles that they were given are the data's.
_OWN_USER = re.compile(rb"(?:CREATE USER|GRANT\b.* ON) .*['`](?:root|healthcheck|mariadb\.sys|mysql)['`]@")
_SYSTEM = ("`mysql`", "`sys`")

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
