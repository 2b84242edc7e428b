# GPL-3.0-or-later
"""`drover restore --undo`: what the last restore or import replaced takes its place again."""

from __future__ import annotations

import time
from collections.abc import Sequence

from drover.backups import place, room
from drover.backups.backup import Outcome
from drover.backups.jobs import Job
from drover.backups.ledger import UNDONE
from drover.backups.room import Room
from drover.errors import TROUBLE
from drover.host import Host
from drover.record import redactor
from drover.run import DroverError
from drover.state import Kept


def undo(host: Host, wanted: Sequence[Job], *, check: bool) -> dict[str, Outcome]:
    """Of all of them or, where something is in the way, of none."""
    found = [(job, room.newest(host, job)) for job in wanted]
    said = [f"{job.name}: nothing is kept that a restore replaced" for job, each in found if not each]
    said += [
        f"{job.name}: its log went on from the restore; docs/backups.md says how what is kept comes back"
        for job in wanted
        if job.wanted.point_in_time
    ]
    said += room.obstacles(host, wanted)
    if said:
        raise DroverError(f"nothing was changed: {'; '.join(said)}")
    rooms = [(job, each) for job, each in found if each]
    if check:
        return {
            job.name: Outcome("would restore", f"what is kept in {each.source}, into place")
            for job, each in rooms
        }
    done: dict[str, Outcome] = {}
    for stack in dict.fromkeys(job.wish.stack for job in wanted):
        done |= _stack(host, stack, [(job, each) for job, each in rooms if job.wish.stack == stack])
    return done


def _stack(host: Host, stack: str, rooms: Sequence[tuple[Job, Room]]) -> dict[str, Outcome]:
    began, kept, wrong = time.time(), dict[str, str](), ""
    try:
        place.exchange(host, "restore", stack, rooms, kept)
    except TROUBLE as error:
        wrong = redactor(host.layout)(str(error))
    done = {}
    for job, each in rooms:
        text = f"is what was kept in {each.source}; what was there is kept in {kept.get(job.name)}"
        if job.name not in kept:
            outcome = Outcome("failed", wrong)
        else:
            outcome = Outcome("failed", f"{text}; but {wrong}") if wrong else Outcome("ok", text)
        seconds = round(time.time() - began, 1)
        host.state.keep(Kept(UNDONE, job.name, "", began, seconds, 0, outcome.result, outcome.text))
        done[job.name] = outcome._replace(seconds=seconds)
    return done
