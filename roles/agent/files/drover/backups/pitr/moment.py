# GPL-3.0-or-later
"""How far a log is read again, and the base backup that this begins from."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import NamedTuple

from drover.backups.jobs import Job
from drover.backups.pitr.pgbackrest import Base, PgBackRest
from drover.run import DroverError
from drover.table import stamp

EPOCH = 2**32  # transactions until their numbers begin again
_FORK = re.compile(r"\s*([0-9]+)\s+([0-9A-F]+/[0-9A-F]+)")


class Moment(NamedTuple):
    """`settings` are PostgreSQL's, `at` is in seconds since the epoch: as late as is known."""

    base: Base
    settings: tuple[str, ...]
    said: str
    at: float


class Fork(NamedTuple):
    """Where a timeline was left for the next one."""

    timeline: int
    place: int


def at_time(found: Sequence[Base], job: Job, at: float) -> Moment:
    """All that was committed until then."""
    base = newest((each for each in found if each.at <= at), job, f"before {stamp(at)}")
    text = datetime.fromtimestamp(at, timezone.utc).isoformat(" ", "microseconds")
    return Moment(base, (f"recovery_target_time={text}",), f"as of {stamp(at)}", at)


def before_transaction(found: Sequence[Base], job: Job, number: int) -> Moment:
    """All that was committed before that transaction was."""
    fitting = (each for each in found if _is_before(each, number, found))
    base = newest(fitting, job, f"before transaction {number}")
    settings = (f"recovery_target_xid={number}", "recovery_target_inclusive=off")
    return Moment(base, settings, f"just before transaction {number}", base.at)


def _is_before(base: Base, number: int, found: Sequence[Base]) -> bool:
    """Whether the transaction had not ended when the base was whole. A short number is of the newest."""
    known = [int(each.notes["oldest"]) for each in found if each.notes.get("oldest", "").isdigit()]
    if not base.notes.get("oldest", "").isdigit():
        return False
    if number < EPOCH and known:
        number += max(known) // EPOCH * EPOCH
    return int(base.notes["oldest"]) <= number


def at_mark(found: Sequence[Base], job: Job, name: str, at: float) -> Moment:
    """The place in the log of that name, which was made after this time."""
    base = newest((each for each in found if each.at <= at), job, f"before {stamp(at)}")
    return Moment(base, (f"recovery_target_name={name}",), f"at the mark {name}", at)


def latest(found: Sequence[Base], job: Job) -> Moment:
    """As far as the log goes."""
    return Moment(newest(found, job, "yet"), (), "as far as the log goes", time.time())


def newest(found: Iterable[Base], job: Job, said: str) -> Base:
    """The last of them."""
    fitting = list(found)
    if not fitting:
        raise NotCoveredError(f"{job.name}: there is no base backup {said}")
    return fitting[-1]


class NotCoveredError(DroverError):
    """The log does not reach there."""


# Timelines


def reachable(program: PgBackRest) -> list[Base]:
    """Bases on the way that the data took: none that was made after a moment that was returned to since."""
    found = program.bases()
    ways = {archive: forks(program.history(archive)) for archive in {each.archive for each in found}}
    return [each for each in found if is_on(each.timeline, number(each.stop), ways[each.archive])]


def is_on(timeline: int, place: int, forks: Sequence[Fork]) -> bool:
    """Whether that place in the log of that timeline is before it was left, if it was."""
    left = [fork.place for fork in forks if fork.timeline == timeline]
    newest_known = max((fork.timeline for fork in forks), default=0)
    return place <= left[0] if left else timeline > newest_known


def forks(text: str) -> list[Fork]:
    r"""The lines of a history file.

    >>> forks("1\t0/5000028\tbefore 2026-11-30\n")
    [Fork(timeline=1, place=83886120)]
    """
    return [
        Fork(int(found[1]), number(found[2])) for line in text.splitlines() if (found := _FORK.match(line))
    ]


def number(place: str) -> int:
    """A place in the log, as one number.

    >>> number("1/0A")
    4294967306
    """
    high, _, low = place.partition("/")
    return (int(high or "0", 16) << 32) + int(low or "0", 16)
