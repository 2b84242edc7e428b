# GPL-3.0-or-later
"""`drover verify`: the newest snapshot of each job is restored into a copy and compared with its record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from drover.backups import files, jobs, ledger, room
from drover.backups.backup import Outcome, tried
from drover.backups.copies import Copy, passing
from drover.backups.jobs import Job
from drover.backups.ledger import Complete
from drover.backups.restic import Restic
from drover.backups.servers import Server
from drover.host import Host


def every(host: Host, restic: Restic, chosen: Iterable[Job], spoil: str = "") -> dict[str, Outcome]:
    """One after the other. `spoil`: a command that is run in each copy before the comparison, for a drill."""
    return {
        job.name: tried(host, "verify", job.name, partial(one, host, restic, job, spoil), bool(spoil))
        for job in chosen
    }


def one(host: Host, restic: Restic, job: Job, spoil: str) -> Outcome:
    """The verdict on a job of this host's."""
    found = newest(restic, job)
    place = jobs.folder(host.layout, host.run, job)
    return judged(host, restic, found, Copied(job, ledger.record(restic, found), place), spoil)


def newest(restic: Restic, job: Job) -> Complete:
    """The snapshot that is verified."""
    restic.need_writable()
    return ledger.pick(ledger.complete(restic, job), job, "", 0.0, verified=False)


class Copied(NamedTuple):
    """What a copy is made of, and a folder of the disk it is on. `like`: its server, if not the job's."""

    job: Job
    told: Mapping[str, Any]
    place: Path
    like: Server | None = None


def judged(host: Host, restic: Restic, found: Complete, what: Copied, spoil: str) -> Outcome:
    """The verdict, which is written into the repository too; a drill's is not."""
    size = int(what.told["bytes"])
    try:
        room.need(what.place, weight(what.told), restic.settings.reserve)
    except room.NoRoomError as error:
        return Outcome(ledger.UNVERIFIED, str(error), found.data.identity, size)
    said = compared(host, restic, found, what, spoil)
    result, text = (ledger.FAILED, "\n".join(said)) if said else (ledger.VERIFIED, files.notes(what.told))
    if not spoil:
        ledger.add_verdict(restic, what.job, found.data.identity, result, text)
    return Outcome(result, text, found.data.identity, size)


def weight(told: Mapping[str, Any]) -> int:
    """Bytes that a copy takes: about what the data took, and never less than the dump."""
    return max(int(told["bytes"]), int(told.get("disk") or 0))


def compared(host: Host, restic: Restic, found: Complete, what: Copied, spoil: str) -> list[str]:
    """What is not as it was recorded, in a copy that is gone afterwards."""
    place = room.make(host, what.job)
    try:
        with passing(Copy(host, what.job, what.told, place, "", what.like)) as copy:
            copy.fill(restic, found)
            if spoil:
                copy.shell(spoil)
            return copy.differences()
    finally:
        room.drop(host, place)
