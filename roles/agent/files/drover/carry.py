# GPL-3.0-or-later
"""Carry out plans of stacks that shall run: images first, then each stack by itself, all at the same time."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress

from drover import images
from drover.deploy import Deploy, Deployed
from drover.errors import TROUBLE, StackError
from drover.host import Host
from drover.plan import Plan
from drover.prepare import wanted
from drover.prune import prune
from drover.watch import Watch

Outcome = Callable[[Plan, "StackError | None"], None]


def bring(host: Host, plans: Sequence[Plan], done: Outcome, forward: bool, forced: bool = False) -> None:
    """Bring these stacks to what was wished; `done` is told of each as soon as it is well or has failed.

    After a step forward, what no rollback needs is removed; one that was forced is no longer marked as bad.
    The threads never touch the database: what they learned is recorded here.
    """
    uids = host.state.image_uids()
    here = images.need_all(host.run, (name for plan in plans for name in wanted(plan)))
    watch = Watch(host.run)
    with ThreadPoolExecutor(len(plans)) as pool:
        running = {pool.submit(Deploy(host, plan, watch, here, uids).run): plan for plan in plans}
        try:
            for each in as_completed(running):
                done(running[each], _outcome(host, running[each], each, forward, forced))
        except BaseException:
            watch.end()
            raise


def _outcome(
    host: Host, plan: Plan, ended: Future[Deployed], forward: bool, forced: bool
) -> StackError | None:
    try:
        found = ended.result()
        wish = plan.wish
        host.state.record_applied(wish.stack, wish.release, found.seen, time.time())
        if forced:
            host.state.unmark(wish.stack, wish.release, wish.version)
    except TROUBLE as failure:
        return StackError(str(failure))
    except StackError as trouble:
        return trouble
    if forward:
        try:
            prune(host, plan)
        except TROUBLE as failure:  # nothing that runs is worse for it
            host.say(f"{plan.wish.stack}: old releases were not removed: {failure}")
    if found.uids:
        with suppress(sqlite3.Error):  # it is only asked again
            host.state.record_image_uids(found.uids)
    return None
