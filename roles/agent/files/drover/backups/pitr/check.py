# GPL-3.0-or-later
"""Is what comes out of the log what was dumped? Compared with the dump's record, by the same code.

A dump lies between two marks in the log. The copy of the first has to hold what was dumped, but for tables
that changed meanwhile: those differ in the copy of the second mark too, and of them nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from drover.backups import jobs, ledger, room, stream, verify
from drover.backups.backup import Outcome, tried
from drover.backups.copies import passing
from drover.backups.engines import ENGINES
from drover.backups.engines.postgres import SEQUENCES, UNLOGGED
from drover.backups.jobs import Job
from drover.backups.parts import differences
from drover.backups.pitr import REPLAY, archive, moment
from drover.backups.pitr.base import named
from drover.backups.pitr.pgbackrest import PgBackRest, where
from drover.backups.pitr.replay import Replay
from drover.backups.restic import Restic
from drover.host import Host
from drover.run import DroverError


def every(host: Host, restic: Restic, chosen: Iterable[Job], spoil: str = "") -> dict[str, Outcome]:
    """Of those whose log is kept, one after the other. `spoil`: as `verify` has it."""
    return {
        named(job): tried(host, REPLAY, job.name, partial(one, host, restic, job, spoil), bool(spoil))
        for job in chosen
        if job.wanted.point_in_time
    }


def one(host: Host, restic: Restic, job: Job, spoil: str) -> Outcome:
    """The verdict."""
    told = _record(restic, job)
    try:
        room.need(jobs.folder(host.layout, host.run, job), verify.weight(told), restic.settings.reserve)
    except room.NoRoomError as error:
        return Outcome(ledger.UNVERIFIED, str(error))
    archive.flush(host, job)
    program = PgBackRest(host, job, where(host, job)[1])
    if not _is_on_way(program, told):
        return Outcome("ok", "the data went back since it was dumped; the next dump is compared")
    before, after = (str(each) for each in told["marks"])
    parts = _parts(host, program, told, before, spoil)
    wrong = unlike(told["parts"], parts)
    moved = set[str]()
    if wrong:
        later = _parts(host, program, told, after, spoil)
        moved = {name for name in wrong if parts.get(name) != later.get(name)}
    said = differences(*(_only(each, wrong - moved) for each in (told["parts"], parts)))
    if said:
        return Outcome(ledger.FAILED, "\n".join(said), "", int(told["bytes"]))
    text = f"{len(parts) - len(moved)} parts are as they were dumped, {len(moved)} changed meanwhile"
    return Outcome(ledger.VERIFIED, text, "", int(told["bytes"]))


def _is_on_way(program: PgBackRest, told: Mapping[str, Any]) -> bool:
    """Whether the data has come past the place of the dump, and has not been brought back to before it."""
    base = moment.at_time(program.bases(), program.job, float(told["marked"])).base
    forks = moment.forks(program.history(base.archive))
    return moment.is_on(int(told["timeline"]), moment.number(str(told["place"])), forks)


def _record(restic: Restic, job: Job) -> dict[str, Any]:
    """Of the newest dump between two marks."""
    for each in reversed(ledger.complete(restic, job)):
        told = ledger.record(restic, each)
        if told.get("marks"):
            return told
        break
    raise DroverError("the newest snapshot was made before the log was kept: make another one")


def _only(parts: Mapping[str, str], names: set[str]) -> dict[str, str]:
    return {name: value for name, value in parts.items() if name in names}


def unlike(recorded: Mapping[str, str], found: Mapping[str, str]) -> set[str]:
    """Parts that are not the same; what a log does not hold is none of them: sequences, unlogged tables."""
    names = {name for name in {*recorded, *found} if recorded.get(name) != found.get(name)}
    return {name for name in names - {SEQUENCES} if f"{name}{UNLOGGED}" not in found}


def _parts(host: Host, program: PgBackRest, told: Mapping[str, Any], mark: str, spoil: str) -> dict[str, str]:
    """What a dump of the copy of that mark holds. The copy is gone afterwards."""
    job = program.job
    place = room.make(host, job)
    try:
        known = moment.reachable(program)
        wanted = moment.at_mark(known, job, mark, float(told["marked"]))
        copy = Replay(host, program, wanted, told, place)
        with passing(copy):
            copy.replay()
            if spoil:
                copy.shell(spoil)
            assert copy.server  # noqa: S101  it was begun
            found = stream.taken(host, job, copy.server, ENGINES[job.wanted.engine], apart=True)
            return dict(found["parts"])
    finally:
        room.drop(host, place)
