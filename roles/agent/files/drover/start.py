# GPL-3.0-or-later
"""From created to well: start what may start, wait for what must, finish each stack once it is well."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from drover import compose, finish, health
from drover.docker import Container, observe, of_stack
from drover.errors import TROUBLE, StackError
from drover.host import Host
from drover.plan import Plan
from drover.release import Manifest

DEADLINE = 120.0  # seconds until a stack must be well
POLL = (0.1, 0.2, 0.3, 0.5)


class Ready(NamedTuple):
    """A stack whose containers are as the release says, and that now has to start."""

    plan: Plan
    began: float
    again: frozenset[str]
    uids: dict[str, int]
    until: float  # of the monotonic clock


Outcome = Callable[[Plan, "StackError | None"], None]


def until_well(host: Host, ready: Sequence[Ready], done: Outcome) -> None:
    """Start what may start, and finish each stack as soon as it is well."""
    pending = {each.plan.wish.stack: each for each in ready}
    mended: set[str] = set()
    polls = 0
    while pending:
        containers = observe(host.run)
        silent = health.ask_all(
            [
                question
                for each in pending.values()
                for question in health.questions(each.plan.wish, of_stack(containers, each.plan.wish.stack))
            ]
        )
        for stack, each in list(pending.items()):
            trouble = _advance(host, each, containers, silent, mended)
            if trouble is not WAITING:
                del pending[stack]
                done(each.plan, trouble)
        if pending:
            time.sleep(POLL[min(polls, len(POLL) - 1)])
            polls += 1


WAITING = StackError("is not well yet")


def _advance(
    host: Host, ready: Ready, containers: Sequence[Container], silent: dict[str, str], mended: set[str]
) -> StackError | None:
    """One look at one stack: None when it is well, WAITING while it needs time, else the error."""
    wish = ready.plan.wish
    own = [each for each in of_stack(containers, wish.stack) if each.name == each.usual_name and each.hash]
    found = health.judge(wish, own, ready.again, ready.began, time.time(), silent)
    try:
        if found.failed:
            raise StackError(found.failed.reason, found.failed.service, found.failed.container)
        for each in found.start:
            _start(host, ready, each, mended)
        if found.well:
            finish.finish(host, ready.plan, containers)
            return None
        if time.monotonic() > ready.until:
            raise _late(wish, found, own)
    except TROUBLE as failure:
        return StackError(str(failure))
    except StackError as trouble:
        return trouble
    return WAITING


def _late(wish: Manifest, found: health.Judgement, own: Sequence[Container]) -> StackError:
    waits = "; ".join(found.waits)
    first = next(
        (each for each in own if any(text.startswith(f"{each.name} ") for text in found.waits)), None
    )
    if first is None:
        return StackError(f"not well after {DEADLINE:.0f} s: {waits}")
    return StackError(f"not well after {DEADLINE:.0f} s: {waits}", first.service, first.identity)


def _start(host: Host, ready: Ready, each: Container, mended: set[str]) -> None:
    """Start one container. One whose network was removed by hand can never start: it is made anew, once."""
    host.say(f"{each.stack}: start {each.service}")
    done = host.run(["docker", "start", each.identity])
    if not done.code or "No such container" in done.err:
        return
    if "network" in done.err and "not found" in done.err and each.name not in mended:
        mended.add(each.name)
        wish = ready.plan.wish
        release = host.layout.release(wish.stack, wish.release)
        compose.do(host.run, compose.create(release, wish, [each.service]))
        return
    raise StackError(f"Docker could not start it: {done.words}", each.service)
