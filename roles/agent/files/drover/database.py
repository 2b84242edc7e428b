# GPL-3.0-or-later
"""The agent's database as a file: its tables, opening it, and changing what an older agent left."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

VERSION = 4
SCHEMA = """
CREATE TABLE history (id INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL,
  stack TEXT NOT NULL, release TEXT NOT NULL, version TEXT NOT NULL, result TEXT NOT NULL,
  seconds REAL NOT NULL, detail TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '');
CREATE INDEX history_stack ON history (stack, id);
CREATE TABLE applied (stack TEXT NOT NULL, release TEXT NOT NULL, service TEXT NOT NULL, hash TEXT NOT NULL,
  networks TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (stack, release, service));
CREATE TABLE images (id TEXT PRIMARY KEY, uid INTEGER NOT NULL);
CREATE TABLE events (id INTEGER PRIMARY KEY, at REAL NOT NULL, key TEXT NOT NULL, severity TEXT NOT NULL,
  title TEXT NOT NULL, body TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, next REAL NOT NULL DEFAULT 0,
  sent REAL, delivered TEXT NOT NULL DEFAULT '[]', error TEXT NOT NULL DEFAULT '');
CREATE INDEX events_key ON events (key, at);
CREATE TABLE marks (stack TEXT NOT NULL, release TEXT NOT NULL, version TEXT NOT NULL, at REAL NOT NULL,
  who TEXT NOT NULL, PRIMARY KEY (stack, release));
CREATE TABLE deploy_lock (id INTEGER PRIMARY KEY CHECK (id = 1), who TEXT NOT NULL, at REAL NOT NULL,
  reason TEXT NOT NULL);
CREATE TABLE kept (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, job TEXT NOT NULL, snapshot TEXT NOT NULL,
  at REAL NOT NULL, seconds REAL NOT NULL, bytes INTEGER NOT NULL, result TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX kept_job ON kept (job, kind, id);
"""
UPGRADES = {  # from this version to the next
    1: """
ALTER TABLE events ADD COLUMN delivered TEXT NOT NULL DEFAULT '[]';
ALTER TABLE events ADD COLUMN error TEXT NOT NULL DEFAULT '';
""",
    2: """
ALTER TABLE history ADD COLUMN reason TEXT NOT NULL DEFAULT '';
CREATE TABLE marks (stack TEXT NOT NULL, release TEXT NOT NULL, version TEXT NOT NULL, at REAL NOT NULL,
  who TEXT NOT NULL, PRIMARY KEY (stack, release));
CREATE TABLE deploy_lock (id INTEGER PRIMARY KEY CHECK (id = 1), who TEXT NOT NULL, at REAL NOT NULL,
  reason TEXT NOT NULL);
""",
    3: """
CREATE TABLE kept (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, job TEXT NOT NULL, snapshot TEXT NOT NULL,
  at REAL NOT NULL, seconds REAL NOT NULL, bytes INTEGER NOT NULL, result TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX kept_job ON kept (job, kind, id);
""",
}


def opened(path: Path) -> sqlite3.Connection:
    """The file, made for root alone where there is none; every commit is on the disk when it returns."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=10)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def read_only(path: Path) -> sqlite3.Connection:
    """The file as it is, without a lock; an error where there is none."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    connection.execute("SELECT 1 FROM history").fetchall()[:0]
    return connection


def prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Create the tables in a new file, or change those of an older agent; all or none.

    Whoever finds something to do takes the write lock and looks again: another process may have been faster.
    """
    if _version(connection) < VERSION:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            _upgrade(connection, _version(connection))
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _upgrade(connection: sqlite3.Connection, version: int) -> None:
    """One by one: `executescript` would commit, and let go of the lock, before its first statement."""
    scripts = [UPGRADES[step] for step in range(version, VERSION)] if version else [SCHEMA]
    for statement in ";".join(scripts).split(";") if version < VERSION else ():
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {max(version, VERSION)}")
