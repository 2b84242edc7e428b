# GPL-3.0-or-later
"""What is known of each job: its snapshots, their records, and what came of restoring them.

Beside the data the repository holds small snapshots of its own: a record of what the data was when it was
taken, without which a snapshot does not count, and verdicts. A new host reads them; nothing else is needed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from drover import marks
from drover.backups.jobs import Job
from drover.backups.restic import Restic, Snapshot
from drover.errors import TROUBLE
from drover.host import Host
from drover.layout import Layout
from drover.run import DroverError
from drover.state import Kept
from drover.table import stamp

REPOSITORY = "repository"  # as it is called among jobs
DATA, RECORD, VERDICT = "data", "record", "verdict"  # tags
OF, RESULT = "of=", "result="  # beginnings of tags
VERIFIED, FAILED, UNVERIFIED = "verified", "failed", "unverified"
SKEW = 600.0  # seconds that two clocks may differ
# Kinds of lines.
CHECK = "check"  # of the repository, or (with a job) of that of its log
LEARNED, ACCEPTED, UNDONE, SETTLING = "learned", "accepted", "undo", ("restore", "import", "accepted")


class NoSnapshotError(DroverError):
    """A job has none that was asked for."""


class Complete(NamedTuple):
    """A snapshot with its record, and what the newest verdict says of it."""

    data: Snapshot
    record: Snapshot
    verdict: str = ""
    said: Snapshot | None = None  # the verdict itself


def complete(restic: Restic, job: Job) -> list[Complete]:
    """The job's snapshots that count, the newest last."""
    return sorted_out(restic.snapshots(job.tag))


def sorted_out(found: Iterable[Snapshot]) -> list[Complete]:
    """Pair them up. One without a record was killed before it was whole."""
    found = list(found)
    records = {tagged(each, OF): each for each in found if RECORD in each.tags}
    verdicts = {tagged(each, OF): each for each in found if VERDICT in each.tags}
    words = {of: tagged(each, RESULT) for of, each in verdicts.items()}
    return [
        Complete(each, records[each.identity], words.get(each.identity, ""), verdicts.get(each.identity))
        for each in found
        if DATA in each.tags and each.identity in records
    ]


def tagged(found: Snapshot, beginning: str) -> str:
    """What follows in the tag that begins so; empty without one."""
    return next((tag.removeprefix(beginning) for tag in found.tags if tag.startswith(beginning)), "")


def pick(found: Sequence[Complete], job: Job, snapshot: str, at: float, verified: bool) -> Complete:
    """The one that was named, else the newest; not younger than `at`, or the newest verified one."""
    if snapshot:
        named = [each for each in found if each.data.identity.startswith(snapshot)]
        if len(named) != 1:
            known = ", ".join(f"{each.data.identity[:8]} ({stamp(each.data.at)})" for each in found[-5:])
            raise DroverError(
                f"{job.name}: there is no snapshot {snapshot}; the newest are: {known or 'none'}"
            )
        return named[0]
    fitting = [
        each
        for each in found
        if (not at or each.data.at <= at) and (not verified or each.verdict == VERIFIED)
    ]
    if not fitting:
        what = "verified snapshot" if verified else "snapshot"
        raise NoSnapshotError(f"{job.name}: there is no {what}{f' from before {stamp(at)}' if at else ''}")
    wrong = ahead(fitting[-1].data, time.time())
    if wrong:
        raise DroverError(f"{job.name}: {wrong}")
    return fitting[-1]


def ahead(newest: Snapshot, now: float) -> str:
    """What is wrong with a snapshot from the future, which would be the newest until then, or nothing."""
    if newest.at <= now + SKEW:
        return ""
    return (
        f"the clock says {stamp(now)}, and snapshot {newest.identity[:8]} is of {stamp(newest.at)}: one of "
        "them is wrong. Set the clock, or forget that snapshot: docs/backups.md"
    )


def record(restic: Restic, found: Complete) -> dict[str, Any]:
    """What the data was when it was taken."""
    told = json.loads(restic.text(found.record))
    if not isinstance(told, dict):
        raise DroverError("the record of the snapshot is not one")
    return told


# Written


def add_record(restic: Restic, job: Job, snapshot: str, told: dict[str, Any]) -> None:
    """From now on the snapshot counts."""
    restic.keep_text(json.dumps(told), f"/{job.name}/record.json", [RECORD, job.tag, f"{OF}{snapshot}"])


def add_verdict(restic: Restic, job: Job, snapshot: str, result: str, text: str) -> None:
    """What came of restoring it, for whoever has only the repository."""
    tags = [VERDICT, job.tag, f"{OF}{snapshot}", f"{RESULT}{result}"]
    restic.keep_text(json.dumps({"text": text, "at": time.time()}), f"/{job.name}/verdict.json", tags)


def learn(host: Host, restic: Restic) -> int:
    """A host that knows of no backup reads the repository's; how many there are.

    All of them at once: what stopped in between would be a host that knows of some, and awaits nothing.
    """
    if host.state.kept():
        return 0
    rows = [Kept("escrow", "", "", time.time(), 0.0, 0, "ok", "")] if restic.has_user("escrow") else []
    records = dict[str, Snapshot]()
    for each in restic.snapshots():
        job = tagged(each, "job=")
        if RECORD in each.tags:
            records[job.partition("/")[0]] = each
            rows.append(Kept("backup", job, tagged(each, OF), each.at, 0.0, 0, "ok", ""))
        elif VERDICT in each.tags:
            rows.append(Kept("verify", job, tagged(each, OF), each.at, 0.0, 0, tagged(each, RESULT), ""))
    newest = {row.job: row for row in rows if row.kind == "backup"}
    rows += [row._replace(kind=LEARNED) for row in newest.values() if _is_new(host.layout, row)]
    for each in records.values():  # the newest of each stack
        try:
            found = marks.read(json.loads(restic.text(each)).get("rolled_back") or [])
        except (*TROUBLE, ValueError) as error:  # a host comes back although that is damaged
            host.say(f"what was rolled back is not known of {tagged(each, 'job=')}: {error}")
        else:
            marks.take(host.state, found)
    host.state.keep_all(rows)
    return len(rows)


def _is_new(layout: Layout, row: Kept) -> bool:
    """Whether the job's stack came here after its newest backup, as on a new host."""
    try:
        return (layout.stack(row.job.partition("/")[0]) / "current").lstat().st_mtime > row.at
    except FileNotFoundError:
        return True


def unclean(rows: Iterable[Kept]) -> list[Kept]:
    """Checks of the repository that failed, until one of the same part (its `snapshot`) does not."""
    last = {row.snapshot: row for row in rows if (row.kind, row.job) == (CHECK, "")}
    return [row for row in last.values() if row.result == FAILED]


def awaited(rows: Iterable[Kept]) -> Kept | None:
    """Of a job's lines: the snapshot from before this host, if its data neither came back nor was given up.

    As long as nobody decided, a backup would put what `site` has just made before what is to come back.
    """
    learned, settled = None, 0
    for row in rows:
        if row.kind == LEARNED:
            learned, settled = row, 0
        elif row.result == "ok":
            settled += (row.kind in SETTLING) - (row.kind == UNDONE)
    return learned if settled <= 0 else None


def accept(host: Host, job: Job) -> None:
    """What is here counts, whatever the repository has of before."""
    if awaited(host.state.kept(job.name)):
        host.state.keep(Kept(ACCEPTED, job.name, "", time.time(), 0.0, 0, "ok", ""))
