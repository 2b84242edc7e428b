# GPL-3.0-or-later
"""What must outlive a process: history, what was applied, users of images, events. SQLite, in one file.

A rollback journal and full synchronisation rather than WAL: writes are few, a copy of the one file is whole
whenever no write is under way, and what was committed is there after a power cut. Losing the file costs its
contents only: the next apply looks at what runs and records it again.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from drover import database

HISTORY_ROWS = 5000
KEPT_ROWS = 20_000


class Seen(NamedTuple):
    """What a service's containers looked like when the stack was well."""

    hash: str
    networks: frozenset[str]


class Row(NamedTuple):
    """One line of history."""

    at: float
    who: str
    action: str
    stack: str
    release: str
    version: str
    result: str  # ok | failed | refused
    seconds: float
    detail: str
    reason: str = ""  # what whoever asked for it said


class Mark(NamedTuple):
    """A release that was rolled back."""

    stack: str
    release: str
    version: str
    at: float
    who: str

    def is_of(self, release: str, version: str) -> bool:
        """Whether the mark means this release, or another one of the same version."""
        return release == self.release or (bool(version) and version == self.version)


class Lock(NamedTuple):
    """Somebody wants no deploys."""

    who: str
    at: float
    reason: str


class Kept(NamedTuple):
    """What came of one backup, verification or restore of one job."""

    kind: str  # backup | verify | restore | … (backups/ledger.py)
    job: str
    snapshot: str
    at: float
    seconds: float
    bytes: int
    result: str  # ok | verified | unverified | failed
    text: str


