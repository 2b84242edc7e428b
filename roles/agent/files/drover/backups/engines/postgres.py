# GPL-3.0-or-later
"""PostgreSQL: roles and all databases in one stream, by its own pg_dumpall."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import IO

from drover.backups.engines.common import rest, same, script
from drover.backups.parts import Line, Parts

FILE = "dump.sql"
VARIABLES = ("POSTGRES_", "PG")
SCRIPT = script(__file__)
MEMORY = "160m"
SAMPLES, KEEPS, SEED = False, False, ""

_COPY = re.compile(rb"COPY (.+?) (?:\(.*\) )?FROM stdin;")
_CONNECT = re.compile(rb"\\connect (?:-reuse-previous=on )?(.*)")
_NOTHING = (b"--", b"\\restrict ", b"\\unrestrict ")

server = same


def reader(variables: Mapping[str, str]) -> Parts:
    """Rows belong to their table. The role that the image makes has this host's password: not compared."""
    database = ""
    own = _own_role(variables)

    def whose(start: bytes) -> Line:
        nonlocal database
        if not start or start.startswith(_NOTHING) or (not database and own.match(start)):
            return Line(None)
        if found := _CONNECT.fullmatch(start):
            database = found[1].decode("utf-8", "replace")
        if found := _COPY.match(start):
            return Line(f"{database}: {found[1].decode('utf-8', 'replace')}", block=True)
        return Line("")

    return Parts(whose)


def filtered(stream: IO[bytes], variables: Mapping[str, str]) -> Iterator[bytes]:
    """Without the lines about the role that the image has made already."""
    own = _own_role(variables)
    for line in stream:
        if not own.match(line):
            yield line
        if _CONNECT.match(line):
            break
    yield from rest(stream)


def _own_role(variables: Mapping[str, str]) -> re.Pattern[bytes]:
    name = variables.get("POSTGRES_USER") or "postgres"
    quoted = re.escape('"' + name.replace('"', '""') + '"')
    return re.compile(rf"(?:CREATE|ALTER) ROLE (?:{re.escape(name)}|{quoted})(?:;| WITH )".encode())
