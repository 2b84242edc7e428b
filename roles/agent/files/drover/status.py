# GPL-3.0-or-later
"""`drover status`: what a person wants to know at 3 AM. What apply would mend is wrong."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from drover import certificates, lifecycle, outside, record, release, tls
from drover.apply import plan_all
from drover.backups import hold
from drover.backups.overview import lacking, notes, overview
from drover.channels import channels
from drover.docker import Container, observe, of_stack
from drover.host import Host, about
from drover.layout import link
from drover.plan import OWN, RECORD, Plan
from drover.route import Route
from drover.run import DroverError
from drover.sender import Waiting, head
from drover.state import Row
from drover.table import aligned, stamp
from drover.wishes import every, standing

FINE, STARTING, WRONG = "fine", "starting", "wrong"
HARMLESS = {OWN, RECORD}
PATIENCE = 3600.0  # seconds for which an event may wait


class Line(NamedTuple):
    """One stack."""

    name: str
    version: str
    release: str
    state: str
    since: float
    services: dict[str, dict[str, Any]]
    problems: list[str]
    urls: list[str]
    reasons: dict[str, dict[str, str]]  # service → rule that it breaks → why


def status(host: Host, only: str = "") -> dict[str, Any]:
    """Everything as plain data; `fine` says whether nothing is wrong."""
    wishes = every(host.layout, standing)
    led = certificates.names(wishes.stacks.values())
    stacks = {name: wish for name, wish in wishes.stacks.items() if only in ("", name)}
    containers = record.without_secrets(host.layout, observe(host.run))
    plans, odd = plan_all(host, stacks.values(), containers)
    last = host.state.last()
    lines = [_line(host, plans[name], of_stack(containers, name), last.get(name)) for name in sorted(plans)]
    problems = {**wishes.problems, **odd}
    lines += [
        Line(name, "", "", WRONG, 0.0, {}, [text], [], {})
        for name, text in sorted(problems.items())
        if only in ("", name)
    ]
    certified = [
        each
        for each in certificates.states(host, wishes.stacks)
        if not only or only in led.get(each.name, ())
    ]
    saved = overview(host, only)
    count, oldest = _waiting(host)
    part = lifecycle.stuck(host.layout, time.time()) or outside.wrong(host) or hold.wrong(host)
    undelivered = _undelivered(oldest, bool(channels(host.layout)), time.time())
    return {
        **{key: about(host.layout).get(key) for key in ("host", "client", "environment")},
        "lifecycle": lifecycle.of(host.layout).name,
        "lifecycle_problem": part,
        "fine": bool(lines or not only)
        and all(line.state == FINE for line in lines)
        and not ((undelivered or part) and not only)
        and not any(each.problem for each in certified)
        and not any(each["problem"] for each in saved),
        "stacks": [{**line._asdict(), "since": stamp(line.since)} for line in lines],
        "certificates": [each._asdict() for each in certified],
        "backups": saved,
        "backups_notes": [] if only else notes(host, saved),
        "backups_lacking": lacking(host.layout, [only] if only else []),
        "events_waiting": count,
        "events_problem": undelivered,
    }


def _line(host: Host, plan: Plan, own: Sequence[Container], last: Row | None) -> Line:
    wish = plan.wish
    wrong = [step.text for step in plan.steps if step.kind not in HARMLESS]
    behind = _behind(host, plan, last)
    state = WRONG if wrong or behind else STARTING if plan.waits else FINE
    if any("unhealthy" in text or "restarts:" in text or "does not answer" in text for text in plan.waits):
        state = WRONG
    started = [each.started for each in own if each.running]
    return Line(
        name=wish.stack,
        version=wish.version,
        release=wish.release,
        state=state,
        since=max(started, default=last.at if last else 0.0),
        services=_services(wish, own),
        problems=[*wrong, *plan.waits, *behind],
        urls=[f"{_scheme(wish, route)}://{route.host}{route.path}" for route in wish.routes],
        reasons={each.service: dict(each.reasons) for each in own if each.running and each.reasons},
    )


def _scheme(wish: release.Manifest, route: Route) -> str:
    """How a client asks: by TLS if the proxy has a certificate, or the route says that TLS ends before it."""
    if wish.proxy and wish.proxy.tls and not route.plain:
        return "https" if tls.covering(wish.proxy.certificates, route.host) else "http"
    return "https" if route.https else "http"


def _behind(host: Host, plan: Plan, last: Row | None) -> list[str]:
    """What was wanted last and is not what runs."""
    name = plan.wish.stack
    try:
        wanted, current = (link(host.layout.stack(name) / which) for which in ("wanted", "current"))
    except DroverError as failure:
        return [str(failure)]
    if plan.wish.absent:
        return []
    reason = last.detail.splitlines()[0] if last and last.result != "ok" and last.detail else ""
    found = []
    if wanted != current:
        why = f": {reason}" if last and reason and last.release == wanted else ""
        text = f"release {wanted} is wanted and not reached{why}"
        found.append(text if wanted else "it shall go and is still here")
    if last and last.result == "failed" and last.release not in ("", wanted, current):
        found.append(f"release {last.release} was refused: {reason}")
    return found


def _services(wish: release.Manifest, own: Sequence[Container]) -> dict[str, dict[str, Any]]:
    return {
        name: _service(service, [each for each in own if each.service == name])
        for name, service in wish.services.items()
    }


def _service(service: release.Service, own: Sequence[Container]) -> dict[str, Any]:
    states = sorted({each.health or each.status for each in own})
    return {
        "image": service.image,
        "kind": "oneshot" if service.oneshot else "service",
        "wanted": 0 if service.rests else service.replicas,
        "running": sum(each.running for each in own),
        "state": "rests" if service.rests else " ".join(states) or "missing",
        "since": stamp(max((each.started for each in own), default=0.0)),
        "restarts": sum(each.restarts for each in own),
    }


def _waiting(host: Host) -> tuple[int, Waiting | None]:
    """How many events wait, and the oldest of them."""
    try:
        count = host.state.db.execute("SELECT count(*) FROM events WHERE sent IS NULL").fetchone()[0]
        return int(count), head(host)
    except sqlite3.Error:
        return 0, None


def _undelivered(oldest: Waiting | None, listening: bool, now: float) -> str:
    """What is wrong with delivery; empty if nothing is, or if nobody was to be told."""
    if not oldest or not listening or oldest.at > now - PATIENCE:
        return ""
    why = oldest.error or "nothing was tried, look at drover-send.timer"
    return f"events wait since {stamp(oldest.at)}: {why}"


# The table

HEAD = ("STACK", "VERSION", "STATE", "SINCE", "SERVICES")


def table(found: Mapping[str, Any]) -> str:
    """The same for a person: aligned, what is wrong below its stack."""
    rows = [
        (
            line["name"],
            line["version"] or "-",
            line["state"],
            line["since"] or "-",
            _summary(line["services"]),
        )
        for line in found["stacks"]
    ]
    head, *lines = aligned([HEAD, *rows])
    text = [each for each in (lifecycle.PARTS[found["lifecycle"]].said, head) if each]
    for row, line in zip(lines, found["stacks"], strict=True):
        text.append(row)
        text += [f"  ! {problem}" for problem in line["problems"]]
        text += [f"    {url}" for url in line["urls"]]
        text += [
            f"    {service}: {rule}: {why}"
            for service, rules in line["reasons"].items()
            for rule, why in rules.items()
        ]
    text += [f"  ! {each['name']}: {each['problem']}" for each in found["certificates"] if each["problem"]]
    text += [f"  ! {each['job']}: {each['problem']}" for each in found["backups"] if each["problem"]]
    text += found["backups_notes"]
    if found["lifecycle_problem"]:
        text.append(f"  ! {found['lifecycle_problem']}")
    if not rows:
        text.append("no stack is on this host")
    if found["events_waiting"]:
        text.append(f"{found['events_waiting']} events wait to be delivered")
    if found["events_problem"]:
        text.append(f"  ! {found['events_problem']}")
    return "\n".join(text)


def _summary(services: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(_short(name, each) for name, each in services.items())


def _short(name: str, each: Mapping[str, Any]) -> str:
    if each["kind"] == "oneshot":
        return f"{name} {'done' if each['state'] == 'exited' else each['state']}"
    if each["state"] == "rests":
        return f"{name} rests"
    count = f" {each['running']}/{each['wanted']}" if (each["running"], each["wanted"]) != (1, 1) else ""
    return f"{name}{count}" + ("" if each["state"] in ("running", "healthy") else f" {each['state']}")
