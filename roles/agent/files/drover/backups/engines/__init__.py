# GPL-3.0-or-later
"""One module is one database engine, each with the same few names, and shell functions beside it.

The functions run in the database's own image and reach the server at 127.0.0.1. dump: writes to $PIPE.
load: reads that into an empty server. sample: prints lines `KEY DIGEST` of what is in the server, where two
dumps of the same data are not the same bytes. keep: makes the data durable before a filled server stops.
count: prints lines of PART, a tab and the NUMBER of how much is in the server, for a person.
ask, of those with SQL: prints what $QUERY answers in the database $BASE, else in the image's own. It writes
nothing, and ends after $LIMIT seconds. For smoke tests, in the container of the server itself.
hold, of some, there too: from now on ordinary transactions only read; those that began before have $GRACE
seconds to end. held: says on or off. release: takes it back. All three may be called again and again.
What loads a dump of another server (arrivals.py) is each engine's own.

FILE: what its dump is called in a snapshot. VARIABLES: beginnings of the variables of its image that a
client needs. SCRIPT: the functions. MEMORY: what a client may have. SAMPLES, KEEPS, HOLDS: whether there is
such a function. SEED: the file that a server begins with, where there is no load. BRINGS_PASSWORD: whether
what is loaded brings the superuser's password of then. reader(): is fed with the dump and
tells its parts (parts.py). filtered(): the dump's bytes as load wants them. server(): the command of a server
that is to be filled.
"""

from __future__ import annotations

from types import ModuleType

from drover.backups.engines import mariadb, mongodb, postgres, valkey

ENGINES: dict[str, ModuleType] = {
    "postgres": postgres,
    "mariadb": mariadb,
    "mongodb": mongodb,
    "valkey": valkey,
}
