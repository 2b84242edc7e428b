# GPL-3.0-or-later
"""Calendar expressions of systemd, as OnCalendar has them: what systemd.time(7) says but for single moments.

A timer is written after much else of a host has changed, so what systemd would refuse is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

LONGEST = 200
SHORTCUTS = frozenset(
    ("minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly", "annually")
)
_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS = {name: day for day, whole in enumerate(_NAMES) for name in (whole, whole[:3])}
_DATE = re.compile(r"(?:([^-~]+)-)?([^-~]+)([-~])([^-~]+)")
_SPAN = re.compile(r"([0-9]{1,4})(?:\.\.([0-9]{1,4}))?(?:/(0?[1-9][0-9]{0,2}))?")  # start, end, step


def is_calendar(value: str, is_zone: Callable[[str], bool]) -> bool:
    """Whether it is a word for how often, or one or more of days of the week, a date and a time.

    A time zone may follow.
    """
    rest, _, last = value.rpartition(" ")
    words = re.split(" +", rest if rest and is_zone(last) else value)
    if len(value) > LONGEST:
        return False
    if len(words) == 1 and words[0].lower() in SHORTCUTS:
        return True
    left = words
    for is_part in (_is_days, _is_date, _is_time):
        left = left[1:] if left and is_part(left[0]) else left
    return not left


def _is_days(word: str) -> bool:
    """`Mon`, `Sat,Sun`, `Mon..Fri`; a week begins on Monday."""
    for part in word.lower().split(","):
        ends = [_DAYS.get(each, -1) for each in re.split(r"\.\.|-", part)]
        if -1 in ends or len(ends) > 2 or ends != sorted(ends):
            return False
    return True


def _is_date(word: str) -> bool:
    """`*-*-*`, `12-25`, `2026-*-1..7`; after `~` days are counted from the end of the month."""
    found = _DATE.fullmatch(word)
    if not found:
        return False
    year, month, sign, day = found.groups()
    is_day = _is_from_the_end(day) if sign == "~" else _are_within(day, 1, 31)
    return is_day and _are_within(month, 1, 12) and (year is None or _are_within(year, 1970, 2199))


def _is_time(word: str) -> bool:
    """`3:10`, `*:0/15`, `22,23:59:59`."""
    parts = word.split(":")
    fits = [_are_within(part, 0, most) for part, most in zip(parts, (23, 59, 59), strict=False)]
    return len(parts) in (2, 3) and all(fits)


def _are_within(text: str, low: int, high: int) -> bool:
    """`*`, or numbers, `1..7` and `0/15` (from 0 on each fifteenth) after commas."""
    return text == "*" or all(_is_within(part, low, high) for part in text.split(","))


def _is_within(part: str, low: int, high: int) -> bool:
    """Whether all of it is in the bounds, and what goes on has room for one step."""
    found = _SPAN.fullmatch(part)
    if not found:
        return False
    start, stop = int(found[1]), int(found[2] or high)
    step = int(found[3] or bool(found[2]))
    return low <= start and start + step <= stop <= high


def _is_from_the_end(part: str) -> bool:
    """`1` is the last day, `7/1` are the last seven."""
    found = _SPAN.fullmatch(part)
    if not found or found[2]:
        return False
    day, step = int(found[1]), int(found[3] or 0)
    return 1 <= day - step <= day <= 28
