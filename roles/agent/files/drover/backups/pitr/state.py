# GPL-3.0-or-later
"""How it stands with a database's log: how far it is in the repository, and when it was last verified."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from drover.backups import ledger
from drover.backups.jobs import Job
from drover.backups.pitr import BASE, REPLAY, archive
from drover.errors import TROUBLE
from drover.host import Host
from drover.state import Kept
from drover.table import stamp


def of(host: Host, job: Job) -> dict[str, Any]:
    """From what this host has recorded. `waits_seconds`: of the oldest that is finished and not there yet."""
    rows, told = host.state.kept(job.name), archive.spool(host, job).told()
    newest = _last(rows, BASE, "ok")
    sure = _last(rows, REPLAY, ledger.VERIFIED)
    try:
        waits, problem = archive.late(host, job), archive.problem(host, job)
    except TROUBLE as error:
        waits, problem = 0.0, str(error)
    return {
        "archived": stamp(float(told.get("at") or 0)),
        "archived_age_seconds": round(time.time() - told["at"]) if told.get("at") else None,
        "waits_seconds": round(waits),
        "base": newest.snapshot if newest else "",
        "base_at": stamp(newest.at) if newest else "",
        "verified": stamp(sure.at) if sure else "",
        "problem": problem or _wrong(rows),
    }


def _last(rows: Sequence[Kept], kind: str, result: str) -> Kept | None:
    return next((row for row in reversed(rows) if (row.kind, row.result) == (kind, result)), None)


def _wrong(rows: Sequence[Kept]) -> str:
    """What the last run of each kind said, if it failed."""
    last = {row.kind: row for row in rows}
    for kind, what in (
        (BASE, "the last base backup failed"),
        (REPLAY, "the log's verification failed"),
        (ledger.CHECK, "the last check of its log failed"),
    ):
        row = last.get(kind)
        if row and row.result == ledger.FAILED:
            return f"{what}: {(row.text.splitlines() or [''])[0]}"
    return "" if BASE in last else "there is no base backup for its log yet"


def line(job: str, found: Mapping[str, Any]) -> str:
    """The same for a person."""
    waits = f", {found['waits_seconds']} s wait" if found["waits_seconds"] else ""
    return (
        f"{job}: its log is kept to {found['archived'] or 'nothing yet'}{waits}; base of "
        f"{found['base_at'] or 'never'}, verified {found['verified'] or 'never'}"
    )
