# GPL-3.0-or-later
"""From created to well, and well for a time: start what may start, wait for what must."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from drover import health
from drover.docker import Container
from drover.errors import StackError
from drover.release import Manifest
from drover.watch import Watch

POLL = (0.1, 0.2, 0.25)
CALM = 0.5  # where it is only looked whether something falls

Look = Callable[[], Sequence[Container]]


def until_well(
    wish: Manifest, watch: Watch, look: Look, began: float, start: Callable[[Sequence[Container]], None]
) -> None:
    """Call `start` with the containers that may start, until all are well; `look` finds those that stay."""
    until = time.monotonic() + wish.deploy.timeout
    polls = 0
    while True:
        own = look()
        found = _judged(wish, own, began)
        if found.start:
            start(found.start)
            until = max(until, time.monotonic() + wish.deploy.timeout)
        if found.well:
            return
        if time.monotonic() > until:
            raise _late(wish, found, own)
        watch.pause(POLL[min(polls, len(POLL) - 1)])
        polls += 1


def stay_well(
    wish: Manifest, watch: Watch, look: Look, began: float, seconds: float, fresh: Callable[[str], bool]
) -> None:
    """For so long nothing that is `fresh` may fall. What is not well for a moment has to begin again.

    The last look is one that began when the time was over, however long looking takes.
    """
    if not seconds:
        return
    until = time.monotonic() + seconds
    latest = until + wish.deploy.timeout
    before = {each.identity: each.started for each in look() if fresh(each.identity)}
    is_over = False
    while not is_over:
        watch.pause(min(max(until - time.monotonic(), 0.0), CALM))
        is_over = time.monotonic() >= until
        own = look()
        for each in own:
            if each.identity in before and before[each.identity] != each.started:
                raise StackError(f"was well, and fell within {seconds:.0f} s", each.service, each.identity)
        found = _judged(wish, own, began)
        if not found.well:
            until, is_over = time.monotonic() + seconds, False
            if until > latest:
                raise _late(wish, found, own)


def _judged(wish: Manifest, own: Sequence[Container], began: float) -> health.Judgement:
    silent = health.ask_all(list(health.questions(wish, own)))
    found = health.judge(wish, own, began, time.time(), silent)
    if found.failed:
        raise StackError(found.failed.reason, found.failed.service, found.failed.container)
    return found


def _late(wish: Manifest, found: health.Judgement, own: Sequence[Container]) -> StackError:
    waits = "; ".join(found.waits)
    first = next(
        (each for each in own if any(text.startswith(f"{each.name} ") for text in found.waits)), None
    )
    text = f"not well after {wish.deploy.timeout:.0f} s: {waits}"
    return StackError(text, first.service, first.identity) if first else StackError(text)
