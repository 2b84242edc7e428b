# GPL-3.0-or-later
"""The journal of a host's rebuild, which is its lock too: whose it is and which steps are finished. Pure.

Every time in it is AWS's own, since a laptop's clock may be off. How long a step took is measured by the
monotonic clock of the machine that ran it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, NamedTuple

from . import parameter
from .errors import HostError

FORMAT = 1
STALE = 900  # seconds after which a journal that nobody writes looks as if its run were dead
NOTE = 160  # characters of a step's note
FACTS = 1200  # bytes of all facts: what is left of a parameter with 40 steps
VERBS = {"rebuild": "rebuild", "failback": "failback", "retire": "retirement"}
OUTCOMES = ("done", "failed", "abandoned")
_STEP = re.compile(r"[a-z][a-z0-9-]{0,31}")
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,63}")
_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")


class Step(NamedTuple):
    """`began`: whole seconds after the journal did. `seconds`: how long it took, None while unfinished."""

    name: str
    began: int
    seconds: float | None = None
    note: str = ""


class Owner(NamedTuple):
    """Whose journal it is: one run of a playbook."""

    who: str  # user@hostname
    machine: str  # tells machines of one host name apart
    pid: int  # of the playbook there
    token: str  # of the run; who does not have it has lost the journal
    clock: float | None = None  # when the last of the steps began: seconds of its monotonic clock


@dataclass(frozen=True)
class Journal:
    """Times are UTC such as 2026-11-30T18:32:05Z. `steps` stand in the order in which they (last) began."""

    id: str
    verb: str  # of VERBS
    host: str
    owner: Owner
    at: str  # begun
    seen: str  # last written
    old: str = ""  # instance ids
    new: str = ""
    generation: int = 0  # of the new instance
    lost: bool = False  # the old instance or its disk is gone
    continued: int = 0  # how often it was gone on with
    steps: tuple[Step, ...] = ()
    facts: Mapping[str, Any] | None = None  # texts, numbers and booleans that later steps and the report need
    ended: str = ""
    outcome: str = ""  # of OUTCOMES, once it has ended

    @property
    def open(self) -> bool:
        """Whether it is a lock still."""
        return not self.ended

    def finished(self, name: str) -> bool:
        """Whether a step need not be run any more."""
        return any(each.name == name and each.seconds is not None for each in self.steps)


def name(foundation: str, host: str) -> str:
    """The parameter's name.

    >>> name("/acme/production", "web")
    '/acme/production/rebuild/web'
    """
    if not _PATH.fullmatch(foundation):
        raise HostError(f"foundation: found {foundation!r}; write the path as in drover_aws.foundation")
    if not _HOST.fullmatch(host):
        raise HostError(f"name: found {host!r}; write the host's name as in drover_aws.hosts")
    return f"{foundation}/rebuild/{host}"


# In SSM


def load(value: Mapping[str, Any] | None) -> Journal | None:
    """The journal that a parameter's value is."""
    if value is None:
        return None
    if value.get("format") != FORMAT:
        raise HostError(
            f"the journal has format {value.get('format')}, this Drover reads {FORMAT}: take the other one"
        )
    told = {key: each for key, each in value.items() if key not in ("format", parameter.AFTER)}
    steps = tuple(Step(*each) for each in told.pop("steps"))
    return Journal(**{**told, "owner": Owner(**told["owner"]), "steps": steps})


def dump(journal: Journal) -> dict[str, Any]:
    """The value of a parameter: plain data; what does not fit loses notes, the oldest step's first."""
    told = {**journal.__dict__, "owner": journal.owner._asdict(), "facts": dict(journal.facts or {})}
    steps = [list(each) for each in journal.steps]
    value = {"format": FORMAT, **told, "steps": steps}
    for step in steps:
        if _fits(value):
            break
        step[3] = ""
    if not _fits(value):
        raise HostError(f"the journal of {journal.host} has no room for {len(steps)} steps")
    return value


def _fits(value: Mapping[str, Any]) -> bool:
    return _size({**value, parameter.AFTER: 10**6}) <= parameter.LIMIT


def _size(value: Mapping[str, Any]) -> int:
    return len(parameter.text(value).encode())


# Operations: each takes what counts and returns what is to be written, or None where nothing is to change


def begin(
    there: Journal | None,
    wished: Journal,
    *,
    now: datetime,
    written: datetime,
    gone: Callable[[int], bool],
    take_over: bool,
) -> Journal | None:
    """A new journal, or the unfinished one with a new owner: another's only if `take_over` says so.

    `gone` tells whether a process of this machine has ended.
    """
    if there is None or not there.open:
        return wished
    if there.owner.token == wished.owner.token:
        return None  # written after all, although it did not look so
    for key in ("verb", "generation"):
        mine, theirs = getattr(wished, key), getattr(there, key)
        if mine and mine != theirs:
            raise HostError(
                f"{there.host}: the {VERBS[there.verb]} of {_moment(there.at)} is not finished, and has "
                f"{key} {theirs}, not {mine}; finish or abandon it first"
            )
    if not take_over and not _ours(there.owner, wished.owner, gone):
        raise HostError(refusal(there, now, written))
    return replace(there, owner=wished.owner, seen=stamp(now), continued=there.continued + 1)


def _ours(owner: Owner, own: Owner, gone: Callable[[int], bool]) -> bool:
    """Whether it is this person's, of this machine, of this playbook or of one that has ended."""
    same = (owner.who, owner.machine) == (own.who, own.machine)
    return same and (owner.pid == own.pid or gone(owner.pid))


