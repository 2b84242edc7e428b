# GPL-3.0-or-later
"""Delivers queued events through Apprise, in order. What could not be delivered stays first in the queue.

An event is marked after Apprise took it. A power cut between the two delivers it twice, never not at all.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from drover.host import Host, about
from drover.layout import Layout
from drover.report import unspool

SECONDS = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 900.0


class Waiting(NamedTuple):
    """An event in the queue."""

    identity: int
    at: float
    severity: str
    title: str
    body: str
    tries: int
    next: float


def pause(tries: int) -> float:
    """Seconds to wait after so many failures in a row.

    >>> [pause(tries) for tries in (1, 2, 3, 9)]
    [30.0, 60.0, 120.0, 900.0]
    """
    return float(min(FIRST_PAUSE * 2 ** (min(tries, 20) - 1), LONGEST_PAUSE))


def is_due(event: Waiting, now: float) -> bool:
    """Whether to try (again). A time too far ahead comes from a clock that was set back since."""
    return not now < event.next <= now + LONGEST_PAUSE


def has_channel(layout: Layout) -> bool:
    """Whether anybody is told at all."""
    try:
        lines = layout.channels.read_text("utf-8").splitlines()
    except OSError:
        return False
    return any("://" in line for line in lines if not line.lstrip().startswith("#"))


def command(layout: Layout, event: Waiting, origin: str) -> list[str]:
    """The body goes to standard input: arguments are seen by every user of the host."""
    return [
        "apprise",
        f"--config={layout.channels}",
        f"--notification-type={event.severity}",
        "--input-format=text",
        f"--title=[{origin}] {event.title}",
    ]


def send(host: Host, now: float | None = None) -> int:
    """Deliver what is due; returns how many events were delivered."""
    unspool(host)
    delivered = 0
    known = about(host.layout)
    origin = " ".join(str(known[key]) for key in ("client", "environment", "host") if known.get(key))
    while has_channel(host.layout):
        moment = time.time() if now is None else now
        event = head(host)
        if event is None or not is_due(event, moment):
            break
        done = host.run(command(host.layout, event, origin), stdin=_body(event), timeout=SECONDS)
        if done.code:
            _failed(host, event, moment)
            break
        _sent(host, event, moment)
        delivered += 1
    return delivered


def head(host: Host) -> Waiting | None:
    """The oldest event that waits."""
    row = host.state.db.execute(
        "SELECT id, at, severity, title, body, tries, next FROM events WHERE sent IS NULL ORDER BY id LIMIT 1"
    ).fetchone()
    return Waiting(*row) if row else None


def _body(event: Waiting) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(event.at))
    return f"{event.body or event.title}\n\n{when}\n"


def _sent(host: Host, event: Waiting, now: float) -> None:
    with host.state.db as db:
        db.execute("UPDATE events SET sent = ?, tries = tries + 1 WHERE id = ?", (now, event.identity))


def _failed(host: Host, event: Waiting, now: float) -> None:
    with host.state.db as db:
        db.execute(
            "UPDATE events SET tries = tries + 1, next = ? WHERE id = ?",
            (now + pause(event.tries + 1), event.identity),
        )
