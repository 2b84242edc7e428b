# GPL-3.0-or-later
"""Deploy windows: spans of the week in which a running stack may change."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from drover.run import DroverError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WINDOW = re.compile(
    rf"(?P<first>{'|'.join(DAYS)})(?:-(?P<last>{'|'.join(DAYS)}))?"
    r"(?: (?P<from>[0-2][0-9]:[0-5][0-9])-(?P<to>[0-2][0-9]:[0-5][0-9]))?"
)


def local(now: float, zone: str) -> datetime:
    """The moment as the client's clock shows it."""
    try:
        return datetime.fromtimestamp(now, ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DroverError(f"drover_platform.deploy.timezone: this host knows no {zone}") from None


def opened(windows: Iterable[str], moment: datetime) -> bool:
    """Whether one of the windows is open.

    >>> opened(["mon-thu", "fri 00:00-12:00"], datetime(2026, 11, 20, 11, 59))
    True
    >>> opened(["mon-thu", "fri 00:00-12:00"], datetime(2026, 11, 20, 12, 0))
    False
    """
    return any(_inside(text, moment) for text in windows)


def _inside(text: str, moment: datetime) -> bool:
    found = WINDOW.fullmatch(text)
    if not found:
        raise DroverError(f"drover_platform.deploy.windows: {text!r} is no window such as fri 00:00-12:00")
    first, last = (DAYS.index(found[key] or found["first"]) for key in ("first", "last"))
    days = {(first + more) % 7 for more in range((last - first) % 7 + 1)}
    time = moment.strftime("%H:%M")
    return moment.weekday() in days and (found["from"] or "00:00") <= time < (found["to"] or "24:00")
