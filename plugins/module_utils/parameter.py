# GPL-3.0-or-later
"""One SSM parameter that several people write, of whose writes none is lost and none wins unseen.

PutParameter has no condition, but it answers with the version that it made, and versions count up by one.
So each value says after which version it was written (`after`), and a version that is not the very next one
does not count: whoever wrote it looked at something older, or it is a repeated request that came late.
Readers pass over it to the newest that counts; the writer sees it in the answer. Reads may be old for a
moment: that costs another try, no more.

The parameter is never deleted: its versions would begin anew, and SSM wants 30 seconds before a new one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from .errors import HostError

Value = dict[str, Any]
Pause = Callable[[float], None]  # seconds

LIMIT = 4096  # bytes of a standard parameter's value
AFTER = "after"
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0)  # seconds between tries


class Found(NamedTuple):
    """What counts, by AWS's clock; `version` is the newest that there is, whether or not it counts."""

    value: Value | None
    version: int
    written: datetime  # when what counts was
    now: datetime


class _Version(NamedTuple):
    number: int  # 0: there is none
    text: str
    written: datetime
    now: datetime


def text(value: Mapping[str, Any]) -> str:
    """The value as SSM takes it, which refuses {{ … }}; in JSON two braces open in texts alone."""
    made = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return made.replace("{{", "\\u007b\\u007b")


# Reading


def read(ssm: Any, name: str, pause: Pause, at_least: int = 0) -> Found:
    """The newest value that counts, of this version or a later one."""
    newest = _seen(ssm, name, pause, at_least)
    version = newest
    foreign = False
    while version.number:
        value = _parsed(version.text)
        if value and value[AFTER] == version.number - 1:
            return Found(value, newest.number, version.written, newest.now)
        foreign = foreign or value is None
        if version.number == 1:
            break
        version = _seen(ssm, f"{name}:{version.number - 1}", pause, 1)
    if foreign:
        raise HostError(f"{name}: this parameter is not Drover's; rename it, or delete it if nobody needs it")
    return Found(None, newest.number, newest.written, newest.now)


def _seen(ssm: Any, name: str, pause: Pause, at_least: int) -> _Version:
    for wait in WAITS:
        found = _get(ssm, name)
        if found.number >= at_least:
            return found
        pause(wait)
    raise HostError(f"{name}: SSM does not show version {at_least}, which there is; run it again")


def _get(ssm: Any, name: str) -> _Version:
    try:
        answer = ssm.get_parameter(Name=name)
    except Exception as problem:
        if _code(problem) not in ("ParameterNotFound", "ParameterVersionNotFound"):
            raise
        now = _date(problem.response)  # type: ignore[attr-defined]
        return _Version(0, "", now, now)
    found = answer["Parameter"]
    return _Version(found["Version"], found["Value"], found["LastModifiedDate"], _date(answer))


def _parsed(found: str) -> Value | None:
    """The value; None for what is not ours."""
    try:
        value = json.loads(found)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get(AFTER), int) else None


def _date(answer: Mapping[str, Any]) -> datetime:
    """When AWS answered, by its own clock, in whole seconds."""
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(said) if said else datetime.now(timezone.utc)


def _code(problem: Exception) -> str:
    """What AWS calls the error; nothing for one of the connection."""
    return str(getattr(problem, "response", {}).get("Error", {}).get("Code", ""))


# Writing


def change(
    ssm: Any, name: str, decide: Callable[[Found], Value | None], pause: Pause, *, check: bool = False
) -> tuple[Found, bool]:
    """Write what `decide` makes of what counts, if anything; what counts then, and whether that was written.

    `decide` is asked again when somebody else wrote meanwhile, and once more when it refuses (HostError):
    what it saw may have been old. A write whose answer was lost is looked for before its error is told.
    """
    found, sure = read(ssm, name, pause), False
    for wait in WAITS:
        try:
            value = decide(found)
        except HostError:
            if sure:
                raise
            pause(WAITS[0])
            found, sure = read(ssm, name, pause, found.version), True
            continue
        if value is None:
            return found, False
        sent = {**value, AFTER: found.version}
        if check:
            return found._replace(value=sent), True
        version, problem = _put(ssm, name, sent)
        if version == found.version + 1:
            return Found(sent, version, found.now, found.now), True
        if not version:
            pause(wait)
        found = _again(ssm, name, pause, max(version, found.version), problem)
        if found.value == sent:
            return found, True
        if problem:
            raise problem
    raise HostError(f"{name}: others kept writing it at the same moment; run it again")


def _put(ssm: Any, name: str, value: Value) -> tuple[int, Exception | None]:
    """The version that was made; 0 where none was, or where nobody knows, which the error says."""
    more = {"Type": "String", "Tier": "Standard", "Overwrite": value[AFTER] > 0}
    try:
        return int(ssm.put_parameter(Name=name, Value=text(value), **more)["Version"]), None
    except Exception as problem:
        if _code(problem) in ("ParameterAlreadyExists", "TooManyUpdates"):
            return 0, None
        return 0, problem


def _again(ssm: Any, name: str, pause: Pause, at_least: int, problem: Exception | None) -> Found:
    try:
        return read(ssm, name, pause, at_least)
    except Exception as other:
        raise problem or other from None
