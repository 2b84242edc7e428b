# GPL-3.0-or-later
"""`drover verify`: the newest snapshot of each job is restored into a copy and compared with its record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from drover.backups import jobs, ledger, room
from drover.backups.backup import Outcome, tried
from drover.backups.copies import Copy, passing
from drover.backups.jobs import Job
from drover.backups.ledger import Complete
from drover.backups.restic import Restic
from drover.host import Host


def every(host: Host, restic: Restic, chosen: Iterable[Job], spoil: str = "") -> dict[str, Outcome]:
    """One after the other. `spoil`: a command that is run in each copy before the comparison, for a drill."""
    return {
        job.name: tried(host, "verify", job, partial(one, host, restic, job, spoil), bool(spoil))
        for job in chosen
    }


def one(host: Host, restic: Restic, job: Job, spoil: str) -> Outcome:
    """The verdict, which is written into the repository too; a drill's is not."""
    restic.need_writable()
    found = ledger.pick(ledger.complete(restic, job), job, "", 0.0, verified=False)
    told = ledger.record(restic, found)
    try:
        room.need(jobs.folder(host.layout, host.run, job), weight(told), restic.settings.reserve)
    except room.NoRoomError as error:
        return Outcome(ledger.UNVERIFIED, str(error), found.data.identity, int(told["bytes"]))
    said = compared(host, restic, job, found, told, spoil)
    result, text = (ledger.FAILED, "\n".join(said)) if said else (ledger.VERIFIED, "")
    if not spoil:
        ledger.add_verdict(restic, job, found.data.identity, result, text)
    return Outcome(result, text, found.data.identity, int(told["bytes"]))


def weight(told: Mapping[str, Any]) -> int:
    """Bytes that a copy takes: about what the data took, and never less than the dump."""
    return max(int(told["bytes"]), int(told.get("disk") or 0))


def compared(
    host: Host, restic: Restic, job: Job, found: Complete, told: Mapping[str, Any], spoil: str
) -> list[str]:
    """What is not as it was recorded, in a copy that is gone afterwards."""
    place = room.make(host, job)
    try:
        with passing(Copy(host, job, told, place, "")) as copy:
            copy.fill(restic, found)
            if spoil:
                copy.shell(spoil)
            return copy.differences()
    finally:
        room.drop(host, place)