def refusal(there: Journal, now: datetime, written: datetime) -> str:
    """Why somebody else's journal is not continued, and how it could be."""
    silent = (now - written).total_seconds()
    stale = f", which is stale (more than {STALE // 60} min): that run is probably dead" * (silent > STALE)
    return (
        f"{there.host}: {there.owner.who} (process {there.owner.pid}) has a {VERBS[there.verb]} under way, "
        f"begun {_moment(there.at)}, {age((now - moment(there.at)).total_seconds())} ago; {where(there)}, "
        f"last written {age(silent)} ago{stale}. -e take_over=true continues it; "
        "should the other run live, it stops before its next step"
    )


def where(journal: Journal) -> str:
    """Which step it is in, or after which.

    >>> where(Journal("1", "rebuild", "web", Owner("", "", 0, ""), "", "", steps=(Step("launch", 0),)))
    'in step launch'
    """
    if not journal.steps:
        return "before its first step"
    last = journal.steps[-1]
    return f"{'in' if last.seconds is None else 'after'} step {last.name}"


def said(there: Journal | None, host: str) -> str:
    """Whose it is and how far it is."""
    if there is None:
        return f"{host} has no journal"
    by = f"{VERBS[there.verb]} of {host} by {there.owner.who}, begun {_moment(there.at)}"
    return f"{by}, {where(there)}" if there.open else f"{by}, ended {_moment(there.ended)}: {there.outcome}"


def held(there: Journal | None, host: str, token: str) -> Journal:
    """The journal, if this run has it still."""
    if there is None:
        raise HostError(f"{host}: it has no journal; begin one")
    if there.owner.token != token:
        by = said(there, host)
        raise HostError(f"{host}: somebody has taken over, so this run stops here and undoes nothing ({by})")
    return there


def began(there: Journal, step: str, now: datetime, clock: float) -> Journal | None:
    """A step begins; None if it was finished before. `clock` is monotonic, in seconds."""
    _named(step)
    _unended(there)
    if there.finished(step):
        return None
    others = tuple(each for each in there.steps if each.name != step)
    entry = Step(step, _after(there, now))
    owner = there.owner._replace(clock=round(clock, 1))
    return replace(there, seen=stamp(now), steps=(*others, entry), owner=owner)


def finished(there: Journal, step: str, note: str, now: datetime, clock: float) -> Journal | None:
    """A step has ended well; None if that is known."""
    if there.finished(step):
        return None
    _unended(there)
    entry = _running(there, step)
    took = float(_after(there, now) - entry.began)
    if there.owner.clock is not None and there.steps[-1] == entry and clock >= there.owner.clock:
        took = round(clock - there.owner.clock, 1)
    return _noted(there, entry._replace(seconds=took, note=line(note)), now)


def failed(there: Journal, step: str, note: str, now: datetime) -> Journal | None:
    """A step did not end well: it stays unfinished, with the reason; None if that is known."""
    entry = _running(there, step)
    changed = entry._replace(note=line(note) or "failed")
    if changed == entry:
        return None
    _unended(there)
    return _noted(there, changed, now)


def noted(
    there: Journal, fields: Mapping[str, Any], facts: Mapping[str, Any], now: datetime
) -> Journal | None:
    """Other values of `old`, `new`, `lost`, and facts; a fact that is None goes. None if all is so."""
    _unended(there)
    merged = {key: value for key, value in {**(there.facts or {}), **facts}.items() if value is not None}
    wrong = [key for key, value in merged.items() if not isinstance(value, (str, int, float, bool))]
    if wrong:
        raise HostError(f"facts: {', '.join(wrong)}: write a text, a number or a boolean")
    size = _size(merged)
    if size > FACTS:
        raise HostError(f"facts: {size} bytes together; the journal has room for {FACTS}")
    known = replace(there, facts=dict(there.facts or {}))
    changed = replace(known, facts=merged, **fields)
    return None if changed == known else replace(changed, seen=stamp(now))


def ended(there: Journal, outcome: str, now: datetime) -> Journal | None:
    """It is no lock any more; None if it has ended so already."""
    if there.outcome == outcome:
        return None
    _unended(there)
    return replace(there, seen=stamp(now), ended=stamp(now), outcome=outcome)


def _unended(there: Journal) -> None:
    if not there.open:
        raise HostError(
            f"{there.host}: the {VERBS[there.verb]} has ended ({there.outcome}, {_moment(there.ended)})"
        )


def _named(step: str) -> None:
    if not _STEP.fullmatch(step):
        raise HostError(f"step: found {step!r}; write at most 32 of a-z, 0-9 and -, a letter first")


def _running(there: Journal, step: str) -> Step:
    found = next((each for each in there.steps if each.name == step and each.seconds is None), None)
    if found is None:
        raise HostError(f"step: {step} did not begin in the journal of {there.host}")
    return found


def _noted(there: Journal, entry: Step, now: datetime) -> Journal:
    steps = tuple(entry if each.name == entry.name else each for each in there.steps)
    return replace(there, seen=stamp(now), steps=steps)


# Words and times


def line(text: str) -> str:
    r"""One line that is not too long, of characters that can be seen.

    >>> line("a\n b\x1b[31m")
    'a b [31m'
    """
    seen = "".join(each if each.isprintable() else " " for each in text)
    short = " ".join(seen.split())
    return short if len(short) <= NOTE else f"{short[: NOTE - 1]}…"


def stamp(at: datetime) -> str:
    """The moment as it stands in a journal."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """The moment that a journal says."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _moment(text: str) -> str:
    return f"{text[:10]} {text[11:16]} UTC"


def _after(there: Journal, now: datetime) -> int:
    return max(0, int((now - moment(there.at)).total_seconds()))


def age(seconds: float) -> str:
    """How long that is, in one unit.

    >>> [age(each) for each in (-3, 119, 120, 5400, 200000)]
    ['0 s', '119 s', '2 min', '90 min', '55 h']
    """
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
