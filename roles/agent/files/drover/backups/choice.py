# GPL-3.0-or-later
"""Which data a restore brings back: a snapshot of a job, or a moment of its log."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from drover import lifecycle
from drover.backups import files, ledger
from drover.backups.copies import Copy
from drover.backups.jobs import Job
from drover.backups.ledger import Complete
from drover.backups.pitr import archive
from drover.backups.pitr import moment as moments
from drover.backups.pitr.moment import Moment, NotCoveredError
from drover.backups.pitr.pgbackrest import PgBackRest, where
from drover.backups.pitr.replay import Replay
from drover.backups.restic import Restic, Snapshot
from drover.backups.room import Room
from drover.errors import TROUBLE
from drover.host import Host
from drover.run import DroverError
from drover.table import stamp


class Asked(NamedTuple):
    """Which snapshot, where to, and what whoever asks has thought of."""

    snapshot: str = ""
    at: float = 0.0
    latest: bool = False  # as far as the log goes
    transaction: int = 0  # just before this one was committed
    verified: bool = False
    best: bool = False  # the newest that comes back whole, whichever that is
    beside: str = ""  # name of a copy to look into
    replace: bool = False  # there is data, and it may be replaced
    other_version: bool = False  # the database's version may be another one
    check: bool = False


class Chosen(NamedTuple):
    """One job on its way back."""

    job: Job
    found: Complete
    told: Mapping[str, Any]
    moment: Moment | None = None  # out of the log, not out of a snapshot
    instead: str = ""  # what was better, and did not come back whole

    @property
    def said(self) -> str:
        """Which data it is."""
        if self.moment:
            return f"the log {self.moment.said}, from the base of {stamp(self.moment.base.at)}"
        return f"snapshot {self.found.data.identity[:8]} of {stamp(self.found.data.at)}"

    @property
    def became(self) -> str:
        """What the data is, once it is restored."""
        return self.moment.said if self.moment else f"as it was at {stamp(self.found.data.at)}"

    @property
    def noted(self) -> str:
        """What else there is to know of it, to follow what is said."""
        return "".join(f"; {text}" for text in (files.notes(self.told), self.instead) if text)

    def copy(self, host: Host, place: Room, name: str = "") -> Copy:
        """Where it is restored into."""
        if self.moment is None:
            return Copy(host, self.job, self.told, place, name)
        program = PgBackRest(host, self.job, where(host, self.job)[1])
        return Replay(host, program, self.moment, self.told, place, name)


def choose(host: Host, restic: Restic, job: Job, asked: Asked) -> Chosen:
    """What was asked for: where the log does not reach so far back, the newest snapshot from before."""
    if job.wanted.point_in_time and (asked.at or asked.latest or asked.transaction or asked.best):
        try:
            return _moment(host, job, asked)
        except TROUBLE as error:
            if not asked.best and not (asked.at and isinstance(error, NotCoveredError)):
                raise
            before = " from before" if asked.at else ""
            host.say(f"{error}; the newest snapshot{before} is taken")
    elif asked.transaction:
        raise DroverError(f"{job.name}: its log is not kept, so that no transaction is known")
    found = ledger.pick(ledger.complete(restic, job), job, asked.snapshot, asked.at, asked.verified)
    try:
        return Chosen(job, found, ledger.record(restic, found))
    except TROUBLE as error:
        said = (
            f"snapshot {found.data.identity[:8]} of {stamp(found.data.at)} did not come back whole: {error}"
        )
        older = _older(restic, job, found.data.at, said) if asked.best else None
        if older is None:
            raise
        return older


def next_best(restic: Restic, each: Chosen, why: str) -> Chosen | None:
    """Where `each` did not come back whole: after a log the newest snapshot, else the next verified one."""
    instead = f"{each.instead}; " * bool(each.instead) + f"{each.said} did not come back whole: {why}"
    if each.moment:
        return _older(restic, each.job, math.inf, instead, verified=False)
    return _older(restic, each.job, each.found.data.at, instead)


def _older(restic: Restic, job: Job, before: float, instead: str, *, verified: bool = True) -> Chosen | None:
    """The newest of which the record can be read."""
    for one in reversed(ledger.complete(restic, job)):
        if one.data.at < before and (one.verdict == ledger.VERIFIED or not verified):
            with suppress(*TROUBLE):
                return Chosen(job, one, ledger.record(restic, one), instead=instead)
    return None


def _moment(host: Host, job: Job, asked: Asked) -> Chosen:
    """All that was committed until now is in the repository first, as far as the database can be asked."""
    if asked.at > time.time():
        raise DroverError(f"--at: {stamp(asked.at)} is still to come")
    try:
        if lifecycle.of(host.layout).archives:
            archive.flush(host, job)
    except TROUBLE as error:
        host.say(f"{job.name}: the newest of its log may be missing: {error}")
    bases = moments.reachable(PgBackRest(host, job, where(host, job)[1]))
    if asked.transaction:
        found = moments.before_transaction(bases, job, asked.transaction)
    else:
        latest = asked.latest or asked.best
        found = moments.latest(bases, job) if latest else moments.at_time(bases, job, asked.at)
    size, notes = found.base.size, found.base.notes
    told = {
        "engine": job.wanted.engine,
        "bytes": size,
        "disk": size,
        "image": notes.get("image", ""),
        **notes,
    }
    none = Snapshot(found.base.label, found.at, frozenset(), (), "")
    return Chosen(job, Complete(none, none), told, found)
