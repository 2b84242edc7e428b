# GPL-3.0-or-later
"""`drover import`: a dump or folder of another server becomes a job's data, the same way as a restore.

It becomes a copy, which takes the data's place when all is well; then it is backed up.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

from drover.backups import arrivals, backup, dumps, jobs, ledger, place, room
from drover.backups.backup import Outcome
from drover.backups.copies import Copy
from drover.backups.dumps import PEOPLE_SAY, Dump, Found
from drover.backups.jobs import Job
from drover.backups.restic import Restic
from drover.backups.room import Room
from drover.errors import TROUBLE
from drover.host import Host
from drover.record import redactor
from drover.run import DroverError
from drover.state import Kept

RESERVE = 1 << 30  # bytes, where no backups are made and nobody said how many
KIND = "import"


class Asked(NamedTuple):
    """What whoever asks has thought of."""

    replace: bool = False  # there is data, and it may be replaced
    no_owner: bool = False  # roles that the dump names need not exist
    check: bool = False


def bring_in(host: Host, restic: Restic | None, job: Job, path: Path, asked: Asked) -> Outcome:
    """What came of it. Nothing is changed where something is in the way."""
    began = time.time()
    found = dumps.recognise(path)
    free = asked.replace or not place.is_filled(host, job)
    refuse(found, job, free or asked.check)
    _need_place(host, job)
    if place.lacks(host, job) and not asked.check:
        place.make(host, job.wish)
        _need_place(host, job)
    host.say(f"{job.name}: read {path}")
    dump = dumps.read(found)
    if asked.check:
        return _planned(host, restic, job, dump, asked, free)
    way = arrivals.plan(host, job, dump, asked.no_owner)
    _need_room(host, restic, job, dump)
    done = _into_place(host, job, dump, way)
    done = done._replace(bytes=dump.size, seconds=round(time.time() - began, 1))
    host.state.keep(Kept(KIND, job.name, "", began, done.seconds, done.bytes, done.result, done.text))
    return _saved(host, restic, job, done) if done.result == "ok" else done


def refuse(found: Found, job: Job, free: bool) -> None:
    """Say why it is no dump for this job, or what has to be said before one takes its place."""
    if found.kind.engine != job.wanted.engine:
        raise DroverError(
            f"nothing was changed: {found.path} is {found.kind.name}, and {job.name} is "
            f"{PEOPLE_SAY[job.wanted.engine]}"
        )
    if not free:
        raise DroverError(f"nothing was changed: {job.name}: {place.FILLED}")


def _need_place(host: Host, job: Job) -> None:
    wrong = room.obstacle(host, job)
    if wrong:
        raise DroverError(f"nothing was changed: {job.name}: {wrong}")


def _need_room(host: Host, restic: Restic | None, job: Job, dump: Dump) -> None:
    target = jobs.folder(host.layout, host.run, job)
    room.need(target, dump.weight, restic.settings.reserve if restic else RESERVE)


def _planned(host: Host, restic: Restic | None, job: Job, dump: Dump, asked: Asked, free: bool) -> Outcome:
    """What would come, and what whoever asks has to say first."""
    unsaid = [] if free else [place.FILLED]
    try:
        arrivals.plan(host, job, dump, asked.no_owner)
    except arrivals.UnsaidError as error:
        unsaid.append(str(error))
    _need_room(host, restic, job, dump)
    text = "".join((_described(dump), *(f"; in its way: {each}" for each in unsaid)))
    return Outcome("would import", text, bytes=dump.size)


def _described(dump: Dump) -> str:
    packed = f", packed by {dump.found.packed}" if dump.found.packed else ""
    names = f", with {', '.join(sorted(dump.named.databases))}" if dump.named.databases else ""
    return f"{dump.found.path}: {dump.found.kind.name}{packed}, {dump.size / 1e6:.1f} MB{names}; it is whole"


def _into_place(host: Host, job: Job, dump: Dump, way: arrivals.Way) -> Outcome:
    kept, notes, content = dict[str, str](), "", dict[str, str]()
    try:
        made, notes, content = _copied(host, job, dump, way)
        try:
            place.exchange(host, KIND, job.wish.stack, [(job, made)], kept)
        except TROUBLE:
            if not kept:
                room.drop(host, made)
            raise
    except TROUBLE as error:
        wrong = redactor(host.layout)(str(error))
        if not kept:
            return Outcome("failed", f"nothing was changed: {wrong}")
        ledger.accept(host, job)
        return Outcome("failed", f"{_done(dump, kept[job.name], notes)}; but {wrong}", content=content)
    return Outcome("ok", _done(dump, kept[job.name], notes), content=content)


def _done(dump: Dump, kept: str, notes: str) -> str:
    text = f"is what {dump.found.path} holds; what was there is kept in {kept}"
    return f"{text}; {notes}" if notes else text


def _copied(host: Host, job: Job, dump: Dump, way: arrivals.Way) -> tuple[Room, str, dict[str, str]]:
    """A whole copy with nothing running over it; notes, and what is in it."""
    host.say(f"{job.name}: fill a copy")
    made = room.make(host, job)
    copy = Copy(host, job, {}, made, "")
    try:
        notes = arrivals.fill(copy, dump, way)
        content = copy.content()
        copy.settle()
    except BaseException:
        copy.end()
        room.drop(host, made)
        raise
    return made, notes, content


def _saved(host: Host, restic: Restic | None, job: Job, done: Outcome) -> Outcome:
    """What is new here is nowhere else: it is backed up at once."""
    if restic is None:
        return done._replace(text=f"{done.text}; no backup is made of it")
    saved = backup.tried(host, "backup", job.name, partial(backup.one, host, restic, job))
    if saved.result != "ok":
        return done._replace(result="failed", text=f"{done.text}; but its backup failed: {saved.text}")
    return done._replace(snapshot=saved.snapshot, text=f"{done.text}; backed up as {saved.snapshot[:8]}")
