# GPL-3.0-or-later
"""Why a running stack may not change now: it was rolled back, somebody locked deploys, or it is too late."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from drover import lifecycle, windows, wishes
from drover.host import Host, about
from drover.layout import Layout
from drover.plan import Plan
from drover.release import Manifest
from drover.state import Lock, Mark
from drover.table import stamp

STALE = 12 * 3600.0  # seconds after which somebody else may take a lock
REASON = """-e "reason='…'" on the controller, --reason on the host"""
FORCE = "-e force=true on the controller, --force on the host"


class Asked(NamedTuple):
    """What whoever asks for the change says of it."""

    reason: str = ""  # opens a closed window, and stands in history
    force: bool = False  # whatever was marked or locked


def refusals(host: Host, plans: Mapping[str, Plan], asked: Asked, now: float) -> dict[str, str]:
    """Stacks that would change, or come back to what was left, and why that has to stay so."""
    part = lifecycle.of(host.layout)
    if part.name == lifecycle.FROZEN:
        text = f"{part.said}, so that nothing new begins here"
        return {name: text for name, each in plans.items() if _changes(each)}
    changing = {
        name: each for name, each in plans.items() if _changes(each) or _comes_back(each) or _begins(each)
    }
    if not changing or asked.force:
        return {}
    marks, lock, known = host.state.marks(), host.state.lock(), about(host.layout)
    found = {}
    for name, each in changing.items():
        why = marked(each.wish, marks)
        if not why and _changes(each) and not each.begun:
            why = locked(lock, host.who, now)
            why = why or ("" if each.wish.absent else closed(known, asked.reason, now))
        if why:
            found[name] = why
    return found


def _changes(plan: Plan) -> bool:
    """One that is begun was allowed when it began: held back now, it would stay half done."""
    return bool(plan.facts.current) and plan.wish.release != plan.facts.current


def _begins(plan: Plan) -> bool:
    """On a host that never had the stack: what was rolled back may be known of from the host before."""
    return not (plan.facts.current or plan.wish.absent)


def _comes_back(plan: Plan) -> bool:
    """What stands is wished again, and another one was on its way: it may be a way back that was killed."""
    return bool(plan.facts.current) and plan.wish.release == plan.facts.current != plan.facts.wanted


def standing(marks: list[Mark]) -> Callable[[Layout, str], Manifest | None]:
    """The wish of a boot: what ran well last, unless it was rolled back and the way back was cut off."""

    def choose(layout: Layout, name: str) -> Manifest | None:
        found = wishes.standing(layout, name)
        bad = found and any(each.stack == name and each.release == found.release for each in marks)
        return wishes.wanted(layout, name) if bad else found

    return choose


def marked(wish: Manifest, marks: list[Mark]) -> str:
    """Whether this version was rolled back."""
    for each in marks:
        if each.stack == wish.stack and each.is_of(wish.release, wish.version):
            called = f"version {each.version}" if each.version else f"release {wish.release}"
            what = "another version" if each.version else "what was wrong with it anew"
            left = f"{called} was rolled back by {each.who} on {stamp(each.at)}"
            return f"{left}: write {what}, or force it ({FORCE})"
    return ""


def locked(lock: Lock | None, who: str, now: float) -> str:
    """Whether somebody else locked deploys."""
    if lock is None or lock.who == who:
        return ""
    return f"deploys are {described(lock, now)}; `drover lock release` ends that, or force it ({FORCE})"


def described(lock: Lock, now: float) -> str:
    """Who locked, since when and why."""
    stale = ", and stale" if now - lock.at > STALE else ""
    why = f": {lock.reason}" if lock.reason else ""
    return f"locked by {lock.who} since {stamp(lock.at)} ({age(now - lock.at)}{stale}){why}"


def closed(known: Mapping[str, Any], reason: str, now: float) -> str:
    """Whether no deploy window is open; a host that was never told of any has none, and staging too."""
    told = known.get("deploy")
    if reason or not isinstance(told, dict) or known.get("environment") == "staging":
        return ""
    moment = windows.local(now, str(told.get("timezone") or "UTC"))
    spans = [str(each) for each in told.get("windows") or ()]
    if not spans or windows.opened(spans, moment):
        return ""
    return (
        f"it is {moment:%A %H:%M} ({moment.tzname()}), and deploys are for {', '.join(spans)} "
        f"(drover_platform.deploy.windows): give a reason if it cannot wait ({REASON})"
    )


def age(seconds: float) -> str:
    """For a person.

    >>> age(59), age(3 * 3600 + 120), age(200000)
    ('0 min', '3 h', '2 days')
    """
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    return f"{seconds // 3600:.0f} h" if seconds < 2 * 86400 else f"{seconds // 86400:.0f} days"
