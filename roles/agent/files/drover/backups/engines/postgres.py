# GPL-3.0-or-later
"""PostgreSQL: roles and all databases in one stream, by its own pg_dumpall."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

from drover.backups.engines.common import Named, rest, script
from drover.backups.parts import Line, Parts

FILE = "dump.sql"
VARIABLES = ("POSTGRES_", "PG")
SCRIPT = script(__file__)
MEMORY = "160m"
SAMPLES, KEEPS, HOLDS = False, False, True
SEED, BRINGS_PASSWORD = "", False
SEQUENCES = "values of sequences"
UNLOGGED = " (not logged)"  # end of a part's name

_COPY = re.compile(rb"COPY (.+?) (?:\(.*\) )?FROM stdin;")
_CONNECT = re.compile(rb"\\connect (?:-reuse-previous=on )?(.*)")
_SETVAL = re.compile(rb"SELECT pg_catalog\.setval\(")
_UNLOGGED = re.compile(rb"CREATE UNLOGGED TABLE (.+) \(")
_NOTHING = (b"--", b"\\restrict ", b"\\unrestrict ")
_NAME = rb'("(?:[^"]|"")+"|[^\s",;]+)'
_MADE = re.compile(rb"CREATE DATABASE " + _NAME)
_MADE_ROLE = re.compile(rb"CREATE ROLE " + _NAME + rb";")
_OF_DATABASE = re.compile(rb"(?:CREATE|ALTER|DROP) DATABASE |COMMENT ON DATABASE |\\connect ")
_BODY = re.compile(rb"CREATE (?!DATABASE )|COPY ")
_OF_ROLES = re.compile(rb"(?:CREATE ROLE|ALTER ROLE|GRANT) ")
_RIGHTS = rb"(?:GRANT|REVOKE|ALTER DEFAULT PRIVILEGES) .* (?:TO|FROM)"
_NAMES = (
    re.compile(rb"(?:ALTER .* OWNER TO|" + _RIGHTS + rb") " + _NAME + rb"(?: WITH GRANT OPTION)?;"),
    re.compile(rb"ALTER DEFAULT PRIVILEGES FOR ROLE " + _NAME + rb" .*"),
)


def reader(variables: Mapping[str, str], apart: bool = False) -> Parts:
    """Rows belong to their table. The role that the image makes has this host's password: not compared.

    `apart`: sequences are a part of their own, which in a log run ahead of what was asked of them; and so is
    the beginning of each table that is not logged, by which it is known.
    """
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
        return Line(_apart(start, database) if apart else "")

    return Parts(whose)


def _apart(start: bytes, database: str) -> str:
    """The part of its own of a line that tells of what a log holds otherwise, or not at all."""
    if _SETVAL.match(start):
        return SEQUENCES
    found = _UNLOGGED.match(start)
    return f"{database}: {found[1].decode('utf-8', 'replace')}{UNLOGGED}" if found else ""


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
    name = own_user(variables)
    quoted = re.escape('"' + name.replace('"', '""') + '"')
    return re.compile(rf"(?:CREATE|ALTER) ROLE (?:{re.escape(name)}|{quoted})(?:;| WITH )".encode())


def server(command: Sequence[str]) -> list[str]:
    """As the stack runs it, but for its log: what is filled has a log of its own, which nobody wants."""
    return [*command, *(["-c", "archive_mode=off"] if "archive_mode=on" in command else [])]


# From elsewhere


def own_database(variables: Mapping[str, str]) -> str:
    """The database that the image makes."""
    return variables.get("POSTGRES_DB") or own_user(variables)


def own_user(variables: Mapping[str, str]) -> str:
    """The superuser that the image makes."""
    return variables.get("POSTGRES_USER") or "postgres"


def listener(named: Named) -> Callable[[bytes], Line]:
    """Note what a dump names in its lines that are no rows."""

    def whose(start: bytes) -> Line:
        if _COPY.match(start):
            return Line(None, block=True)
        if found := _MADE.match(start):
            named.databases.add(_bare(found[1]))
        named.roles |= roles(start)
        return Line(None)

    return whose


def roles(line: bytes) -> set[str]:
    """Who owns something by this line, or is granted it; not what is there anyway."""
    found = {_bare(match[1]) for each in _NAMES if (match := each.fullmatch(line))}
    return {name for name in found if name != "PUBLIC" and not name.startswith("pg_")}


def made_roles(text: bytes) -> set[str]:
    """The roles that these statements make."""
    return {_bare(found[1]) for line in text.splitlines() if (found := _MADE_ROLE.fullmatch(line))}


def of_roles(text: bytes, variables: Mapping[str, str]) -> bytes:
    """The statements about roles in what a client said, but for the role that the image makes."""
    own = _own_role(variables)
    lines = text.splitlines(keepends=True)
    return b"".join(line for line in lines if _OF_ROLES.match(line) and not own.match(line))


def theirs(stream: IO[bytes], variables: Mapping[str, str]) -> Iterator[bytes]:
    """A dump of one database without the name of that database (`pg_dump --create`)."""
    del variables
    for line in stream:
        if not _OF_DATABASE.match(line):
            yield line
        if _BODY.match(line):
            break
    yield from rest(stream)


def instead(missing: Sequence[str]) -> tuple[bytes, bytes]:
    """Statements before and after a dump that names roles which do not exist.

    While it is loaded they do, without a login; then what they own is the user's who loads it.
    """
    names = ['"' + name.replace('"', '""') + '"' for name in missing]
    before = "".join(f"CREATE ROLE {name};\n" for name in names)
    listed = ", ".join(names)
    after = f"REASSIGN OWNED BY {listed} TO CURRENT_USER;\nDROP OWNED BY {listed};\nDROP ROLE {listed};\n"
    return before.encode(), after.encode() if names else b""


def _bare(name: bytes) -> str:
    text = name.decode("utf-8", "replace")
    return text[1:-1].replace('""', '"') if text.startswith('"') else text
