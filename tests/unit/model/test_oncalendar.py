"""A time that systemd would refuse never reaches a host, and what people write for timers does."""

from __future__ import annotations

import shutil
import subprocess
from functools import partial

import pytest
from ansible_collections.drover.platform.plugins.plugin_utils.forms import FORMS
from ansible_collections.drover.platform.plugins.plugin_utils.oncalendar import SHORTCUTS, is_calendar
from hypothesis import given, settings
from hypothesis import strategies as some

ZONES = ("UTC", "Europe/Berlin")
DAYS = ("Mon", "Tue", "Wednesday", "thu", "Fri", "SAT", "sunday")
taken = partial(is_calendar, is_zone=lambda word: word in ZONES)


@some.composite
def spans(draw: some.DrawFn, low: int, high: int) -> str:
    """`5`, `1..7`, `0/15`, `1..7/2`; some of them with a zero before them."""
    start = draw(some.integers(low, high - 1))
    stop = draw(some.integers(start + 1, high))
    step = draw(some.integers(1, stop - start))
    form = draw(some.sampled_from(["{0}", "{0:02}", "{0}..{1}", "{0}/{2}", "{0:02}..{1}/{2}"]))
    return form.format(start, stop, step)


def parts(low: int, high: int) -> some.SearchStrategy[str]:
    return some.just("*") | some.lists(spans(low, high), min_size=1, max_size=3).map(",".join)


@some.composite
def days(draw: some.DrawFn) -> str:
    several = some.tuples(some.integers(0, 5), some.sampled_from(["", "..", "-"])).map(
        lambda each: DAYS[each[0]] + (f"{each[1]}{DAYS[each[0] + 1]}" if each[1] else "")
    )
    return ",".join(draw(some.lists(several, min_size=1, max_size=3)))


DATES = some.builds("{}-{}-{}".format, parts(1970, 2199), parts(1, 12), parts(1, 31)) | some.builds(
    "{}-{}".format, parts(1, 12), parts(1, 31)
)
TIMES = some.builds("{}:{}:{}".format, parts(0, 23), parts(0, 59), parts(0, 59)) | some.builds(
    "{}:{}".format, parts(0, 23), parts(0, 59)
)
SHORT = some.sampled_from(sorted(SHORTCUTS))


@some.composite
def calendars(draw: some.DrawFn) -> str:
    """What systemd.time(7) calls a calendar event."""
    which = draw(some.sets(some.sampled_from("dwt"), min_size=1))
    words = [draw(found) for kind, found in (("w", days()), ("d", DATES), ("t", TIMES)) if kind in which]
    said = draw(some.sampled_from([" ", "  "])).join(words) if draw(some.integers(0, 9)) else draw(SHORT)
    return said + draw(some.sampled_from(["", "", *(f" {zone}" for zone in ZONES)]))


@given(calendars())
def test_what_systemd_takes_is_taken(value: str) -> None:
    assert len(value) > 200 or taken(value)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here to be asked")
@settings(max_examples=10)
@given(some.lists(calendars() | some.text("*0123456789-:,./~ MonSudailyUTC", min_size=1), max_size=60))
def test_systemd_says_the_same(values: list[str]) -> None:
    """It may take more: single moments, and odd spellings."""
    asked = [value for value in values if taken(value)]
    done = subprocess.run(["systemd-analyze", "calendar", *asked, "daily"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


FIELDS = some.sampled_from(["*", "0", "3", "15", "*/5", "1-5", "1,15", "mon"])


@given(some.lists(FIELDS, min_size=5, max_size=6))
def test_cron_is_refused(fields: list[str]) -> None:
    assert not taken(" ".join(fields))


WORDS = some.sampled_from(
    ["daily", "at", "3", "every", "6", "hours", "am", "on", "Sundays", "Sunday", "night", "noon", "twice"]
)


@given(some.lists(WORDS, min_size=2, max_size=6))
def test_prose_is_refused(words: list[str]) -> None:
    assert not taken(" ".join(words))


@given(some.text(max_size=300))
def test_whatever_comes_has_an_answer(value: str) -> None:
    assert taken(value) in (True, False)


@pytest.mark.parametrize(
    "value",
    [
        "*-*-* 04/6:20:00",
        "Sun *-*-* 03:10:00",
        "*-*-* 02:50:00",
        "Sat,Sun 3:00",
        "Mon..Fri 22:30 Europe/Berlin",
        "*:0/15",
        "*-*-1,15 04:00",
        "*-01,07-01 04:00",
        "*-*~07/1 04:00",
        "*-*~1",
        "12-25",
        "Mon *-*-1..7 3:00",
        "Weekly",
        "daily UTC",
    ],
)
def test_ordinary_times(value: str) -> None:
    assert FORMS["calendar"].accepts(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        " daily",
        "daily ",
        "daily at 3",
        "0 3 * * *",
        "@daily",
        "often",
        "3",
        "3am",
        "24:00",
        "3:60",
        "*/6:00",
        "22..4:00",
        "23/2:00",
        "0/0:00",
        "Fri..Mon 3:00",
        "Mon 3",
        "*-13-01",
        "*-*-32",
        "*-*~0",
        "*-*~29",
        "daily  UTC",
        "3:00 Berlin",
        "3:00\n4:00",
        "*-*-* 04:40:00; rm",
        "UTC",
        "0," * 100 + "0:00",
    ],
)
def test_what_systemd_would_refuse(value: str) -> None:
    assert not FORMS["calendar"].accepts(value)
