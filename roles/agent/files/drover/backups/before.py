# GPL-3.0-or-later
"""A backup as a part of a deploy, which a rollback names."""

from __future__ import annotations

from drover import lifecycle
from drover.backups import backup, clients, jobs, settings
from drover.backups.restic import Restic
from drover.errors import StackError
from drover.host import Host, locked
from drover.table import stamp

LOCK_SECONDS = 3600.0  # a backup of the timer's may be under way


def save(host: Host, stack: str) -> None:
    """Back up all the stack's data; a StackError if any of it could not be."""
    if not lifecycle.of(host.layout).saves:
        host.say(f"{stack}: no backup: {lifecycle.of(host.layout).said}")
        return
    found = settings.need(host.layout)
    chosen = [each for each in jobs.every_job(host.layout) if each.wish.stack == stack]
    with locked(host.layout, "backup", LOCK_SECONDS, host.say, file=clients.LOCK) as alone:
        clients.tidy(alone)
        done = backup.every(alone, Restic(alone.layout, alone.run, found), chosen)
    wrong = [f"{name}: {each.text}" for name, each in done.items() if each.result != "ok"]
    if wrong:
        raise StackError("the backup before the deploy failed: " + "; ".join(wrong))


def last(host: Host, stack: str, before: float) -> list[str]:
    """The newest snapshots from before that moment, each as the command that brings it back."""
    rows = [
        row for row in host.state.kept() if row.kind == "backup" and row.result == "ok" and row.at <= before
    ]
    newest = {row.job: row for row in rows if row.job.partition("/")[0] == stack}
    return [
        f"data of {stamp(row.at)}: drover restore {name} --snapshot {row.snapshot[:8]} --replace"
        for name, row in sorted(newest.items())
    ]
