# GPL-3.0-or-later
"""MariaDB and MySQL: users and all databases in one stream, by the server's own dump program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

from drover.backups.engines.common import rest, script
from drover.backups.parts import Line

FILE = "dump.sql"
VARIABLES = ("MARIADB_", "MYSQL_")
SCRIPT = script(__file__)
SAMPLES, KEEPS, SEED = False, False, ""

_ROWS = re.compile(rb"(?:INSERT|REPLACE) INTO (`(?:[^`]|``)+`) ")
_USE = re.compile(rb"USE (`.+`);")
# The image makes these users, with the passwords of this host.
_OWN_USER = re.compile(
    rb"(?:/\*[!M0-9]+ )?(?:CREATE|ALTER|GRANT|SET|REVOKE|DROP)\b"
    rb".*['`](?:root|healthcheck|mariadb\.sys|mysql)['`]@"
)
_SYSTEM = ("`mysql`", "`sys`")


def reader(variables: Mapping[str, str]) -> Callable[[bytes], Line]:
    """Rows belong to their table. Of the system's own tables only users are compared, as statements."""
    del variables
    database = ""

    def whose(start: bytes) -> Line:
        nonlocal database
        if not start or start.startswith((b"--", b"/*M!999999")) or (not database and _OWN_USER.match(start)):
            return Line(None)
        if found := _USE.match(start):
            database = found[1].decode("utf-8", "replace")
        if database in _SYSTEM:
            return Line(None)
        if found := _ROWS.match(start):
            return Line(f"{database}: {found[1].decode('utf-8', 'replace')}")
        return Line("")

    return whose


def filtered(stream: IO[bytes], variables: Mapping[str, str]) -> Iterator[bytes]:
    """Without the statements about users that the image has made already."""
    del variables
    for line in stream:
        if not _OWN_USER.match(line):
            yield line
        if _USE.match(line):
            break
    yield from rest(stream)


def server(command: Sequence[str]) -> list[str]:
    """As the stack runs it."""
    return [*command]
