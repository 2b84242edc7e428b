# GPL-3.0-or-later
"""Old base backups go with the log that only they needed; what stays is looked through."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import partial

from drover.backups import ledger
from drover.backups.backup import Outcome, tried
from drover.backups.jobs import Job
from drover.backups.pitr import EXPIRE, REPLAY
from drover.backups.pitr.base import named
from drover.backups.pitr.pgbackrest import PgBackRest, where
from drover.host import Host
from drover.run import DroverError
from drover.state import Kept

GOOD = "status: ok"
NOTHING = "missing: 0, checksum invalid: 0, size invalid: 0, other: 0"


def every(host: Host, max_age: float, chosen: Iterable[Job]) -> dict[str, Outcome]:
    """Of those whose log is kept, one after the other."""
    return {
        named(job): tried(host, EXPIRE, job.name, partial(one, host, max_age, job))
        for job in chosen
        if job.wanted.point_in_time
    }


def one(host: Host, max_age: float, job: Job) -> Outcome:
    """Let go what the configuration does not keep, unless the newest is in doubt."""
    why = doubt(host.state.kept(job.name), time.time(), max_age)
    if why:
        raise DroverError(f"nothing of its log goes: {why}")
    program = PgBackRest(host, job, where(host, job)[1])
    program.do("expire")
    # It ends with 0 whatever it finds.
    said = program.do("--output=text", "--verbose", "verify")
    wrong = "" if GOOD in said else f"the repository is damaged: {damage(said)}"
    result = ledger.FAILED if wrong else "ok"
    host.state.keep(Kept(ledger.CHECK, job.name, "", time.time(), 0.0, 0, result, wrong))
    if wrong:
        raise DroverError(wrong)
    return Outcome("ok", "")


def damage(report: str) -> str:
    """The lines of pgBackRest's report that tell of any; bounded."""
    lines = [line.strip() for line in report.splitlines() if "status: valid" not in line]
    return "; ".join(line for line in lines if not line.startswith(NOTHING))[:600]


def doubt(rows: Sequence[Kept], now: float, max_age: float) -> str:
    """Why old ones are still needed; empty if they are not."""
    tries = [row for row in rows if row.kind == REPLAY]
    if not tries:
        return "nothing was restored out of it yet"
    if tries[-1].result != ledger.VERIFIED:
        return "the newest verification failed, or could compare nothing"
    return "the newest verification is old" if now - tries[-1].at > max_age else ""
