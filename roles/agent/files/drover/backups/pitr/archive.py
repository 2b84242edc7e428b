# GPL-3.0-or-later
"""`drover archive`: takes finished segments of databases' logs to the repository, for as long as it runs.

A segment leaves its folder once the repository has it. Where a base backup is missing (at first, after a gap,
after another cluster took the database's place) it starts one.
"""

from __future__ import annotations

import json
import re
import stat
import struct
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from drover import disk, lifecycle
from drover.backups import clients, jobs
from drover.backups.engines import ENGINES
from drover.backups.jobs import Job
from drover.backups.pitr import BASE, base
from drover.backups.pitr.pgbackrest import MISMATCH, PgBackRest, ProgramError, where
from drover.errors import TROUBLE
from drover.host import Host
from drover.record import redactor
from drover.report import Event, report
from drover.run import DroverError, environment

DROVER = "/usr/local/bin/drover"
FLUSH = 30.0  # seconds
POLL = 2.0  # seconds
LOOK = 20.0  # seconds between two looks at what is late
AGAIN = 10.0  # seconds until what failed is tried again
BASE_AGAIN = 60.0  # seconds between the first two tries of a base backup; twice as many each time
BASE_SELDOM = 1800.0  # seconds between two tries at most
LATE = 120.0  # seconds after which something that is not in the repository is an alert
NAME = re.compile(r"[0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history")
SEGMENT = re.compile(r"[0-9A-F]{24}")


