# GPL-3.0-or-later
"""`drover backup`: a snapshot of each job, with a record of what was in it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from drover import marks
from drover.backups import files, jobs, ledger, room, sqlite, stream
from drover.backups import restic as program
from drover.backups.engines import ENGINES
from drover.backups.jobs import FILES, Job
from drover.backups.restic import Restic
from drover.errors import TROUBLE
from drover.host import Host
from drover.record import redactor
from drover.report import Event, report
from drover.run import DroverError
from drover.state import Kept
from drover.table import stamp

DROVER = "/usr/local/bin/drover"


class Outcome(NamedTuple):
    """What became of one job."""

    result: str
    text: str
    snapshot: str = ""
    bytes: int = 0
    seconds: float = 0.0
    moment: str = ""  # of the data that was restored, such as 2026-11-30T03:00:00Z
    content: Mapping[str, str] = {}  # part → how much is in it, where somebody should look at it


def every(host: Host, restic: Restic, chosen: Iterable[Job]) -> dict[str, Outcome]:
    """One after the other; one that fails holds up no other."""
    return {job.name: tried(host, "backup", job.name, partial(one, host, restic, job)) for job in chosen}


def tried(host: Host, kind: str, name: str, work: Callable[[], Outcome], drill: bool = False) -> Outcome:
    """What came of a job, recorded; a failure is told as one event. A drill is neither."""
    host.say(f"{name}: {kind}")
    began = time.time()
    try:
        done = work()
    except TROUBLE as error:
        done = Outcome("failed", redactor(host.layout)(str(error)))
    done = done._replace(seconds=round(time.time() - began, 1))
    return done if drill else noted(host, kind, name, done)


def noted(host: Host, kind: str, name: str, done: Outcome) -> Outcome:
    """The same, recorded; what is not good is told."""
    began = time.time() - done.seconds
    host.state.keep(Kept(kind, name, done.snapshot, began, done.seconds, done.bytes, done.result, done.text))
    if done.result in ("failed", ledger.UNVERIFIED):
        title = f"{name}: {'its backup failed' if kind == 'backup' else f'{kind} {done.result}'}"
        report(host, Event(f"{kind}:{name}", "failure", title, done.text))
    return done


def unknown(host: Host, problems: Mapping[str, str]) -> dict[str, Outcome]:
    """Stacks of which nobody can say what data they have."""
    for name, text in problems.items():
        report(host, Event(f"backup:{name}", "failure", f"{name}: it cannot be backed up", text))
    return {name: Outcome("failed", text) for name, text in problems.items()}


def one(host: Host, restic: Restic, job: Job) -> Outcome:
    """A snapshot that counts, or an error."""
    restic.need_writable()
    _decided(host, job)
    _in_order(host, restic, job)
    work = _volume if job.wanted.engine == FILES else _database
    identity, told = work(host, restic, job)
    told["disk"] = jobs.size(jobs.folder(host.layout, host.run, job))
    told["rolled_back"] = marks.told(each for each in host.state.marks() if each.stack == job.wish.stack)
    ledger.add_record(restic, job, identity, told)
    return Outcome("ok", files.notes(told), identity, int(told["bytes"]))


def _decided(host: Host, job: Job) -> None:
    """On a new host what was there before comes back first, or somebody says that it need not."""
    before = ledger.awaited(host.state.kept(job.name))
    if before:
        raise DroverError(
            f"the repository has its data of {stamp(before.at)}, from before this host was made, and it was "
            f"not restored: drover restore {job.name} --replace; or, if what is here is right, "
            f"drover backup {job.name} --accept"
        )


def _in_order(host: Host, restic: Restic, job: Job) -> None:
    """Nothing counts that is older than what is there; the repository is asked where this host doubts."""
    now = time.time()
    if any(row.at > now + ledger.SKEW for row in host.state.kept(job.name)):
        for each in ledger.complete(restic, job)[-1:]:
            wrong = ledger.ahead(each.data, now)
            if wrong:
                raise DroverError(wrong)


def _database(host: Host, restic: Restic, job: Job) -> tuple[str, dict[str, Any]]:
    """Restic reads what `drover dump` writes, and makes no snapshot unless that ends well."""
    stream.begin(host, job)
    name = f"/{job.name}/{ENGINES[job.wanted.engine].FILE}"
    words = [f"--stdin-filename={name}", "--stdin-from-command", "--", DROVER, "dump", job.name]
    try:
        done = restic.take_in(words, [ledger.DATA, job.tag])
    except DroverError as error:
        raise DroverError(stream.failure(host, job) or str(error)) from None
    return str(program.summary(done)["snapshot_id"]), stream.recorded(host, job)


def _volume(host: Host, restic: Restic, job: Job) -> tuple[str, dict[str, Any]]:
    """The files as they are, and SQLite databases as copies of their own; a damaged one is a file too."""
    place, staging = jobs.folder(host.layout, host.run, job), host.layout.staging / job.key
    before = files.look(place)
    room.need(host.layout.state.parent, sqlite.size(before), 0)
    damaged = sqlite.stage(place, before, staging)
    before = files.plain(before, damaged)
    told = files.digests(place, files.chosen(before))
    without = staging.with_suffix(".without")
    without.write_text(files.left_out(place, before), "utf-8", "surrogateescape")
    words = [str(place), str(staging), f"--exclude-file={without}"]
    done = restic.take_in(words, [ledger.DATA, job.tag], allowed=program.INCOMPLETE)
    lost = [
        (name, why) for name, why in program.errors(done) if "no such file" not in why
    ]  # some come and go
    if lost or (done.code and not program.errors(done)):
        name, why = lost[0] if lost else ("", done.words)
        raise DroverError(f"{len(lost)} files could not be read: {name}: {why}")
    staged = files.digests(staging, before.databases)
    damaged |= sqlite.damage(staging, before.databases)  # which SQLite copies as it is
    found = files.record(before, files.look(place), told, staged, damaged)
    shutil.rmtree(staging)
    return str(program.summary(done)["snapshot_id"]), {**found, "place": str(place), "staging": str(staging)}
