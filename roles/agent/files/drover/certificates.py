# GPL-3.0-or-later
"""Every host name of the routes has a certificate that lasts: asked for, led to, told of."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from drover import disk, issuing, lifecycle, routes, tls
from drover.errors import TROUBLE
from drover.host import Host, locked
from drover.issuing import Span
from drover.layout import PROXY, Layout
from drover.release import Manifest
from drover.report import Event, report
from drover.run import DroverError
from drover.table import aligned, stamp
from drover.tls import Acme, Certificate, Tls
from drover.wishes import every, standing

ROUND = 120.0  # seconds after which the rest is left to the next turn
SOON = 14 * 86400.0  # seconds in which somebody has to bring a new one
LATE = 1 / 6  # of its lifetime: left when a new one is overdue


class State(NamedTuple):
    """What there is for one host name; `problem` is empty if all is well."""

    name: str
    source: str  # `given` or `acme`, empty without a certificate
    until: float
    problem: str


def names(wishes: Iterable[Manifest]) -> dict[str, set[str]]:
    """Every host name of the routes, with the stacks that it belongs to."""
    found: dict[str, set[str]] = {}
    for wish in wishes:
        for name in (name for route in wish.routes for name in route.names):
            found.setdefault(name, set()).add(wish.stack)
    return found


def _settings(wishes: Mapping[str, Manifest]) -> Tls | None:
    proxy = wishes[PROXY].proxy if PROXY in wishes else None
    return proxy.tls if proxy else None


def attend(
    layout: Layout,
    wait: float,
    say: Callable[[str], None],
    only: Collection[str] | None = None,
    insist: bool = False,
) -> list[State]:
    """How all stand, once what is due was asked for. Asking has its own lock: no deploy waits for it.

    wait: seconds for another drover. only: the stacks it is for. insist: also what failed a moment ago.
    """
    with locked(layout, "certificates", wait, say, file="certificates.lock") as host:
        asks = lifecycle.of(layout).saves  # an issuer counts, and may be led to another host
        asked = obtain(host, every(layout, standing).stacks, only, insist) if asks else frozenset[str]()
        new = asked | behind(layout)
        failed: list[str] = []
        if new:
            with locked(layout, "certificates", wait, say) as whole:
                failed = lead(whole, new)
        found = states(host, every(layout, standing).stacks)
        tell(host, found)
    if failed:
        raise DroverError("; ".join(failed))
    return found


def warnings(
    layout: Layout, wait: float, say: Callable[[str], None], only: Collection[str] | None
) -> tuple[str, ...]:
    """What is wrong with certificates, which never makes a deploy that is done a failed one."""
    try:
        found = attend(layout, wait, say, only)
    except TROUBLE as error:
        return (f"certificates: {error}",)
    return tuple(f"{each.name}: {each.problem}" for each in found if each.problem)


# Asked for


def obtain(
    host: Host, wishes: Mapping[str, Manifest], only: Collection[str] | None = None, insist: bool = False
) -> frozenset[str]:
    """Ask for what is due; the stacks that have something new. It takes its time: not under the host's lock.

    only: the stacks it is for, None for all. insist: also for what failed a moment ago.
    """
    settings = _settings(wishes)
    _forget(host.layout, settings or Tls())
    until, new = time.monotonic() + ROUND, set[str]()
    for name, stacks, acme in _due(host, wishes, settings, insist):
        if (only is None or stacks & set(only)) and time.monotonic() < until:
            host.say(f"{name}: asking for a certificate")
            new |= stacks if issuing.obtain(host, acme, name) else set()
    return frozenset(new)


def _due(
    host: Host, wishes: Mapping[str, Manifest], settings: Tls | None, insist: bool
) -> Iterator[tuple[str, set[str], Acme]]:
    if not settings or not settings.acme:
        return
    known = tls.known(host.layout, settings)
    for name, stacks in sorted(names(wishes.values()).items()):
        found = tls.covering(known, name)
        if found and found.given:
            continue
        held = issuing.span(host.run, host.layout.certificates / found.file) if found else None
        if held and held.left(issuing.RENEWED):
            continue
        if insist or not issuing.rests(host.layout, settings.acme, name):
            yield name, stacks, settings.acme


def _forget(layout: Layout, settings: Tls) -> None:
    """Remove what was given once and is not any more, as soon as no route and no release names it."""
    kept = {each.file for each in settings.given}
    gone = [path for path in (layout.certificates / tls.GIVEN).glob("[!.]*.pem") if path.name not in kept]
    if gone:
        files = [*layout.routes.glob("*.*"), *layout.stack(PROXY).glob("releases/*/manifest.json")]
        named = "".join(path.read_text("utf-8", "replace") for path in files)
        for path in gone:
            if path.name not in named:
                disk.remove(path)


# Led to


def behind(layout: Layout) -> frozenset[str]:
    """Stacks whose routes name other certificates than there are: a run before this one was cut off."""
    return frozenset(name for name in every(layout, standing).stacks if routes.outdated(layout, name))


def lead(host: Host, stacks: Iterable[str]) -> list[str]:
    """Have the routes name the certificates that are there now, and lead where they led; why one does not."""
    from drover import finish  # only here: a run with nothing new need not load it
    from drover.watch import Watch

    watch = Watch(host.run)
    failed = []
    for name in sorted(stacks):
        try:
            if routes.outdated(host.layout, name):
                text = routes.again(host.layout, name)
                routes.write(host.layout, name, text, host.run)
                finish.await_proxy(host, watch, name, text)
        except TROUBLE as error:
            failed.append(f"{name}: {error}")
    return failed


# Told of


def states(host: Host, wishes: Mapping[str, Manifest]) -> list[State]:
    """How it stands with each host name; nothing where the proxy does not end TLS."""
    settings = _settings(wishes)
    if not settings:
        return []
    known = tls.known(host.layout, settings)
    certified = {name: tls.covering(known, name) for name in sorted(names(wishes.values()))}
    files = {found.file for found in certified.values() if found}
    spans = {file: issuing.span(host.run, host.layout.certificates / file) for file in files}
    return [
        _state(host, name, found, spans.get(found.file) if found else None, settings.acme)
        for name, found in certified.items()
    ]


def _state(host: Host, name: str, found: Certificate | None, span: Span | None, acme: Acme | None) -> State:
    failed = issuing.failure(host.layout, acme, name) if acme else ""
    if not found:
        why = failed or "none was asked for yet" if acme else "none of the given ones is for it"
        return State(name, "", 0.0, f"no certificate: {why}")
    source = tls.GIVEN if found.given else tls.ACME
    if not span:
        return State(name, source, 0.0, f"its certificate cannot be read: {found.file}")
    now, problem = time.time(), ""
    limit = SOON if found.given else (span.end - span.begin) * LATE
    if now > span.end:
        problem = "its certificate has expired"
    elif now > span.end - limit:
        problem = f"its certificate ends in {(span.end - now) / 86400:.0f} days"
    elif now < span.begin:
        problem = f"its certificate does not hold before {stamp(span.begin)}"
    if problem and not found.given:
        problem += f": {failed or 'no new one was asked for'}"
    return State(name, source, span.end, problem)


def tell(host: Host, found: Iterable[State]) -> None:
    """One event for all: a certificate can have many names."""
    problems = [f"{each.name}: {each.problem}" for each in found if each.problem]
    if problems:
        wrong = " ".join(each.partition(":")[0] for each in problems)
        key = f"certificates:{hashlib.sha256(wrong.encode()).hexdigest()[:8]}"
        title = "Host names without a certificate that lasts"
        report(host, Event(key, "warning", title, "\n".join(problems)))


def table(found: Iterable[State]) -> str:
    """How all stand, for a person."""
    rows = [(each.name, each.source or "-", stamp(each.until) or "-", each.problem) for each in found]
    text = aligned([("NAME", "FROM", "UNTIL", ""), *rows])
    return "\n".join(text) if rows else "there is nothing to certify: the proxy does not end TLS, or no route"
