# GPL-3.0-or-later
"""`drover retention`: old snapshots go if newer ones are known to be good; the repository is checked."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from functools import partial

from drover.backups import ledger, room
from drover.backups.backup import Outcome
from drover.backups.jobs import Job
from drover.backups.ledger import CHECK, DATA, FAILED, OF, REPOSITORY, VERIFIED, Complete
from drover.backups.restic import Restic
from drover.errors import TROUBLE
from drover.host import Host
from drover.record import redactor
from drover.report import Event, report
from drover.run import DroverError
from drover.state import Kept

PARTS = 10  # the share of the repository's data that is read each time: a tenth
KEY = "retention"
UNSURE = "the newest verification failed"


def run(host: Host, restic: Restic, chosen: Iterable[Job]) -> dict[str, Outcome]:
    """Forget by job, check the whole; what restores replaced long ago goes too."""
    done = {}
    for job in chosen:
        try:
            done[job.name] = one(host, restic, job, time.time())
        except TROUBLE as error:
            done[job.name] = Outcome("refused", str(error))
    checked = _checked(host, restic)
    if checked.result != "ok":
        done[REPOSITORY] = checked
    gone = room.outdated(host, restic.settings.safety_days)
    if gone:
        host.say(f"removed what restores replaced: {', '.join(gone)}")
    wrong = [f"{name}: {each.text}" for name, each in done.items() if each.result != "ok"]
    if wrong:
        report(host, Event(KEY, "failure", "Old backups were not removed", "\n".join(wrong)))
    return done


def _checked(host: Host, restic: Restic) -> Outcome:
    """Prune, and check this week's part of the data; before it, parts in which something was found."""
    done = _noted(host, "", partial(_pruned, restic))
    week = f"{int(time.time() // (7 * 86400)) % PARTS + 1}/{PARTS}"
    found = [row.snapshot for row in ledger.unclean(host.state.kept()) if row.snapshot]
    for part in dict.fromkeys([*found, week]) if done.result == "ok" else ():
        said = _noted(host, part, partial(restic.do, "check", f"--read-data-subset={part}"))
        done = said if done.result == "ok" else done
    return done


def _noted(host: Host, part: str, work: Callable[[], object]) -> Outcome:
    """What came of it, which stays known until it comes out otherwise."""
    began, done = time.time(), Outcome("ok", "")
    try:
        work()
    except TROUBLE as error:
        done = Outcome(FAILED, redactor(host.layout)(str(error)))
    seconds = round(time.time() - began, 1)
    host.state.keep(Kept(CHECK, "", part, began, seconds, 0, done.result, done.text))
    return done


def _pruned(restic: Restic) -> None:
    restic.need_writable()
    _orphans(restic)
    restic.do("prune", "--max-unused=10%")


def one(host: Host, restic: Restic, job: Job, now: float) -> Outcome:
    """Forget the job's old snapshots, unless the newest is in doubt."""
    restic.need_writable()
    found = ledger.complete(restic, job)
    tries = [row.result for row in host.state.kept(job.name) if row.kind == "verify"]
    why = doubt(found, now, restic.settings.max_age, tries[-1:] == [FAILED])
    if why:
        raise DroverError(f"nothing is forgotten: {why}")
    _whole(restic, job, found)
    keep = [f"--keep-{span}={count}" for span, count in restic.settings.keep.items() if count]
    plan = restic.do("forget", "--dry-run", "--json", f"--tag={DATA},{job.tag}", "--group-by=tags", *keep)
    gone = removed(plan.out, found)
    if gone:
        restic.do("forget", *gone)
    return Outcome("ok", "", found[-1].data.identity)


def _whole(restic: Restic, job: Job, found: list[Complete]) -> None:
    """Snapshots that never became whole go first: restic's calendar would keep them instead of others."""
    counts = {each.data.identity for each in found}
    gone = [
        each.identity
        for each in restic.snapshots(job.tag)
        if DATA in each.tags and each.identity not in counts
    ]
    if gone:
        restic.do("forget", *gone)


def removed(plan: str, found: list[Complete]) -> list[str]:
    """What restic would forget; never the newest that was seen to come back, whatever the calendar says."""
    proven = [each.data.identity for each in found if each.verdict == VERIFIED]
    groups = json.loads(plan or "[]") or []
    told = [each["id"] for group in groups for each in group.get("remove") or []]
    return [each for each in told if each not in proven[-1:]]


def doubt(found: list[Complete], now: float, max_age: float, failed: bool = False) -> str:
    """Why old snapshots are still needed; empty if they are not.

    `failed`: so the last verification did here. One that could not even be restored has no verdict.
    """
    if not found:
        return "there is no snapshot that counts"
    wrong = ledger.ahead(found[-1].data, now)
    if wrong or failed:
        return wrong or UNSURE
    age = now - found[-1].data.at
    if age > max_age:
        return f"the newest snapshot is {age / 3600:.0f} h old"
    said = [each.said for each in found if each.said]
    if not said:
        return "none was verified yet"
    if found[-1].verdict == FAILED or ledger.tagged(said[-1], ledger.RESULT) == FAILED:
        return UNSURE
    age = now - max(each.at for each in said)
    return f"the newest verification is {age / 3600:.0f} h old" if age > max_age else ""


def _orphans(restic: Restic) -> None:
    """Records and verdicts of snapshots that are gone."""
    found = restic.snapshots()
    there = {each.identity for each in found if DATA in each.tags}
    gone = [
        each.identity
        for each in found
        if any(tag.startswith(OF) and tag.removeprefix(OF) not in there for tag in each.tags)
    ]
    if gone:
        restic.do("forget", *gone)
