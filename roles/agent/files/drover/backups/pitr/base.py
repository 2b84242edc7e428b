# GPL-3.0-or-later
"""Base backups: what the log begins from. A whole one each week, else what changed since the last."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from drover.backups import clients
from drover.backups.backup import Outcome, tried
from drover.backups.engines import ENGINES
from drover.backups.jobs import Job
from drover.backups.pitr import BASE
from drover.backups.pitr.pgbackrest import Base, PgBackRest, password, where
from drover.host import Host
from drover.run import DroverError

WEEK = 7 * 86400.0 - 3600  # seconds; a timer comes some minutes earlier or later
SECONDS = 60.0
MOST = 1 << 20  # characters of it: it is the database's to write
LOST = "lost"  # the file in which a database notes what found no room in its folder


def every(host: Host, chosen: Iterable[Job]) -> dict[str, Outcome]:
    """Of those whose log is kept, one after the other."""
    return {
        named(job): tried(host, BASE, job.name, partial(one, host, job))
        for job in chosen
        if job.wanted.point_in_time
    }


def named(job: Job) -> str:
    """What is told of its log, beside what is told of its snapshots."""
    return f"{job.name} (log)"


def one(host: Host, job: Job) -> Outcome:
    """A base backup with all of the log that it needs, or an error."""
    which, cluster = where(host, job)
    if not which.running:
        raise DroverError("the database does not run")
    # One that has just been made serves its own first start, at its socket alone, before it serves anybody.
    engine = ENGINES[job.wanted.engine]
    clients.ask(host, job, which, engine, "ready", SECONDS)
    program = PgBackRest(host, job, cluster)
    program.ready()
    before = gap(host, job)
    kind = "full" if is_due(program.bases(), time.time()) else "incr"
    notes = [f"--annotation=image={which.image}", f"--annotation=image_id={which.image_id}"]
    with password(host, job, which, clients.begun(host.layout, job)) as secret:
        program.take(which, kind, notes, secret)
    newest = program.bases()[-1]
    program.refuse_links(newest.label)
    oldest = clients.ask(host, job, which, engine, "oldest", SECONDS).strip()
    program.do(f"--set={newest.label}", f"--annotation=oldest={oldest}", "annotate")
    if before == gap(host, job):
        (host.layout.spool(job.wish.stack, job.wanted.service) / LOST).unlink(missing_ok=True)
    return Outcome("ok", f"base {newest.label} of {newest.size / 1e6:.1f} MB", newest.label, newest.size)


def is_due(found: list[Base], now: float) -> bool:
    """Whether a whole one is due."""
    whole = [each.begun for each in found if each.full]
    return not whole or now - whole[-1] > WEEK


def gap(host: Host, job: Job) -> str:
    """The segments that found no room in the folder since the last base backup, a line each."""
    return _read(host.layout.spool(job.wish.stack, job.wanted.service) / LOST)


def _read(path: Path) -> str:
    """The database may put anything there: a link is not followed."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), errors="replace") as file:
            return file.read(MOST)
    except FileNotFoundError:
        return ""