class Spool(NamedTuple):
    """A database's folder on the host, and beside it what became of what was in it."""

    place: Path

    @property
    def note(self) -> Path:
        return self.place.with_name(f"{self.place.name}.json")

    @property
    def taken(self) -> Path:
        """Where a file is on its way: the database can put no link in its place there."""
        return self.place.with_name(f"{self.place.name}.out")

    def waiting(self) -> list[Path]:
        """What is to be taken away, in its order; first what is on its way."""
        return [*_named(self.taken), *_named(self.place)]

    def take(self, path: Path) -> Path | None:
        """Out of the database's reach; None if it went meanwhile. Nobody follows a link."""
        self.taken.mkdir(mode=0o700, exist_ok=True)
        target = self.taken / path.name
        with suppress(FileNotFoundError):
            path.rename(target)
            if stat.S_ISREG(target.lstat().st_mode):
                return target
            target.unlink()
            raise DroverError(f"{path} was no plain file, and is gone")
        return None

    def told(self) -> dict[str, Any]:
        """`at`: when the newest segment in the repository was finished. `failed`: why the last try failed."""
        try:
            found = json.loads(self.note.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def tell(self, **news: Any) -> None:
        """Note it."""
        disk.replace(self.note, json.dumps({**self.told(), **news}), 0o600)


def _named(place: Path) -> list[Path]:
    try:
        return sorted(each for each in place.iterdir() if NAME.fullmatch(each.name))
    except FileNotFoundError:
        return []


def spool(host: Host, job: Job) -> Spool:
    """The job's."""
    return Spool(host.layout.spool(job.wish.stack, job.wanted.service))


def wanted(host: Host) -> list[Job]:
    """Databases of this host whose log is kept."""
    return [job for job in jobs.every_job(host.layout) if job.wanted.point_in_time]


def serve(host: Host) -> None:
    """For ever; a host that has not taken over has no log to be kept."""
    servants: dict[str, Servant] = {}
    while True:
        for job in wanted(host) if lifecycle.of(host.layout).archives else ():
            servants.setdefault(job.name, Servant(host)).turn(job)
        time.sleep(POLL)


class Servant:
    """What is remembered of one database from turn to turn; times are of the monotonic clock."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._rests = self._looks = self._base_rests = 0.0
        self._base_pause = BASE_AGAIN
        self._base: subprocess.Popen[bytes] | None = None
        self._mismatch = False

    def turn(self, job: Job) -> None:
        """Take away what is there, tell what is wrong, start a base backup where one is missing."""
        now = time.monotonic()
        try:
            if now >= self._rests:
                self._drain(job, now)
            if now >= self._looks:
                self._looks = now + LOOK
                alert(self._host, job)
            self._begin_base(job, now)
        except TROUBLE as error:  # the database is not made yet, or Docker is away
            self._host.say(f"{job.name}: {error}")
            self._rests = self._looks = now + AGAIN

    def _drain(self, job: Job, now: float) -> None:
        try:
            drain(self._host, job)
            self._mismatch = False
        except TROUBLE as error:
            self._rests = now + AGAIN
            self._mismatch = MISMATCH in str(error)
            spool(self._host, job).tell(failed=redactor(self._host.layout)(str(error)))

    def _begin_base(self, job: Job, now: float) -> None:
        if now < self._base_rests or (self._base and self._base.poll() is None):
            return
        if not lifecycle.of(self._host.layout).saves:
            return
        if not self._mismatch and not is_missing(self._host, job):
            self._base_pause = BASE_AGAIN
        elif where(self._host, job)[0].running:
            self._base_rests = now + self._base_pause
            self._base_pause = min(2 * self._base_pause, BASE_SELDOM)
            command = [DROVER, "backup", "--base", job.name]
            self._base = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL)


def is_missing(host: Host, job: Job) -> bool:
    """Whether the log has nothing to begin from."""
    rows = [row for row in host.state.kept(job.name) if row.kind == BASE and row.result == "ok"]
    return not rows or bool(base.gap(host, job))


def discard(host: Host, job: Job) -> None:
    """What is there is of data that nobody will ask for."""
    for path in spool(host, job).waiting():
        path.unlink(missing_ok=True)


def drain(host: Host, job: Job, seconds: float = 0.0) -> None:
    """Take away all that is there now, or as much as so many seconds allow."""
    own, until = spool(host, job), time.monotonic() + (seconds or 2**31)
    waiting = own.waiting()
    if not waiting:
        return
    program = PgBackRest(host, job, where(host, job)[1])
    for path in waiting:
        if time.monotonic() > until:
            return
        taken = own.take(path)
        if taken is None:
            continue
        if is_of_another(taken, program.cluster):
            host.say(f"{job.name}: {path.name} is of a cluster that was replaced, and goes")
        else:
            _push(program, own, taken)
        taken.unlink(missing_ok=True)
    own.tell(failed="")


def _push(program: PgBackRest, own: Spool, path: Path) -> None:
    """To the repository, which takes the same one twice; another drover may be faster."""
    try:
        finished = path.stat().st_mtime
        program.do("archive-push", str(path))
    except (FileNotFoundError, ProgramError):
        if path.exists():
            raise
        return
    own.tell(at=finished, segment=path.name, failed="")


def is_of_another(segment: Path, cluster: Path) -> bool:
    """Whether a segment is of another cluster than the one that is there; other files never are."""
    if not SEGMENT.fullmatch(segment.name):
        return False
    with segment.open("rb") as log, (cluster / "global/pg_control").open("rb") as control:
        head, own = log.read(32), control.read(8)
    return len(head) == 32 and struct.unpack("<Q", head[24:]) != struct.unpack("<Q", own)


def flush(host: Host, job: Job) -> None:
    """Have all in the repository that was committed until now, if the database is there to be asked."""
    which, cluster = where(host, job)
    if which.running:
        clients.ask(host, job, which, ENGINES[job.wanted.engine], "flush", FLUSH)
    until = time.monotonic() + FLUSH
    while any(cluster.glob("pg_wal/archive_status/*.ready")) and which.running and time.monotonic() < until:
        time.sleep(0.2)
    drain(host, job)


def late(host: Host, job: Job) -> float:
    """Seconds for which the oldest finished segment waits, in the database or its folder; 0 if none does."""
    own = spool(host, job)
    ready = where(host, job)[1] / "pg_wal/archive_status"
    times = []
    for path in (*own.waiting(), *ready.glob("*.ready")):
        try:
            times.append(path.stat().st_mtime)
        except FileNotFoundError:
            continue  # it went meanwhile
    return max(0.0, time.time() - min(times)) if times else 0.0


def problem(host: Host, job: Job) -> str:
    """What is wrong with the job's log; empty if nothing is."""
    lost = base.gap(host, job).split()
    if lost:
        return f"{len(lost)} segments of the log are lost since {lost[0]}: its folder was full"
    waits = late(host, job)
    if waits > LATE:
        why = str(spool(host, job).told().get("failed") or "nobody takes it there")
        return f"the log of the last {waits / 60:.0f} min is not in the repository: {why}"
    return ""


def alert(host: Host, job: Job) -> None:
    """Tell what is wrong, once an hour."""
    said = problem(host, job)
    if said:
        report(host, Event(f"archive:{job.name}", "failure", f"{job.name}: its log is not kept", said))