class State:
    """The database, opened when it is first asked; a broken one is put aside and begun anew."""

    def __init__(self, path: Path, *, write: bool = True) -> None:
        self.path = path
        self.write = write
        self._open: sqlite3.Connection | None = None

    @property
    def db(self) -> sqlite3.Connection:
        """The connection. A reader of a host without state gets an empty one in memory."""
        if self._open is None:
            self._open = self._begin()
        return self._open

    def _begin(self) -> sqlite3.Connection:
        if not self.write:
            try:
                return database.read_only(self.path)
            except sqlite3.Error:
                return database.prepared(sqlite3.connect(":memory:"))
        self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            return database.prepared(database.opened(self.path))
        except sqlite3.OperationalError:
            raise  # full, locked or not ours to write: the file itself is whole
        except sqlite3.DatabaseError:
            self.path.replace(self.path.with_name(f"{self.path.name}.broken-{int(time.time())}"))
            return database.prepared(database.opened(self.path))

    def close(self) -> None:
        """Let go of the file."""
        if self._open is not None:
            self._open.close()
            self._open = None

    # What was applied

    def seen(self) -> dict[str, dict[str, dict[str, Seen]]]:
        """Stack → release → service → what its containers looked like."""
        found: dict[str, dict[str, dict[str, Seen]]] = {}
        for stack, release, service, digest, networks in self.db.execute(
            "SELECT stack, release, service, hash, networks FROM applied"
        ):
            found.setdefault(stack, {}).setdefault(release, {})[service] = Seen(
                digest, frozenset(json.loads(networks))
            )
        return found

    def record_applied(self, stack: str, release: str, seen: Mapping[str, Seen], now: float) -> None:
        """Replace what is known of this release; keep the few releases before it."""
        with self.db as db:
            db.execute("DELETE FROM applied WHERE stack = ? AND release = ?", (stack, release))
            db.executemany(
                "INSERT INTO applied VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (stack, release, service, what.hash, json.dumps(sorted(what.networks)), now)
                    for service, what in seen.items()
                ],
            )
            db.execute(
                "DELETE FROM applied WHERE stack = ? AND release NOT IN (SELECT release FROM applied"
                " WHERE stack = ? GROUP BY release ORDER BY max(at) DESC LIMIT 60)",
                (stack, stack),
            )

    def forget(self, stack: str) -> None:
        """The stack is gone; its history stays."""
        with self.db as db:
            db.execute("DELETE FROM applied WHERE stack = ?", (stack,))
            db.execute("DELETE FROM marks WHERE stack = ?", (stack,))

    def applied(self, stack: str) -> list[str]:
        """The releases that were well, the newest first."""
        rows = self.db.execute(
            "SELECT release FROM applied WHERE stack = ? GROUP BY release ORDER BY max(at) DESC", (stack,)
        )
        return [release for (release,) in rows]

    # What was rolled back, and who wants no deploys

    def marks(self) -> list[Mark]:
        """Every release that was rolled back."""
        return [Mark(*row) for row in self._rows("SELECT stack, release, version, at, who FROM marks")]

    def mark(self, mark: Mark) -> None:
        """Keep a release from coming back by itself."""
        with self.db as db:
            db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?)", mark)

    def unmark(self, stack: str, release: str, version: str) -> None:
        """It was deployed again, by force."""
        with self.db as db:
            db.execute(
                "DELETE FROM marks WHERE stack = ? AND (release = ? OR (version = ? AND version != ''))",
                (stack, release, version),
            )

    def lock(self) -> Lock | None:
        """Who wants no deploys."""
        return next((Lock(*row) for row in self._rows("SELECT who, at, reason FROM deploy_lock")), None)

    def set_lock(self, lock: Lock | None) -> None:
        """Take the lock, or let it go."""
        with self.db as db:
            db.execute("DELETE FROM deploy_lock")
            if lock:
                db.execute("INSERT INTO deploy_lock VALUES (1, ?, ?, ?)", lock)

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        """A reader may meet the file of an agent that did not know the table yet."""
        try:
            return self.db.execute(statement).fetchall()
        except sqlite3.OperationalError:
            if self.write:
                raise
            return []

    # History

    def record(self, row: Row) -> None:
        """Append one line and drop the oldest beyond the bound."""
        with self.db as db:
            db.execute(
                "INSERT INTO history (at, who, action, stack, release, version, result, seconds, detail,"
                " reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            db.execute("DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - ?", (HISTORY_ROWS,))

    def last(self) -> dict[str, Row]:
        """Each stack's newest line."""
        rows = self.db.execute(
            "SELECT * FROM history WHERE id IN (SELECT max(id) FROM history GROUP BY stack)"
        )
        return {row.stack: row for row in map(_row, rows)}

    def history(self, stack: str, most: int) -> list[Row]:
        """The newest lines, of one stack or (without a name) of all."""
        rows = self.db.execute(
            "SELECT * FROM history WHERE ? IN ('', stack) ORDER BY id DESC LIMIT ?", (stack, most)
        )
        return list(map(_row, rows))

    # Backups

    def keep(self, row: Kept) -> None:
        """Append one line and drop the oldest beyond the bound."""
        self.keep_all([row])

    def keep_all(self, rows: Iterable[Kept]) -> None:
        """The same with many, all or none."""
        with self.db as db:
            db.executemany(
                "INSERT INTO kept (kind, job, snapshot, at, seconds, bytes, result, text)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            db.execute(
                "DELETE FROM kept WHERE kind != 'escrow' AND id <= (SELECT max(id) FROM kept) - ?",
                (KEPT_ROWS,),
            )

    def kept(self, job: str = "") -> list[Kept]:
        """All lines, of one job or of all, the oldest first."""
        statement = "SELECT kind, job, snapshot, at, seconds, bytes, result, text FROM kept"
        return [Kept(*row) for row in self._rows(f"{statement} ORDER BY id") if job in ("", row[1])]

    # Users of images

    def image_uids(self) -> dict[str, int]:
        """Image identity → numeric user of its process."""
        return dict(self.db.execute("SELECT id, uid FROM images"))

    def record_image_uids(self, uids: Mapping[str, int]) -> None:
        """An image's identity is its content, so this never goes stale; only the newest are kept."""
        with self.db as db:
            db.executemany("INSERT OR REPLACE INTO images VALUES (?, ?)", uids.items())
            db.execute("DELETE FROM images WHERE rowid <= (SELECT max(rowid) FROM images) - 500")


def _row(columns: tuple[Any, ...]) -> Row:
    """A line as it lies in the table, its number first; a reader may meet one without the newest column."""
    return Row(*columns[1:])
