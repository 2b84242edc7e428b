# GPL-3.0-or-later
"""`drover backups`: of each job how old the newest backup is, and the newest that was seen to come back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from drover.backups import escrow, jobs, ledger, settings
from drover.backups.jobs import Job
from drover.backups.ledger import REPOSITORY, VERIFIED
from drover.backups.pitr import state
from drover.host import Host
from drover.layout import Layout
from drover.state import Kept
from drover.table import aligned, stamp

HEAD = ("JOB", "ENGINE", "NEWEST", "VERIFIED", "SIZE", "")


def overview(host: Host, only: str = "") -> list[dict[str, Any]]:
    """A line for each job of a host that makes backups, from what this host has recorded."""
    found = settings.read(host.layout)
    if found is None:
        return []
    rows, now = host.state.kept(), time.time()
    lines = [
        _with_log(
            host,
            job,
            {
                "job": job.name,
                "engine": job.wanted.engine,
                **line([row for row in rows if row.job == job.name], found.max_age, now),
            },
        )
        for job in jobs.every_job(host.layout)
        if only in ("", job.wish.stack)
    ]
    return lines if only else [*lines, *_repository(rows, found.max_age, now)]


def _repository(rows: Sequence[Kept], max_age: float, now: float) -> list[dict[str, Any]]:
    """A line for the repository itself while a check of it, or what has to come before one, failed."""
    said = [
        f"its check of {stamp(row.at)} failed: {(row.text.splitlines() or [''])[0]}"
        for row in ledger.unclean(rows)[:1]
    ]
    return [{"job": REPOSITORY, "engine": "", **line([], max_age, now), "problem": text} for text in said]


def _with_log(host: Host, job: Job, row: dict[str, Any]) -> dict[str, Any]:
    """How it stands with the job's log too, where that is kept."""
    if not job.wanted.point_in_time:
        return row
    found = state.of(host, job)
    return {**row, "point_in_time": found, "problem": row["problem"] or found["problem"]}


def notes(host: Host, found: Sequence[Mapping[str, Any]]) -> list[str]:
    """What whoever looks after the host should know, and is no fault of today."""
    without = unsaved(host.layout)
    if without:
        return list(without)
    if found and not any(row.kind == escrow.KIND for row in host.state.kept()):
        return ["the repository has no key that is kept offline: run `drover escrow` at a terminal"]
    return []


def unsaved(layout: Layout, only: Sequence[str] = ()) -> tuple[str, ...]:
    """That data is not backed up, since nobody said where."""
    data = ", ".join(lacking(layout, only))
    return (f"no backups are made of {data}: drover_platform.backup.repository is not set",) if data else ()


def lacking(layout: Layout, only: Sequence[str] = ()) -> list[str]:
    """Data of which nothing is kept, by job."""
    if settings.read(layout) is not None:
        return []
    return [job.name for job in jobs.every_job(layout) if not only or job.wish.stack in only]


def line(rows: Sequence[Kept], max_age: float, now: float) -> dict[str, Any]:
    """How it stands with one job, and what is wrong."""
    back = [row for row in rows if row.kind == "restore" and row.result == "ok"][-1:]
    rows = [row for row in rows if row.kind in ("backup", "verify")]
    good = [row for row in rows if row.kind == "backup" and row.result == "ok"]
    sure = [row for row in rows if row.kind == "verify" and row.result == VERIFIED]
    taken = {row.snapshot: row.at for row in good}
    verified = max((taken.get(row.snapshot, row.at) for row in sure), default=0.0)
    newest = good[-1] if good else None
    return {
        "newest": stamp(newest.at) if newest else "",
        "newest_age_hours": _hours(newest.at, now) if newest else None,
        "verified": stamp(verified),
        "verified_age_hours": _hours(verified, now) if verified else None,
        "bytes": newest.bytes if newest else 0,
        "snapshot": newest.snapshot if newest else "",
        "restored": [{"at": stamp(row.at), "snapshot": row.snapshot, "text": row.text} for row in back],
        "problem": problem(rows, verified, max_age, now),
    }


def _hours(moment: float, now: float) -> float:
    return round((now - moment) / 3600, 1)


def problem(rows: Sequence[Kept], verified: float, max_age: float, now: float) -> str:
    """Empty if nothing is wrong. A job that is new has as much time as one that was verified now."""
    last = {row.kind: row for row in rows}
    for kind, what in (("backup", "the last backup failed"), ("verify", "the last verification")):
        row = last.get(kind)
        if row and row.result == "failed":
            return f"{what}{' failed' if kind == 'verify' else ''}: {(row.text.splitlines() or [''])[0]}"
    if "verify" in last and last["verify"].result == "unverified":
        return last["verify"].text
    if not rows:
        return "there is no backup yet"
    since = verified or min(row.at for row in rows)
    if now - since > max_age:
        return f"no verified backup for {(now - since) / 3600:.0f} h"
    return ""


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """The same for a person."""
    rows = [
        (
            each["job"],
            each["engine"],
            each["newest"] or "never",
            each["verified"] or "never",
            f"{each['bytes'] / 1e6:.1f} MB",
            each["problem"],
        )
        for each in found
        if each["engine"]
    ]
    odd = [f"{each['job']}: {each['problem']}" for each in found if not each["engine"]]
    logs = [state.line(each["job"], each["point_in_time"]) for each in found if "point_in_time" in each]
    lines = aligned([HEAD, *rows]) if rows else ["nothing on this host is backed up"]
    return "\n".join([*lines, *logs, *odd])
