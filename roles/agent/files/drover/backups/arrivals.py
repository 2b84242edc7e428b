# GPL-3.0-or-later
"""How a dump of another server gets into a copy: what is refused, and by which function it is loaded."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import IO, NamedTuple

from drover.backups import clients, dumps, servers
from drover.backups.copies import Chunks, Copy
from drover.backups.dumps import CUSTOM, Dump
from drover.backups.engines import ENGINES, mariadb, postgres
from drover.backups.engines.common import rest
from drover.backups.jobs import FILES, Job
from drover.backups.servers import Server
from drover.host import Host
from drover.run import DroverError

ROLES_SECONDS = 600.0
NOBODYS = "views, triggers and routines of users that do not exist here, which therefore do not run: "


def plain(dump: IO[bytes], variables: Mapping[str, str]) -> Iterator[bytes]:
    """As it is."""
    del variables
    yield from rest(dump)


class UnsaidError(DroverError):
    """What whoever brings it has to say first."""


class Way(NamedTuple):
    """`words` is the engine's function that reads the dump. `before` and `after`: statements around it."""

    words: str = ""
    chunks: Chunks = plain
    before: bytes = b""
    after: bytes = b""


def plan(host: Host, job: Job, dump: Dump, no_owner: bool) -> Way:
    """The dump's way into a copy; an error says what is in its way."""
    if job.wanted.engine == FILES:
        return Way()
    which = servers.of(host, job, ENGINES[job.wanted.engine])
    if dump.found.kind is dumps.CLUSTER:
        return cluster(dump, which.variables)
    if dump.found.kind in (dumps.PLAIN, CUSTOM):
        return _database(host, job, dump, which, no_owner)
    if dump.found.kind is dumps.SQL:
        return sql(dump, which.variables)
    return Way("accept")


def cluster(dump: Dump, variables: Mapping[str, str]) -> Way:
    """A pg_dumpall is what a backup is. The service's own database has to be in it."""
    own, there = postgres.own_database(variables), dump.named.databases
    if own not in {*there, "postgres", "template1"}:
        raise DroverError(
            f"{dump.found.path}: it has {_listed('database', there)} and not {own}, which is the service's "
            "own (POSTGRES_DB); take a pg_dump of the one that shall become that"
        )
    return Way("load", postgres.filtered)


def sql(dump: Dump, variables: Mapping[str, str]) -> Way:
    """Without the system's own tables. A single database becomes the service's, whatever its name was."""
    own, there = mariadb.own_database(variables), dump.named.databases
    if dump.named.ours:
        return Way("load", mariadb.filtered)
    if not own and not there:
        raise DroverError(
            f"{dump.found.path}: it names no database, nor does the service (MARIADB_DATABASE or "
            "MYSQL_DATABASE); take it by mariadb-dump --databases"
        )
    if own and len(there) > 1 and own not in there:
        raise DroverError(
            f"{dump.found.path}: it has {_listed('database', there)} and not {own}, which is the service's "
            "own (MARIADB_DATABASE); take a dump of the one that shall become that"
        )
    return Way("accept", partial(mariadb.theirs, nameless=bool(own) and len(there) == 1))


def _database(host: Host, job: Job, dump: Dump, which: Server, no_owner: bool) -> Way:
    """Into the service's own database. The roles that the server has today are in the copy too."""
    if not which.running:
        raise DroverError("the database does not run, and its roles are wanted: drover apply")
    here = clients.ask(host, job, which, postgres, "roles", ROLES_SECONDS).encode()
    known = postgres.made_roles(here) | {postgres.own_user(which.variables)}
    missing = sorted(_roles(host, job, dump, which) - known)
    if missing and not no_owner:
        raise UnsaidError(
            f"{dump.found.path}: it names {_listed('role', missing)}, not known here. Say --no-owner: what "
            f"is theirs then belongs to {postgres.own_user(which.variables)}, and grants to them are left "
            "out. Or make them in the database first (CREATE ROLE), or bring a pg_dumpall, which has them"
        )
    before, after = postgres.instead(missing)
    words = "archive" if dump.found.kind is CUSTOM else "statements"
    chunks = postgres.theirs if dump.named.databases else plain
    return Way(words, chunks, postgres.of_roles(here, which.variables) + before, after)


def _roles(host: Host, job: Job, dump: Dump, which: Server) -> set[str]:
    """Those that the dump names; of an archive, its own program says."""
    if dump.found.kind is not CUSTOM:
        return dump.named.roles
    with dumps.unpacked(dump.found.path, dump.found.packed) as stream:
        said = clients.give(host, job, which, postgres, "schema", rest(stream))
    return {name for line in said.encode().splitlines() for name in postgres.roles(line)}


def _listed(what: str, names: Sequence[str] | set[str]) -> str:
    """The names for a person.

    >>> _listed("role", ["a", "b"]), _listed("role", ["a"]), _listed("role", [])
    ('the roles a, b', 'the role a', 'no role')
    """
    found = sorted(names)
    return f"the {what}{'s' if len(found) > 1 else ''} {', '.join(found)}" if found else f"no {what}"


def fill(copy: Copy, dump: Dump, way: Way) -> str:
    """Have the copy take it; what whoever brought it should know."""
    if copy.job.wanted.engine == FILES:
        copy.unpack(dump)
        return ""
    if way.before:
        copy.load(io.BytesIO(way.before), "statements", plain)
    with dumps.unpacked(dump.found.path, dump.found.packed) as stream:
        said = copy.load(stream, way.words, way.chunks)
    if way.after:
        copy.load(io.BytesIO(way.after), "statements", plain)
    return _notes(dump, said)


def _notes(dump: Dump, said: str) -> str:
    if dump.found.kind is not dumps.SQL or dump.named.ours:
        return ""
    users = ", ".join(line.strip() for line in said.splitlines() if "@" in line)
    return "users of the old server are not in it" + (f"; it has {NOBODYS}{users}" if users else "")
