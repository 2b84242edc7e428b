# GPL-3.0-or-later
"""Delivers queued events through Apprise, to each channel in order. What it did not take stays in the queue.

An event is marked after Apprise took it. A power cut between the two delivers it twice, never not at all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from drover import disk
from drover.channels import Channel, channels
from drover.host import Host, about
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
    delivered: frozenset[str] = frozenset()  # identities of the channels that have it
    error: str = ""  # why the others do not


class Sent(NamedTuple):
    """How a run went: events that every channel has now, and why others failed."""

    delivered: int
    errors: tuple[str, ...] = ()


def pause(tries: int) -> float:
    """Seconds to wait after so many failures in a row.

    >>> [pause(tries) for tries in (1, 2, 3, 9)]
    [30.0, 60.0, 120.0, 900.0]
    """
    return float(min(FIRST_PAUSE * 2 ** (min(tries, 20) - 1), LONGEST_PAUSE))


def is_due(event: Waiting, now: float) -> bool:
    """Whether to try (again). A time too far ahead comes from a clock that was set back since."""
    return not now < event.next <= now + LONGEST_PAUSE


def command(config: Path, event: Waiting, origin: str) -> list[str]:
    """The body goes to standard input: arguments are seen by every user of the host."""
    return [
        "apprise",
        f"--config={config}",
        f"--notification-type={event.severity}",
        "--input-format=text",
        f"--title=[{origin}] {event.title}",
    ]


def send(host: Host, now: float | None = None) -> Sent:
    """Deliver what is due. To a channel that fails nothing more is given: it hears all in order, or later."""
    unspool(host)
    everyone = channels(host.layout)
    silent: set[str] = set()
    done, errors = 0, list[str]()
    for event in _each(host, everyone, silent):
        moment = time.time() if now is None else now
        missing = [each for each in everyone if each.identity not in event.delivered]
        if not is_due(event, moment):
            silent |= {each.identity for each in missing}
            continue
        here, said = _tell(host, event, [each for each in missing if each.identity not in silent])
        silent |= {each.identity for each in missing} - here
        errors += said
        if {each.identity for each in everyone} <= event.delivered | here:
            _sent(host, event, moment)
            done += 1
        elif said:
            _failed(host, event, moment, said)
    return Sent(done, tuple(errors))


def _each(host: Host, everyone: Sequence[Channel], silent: Collection[str]) -> Iterator[Waiting]:
    """Events that wait, oldest first, also those that come meanwhile; until there is no channel to tell."""
    after = 0
    while len(silent) < len(everyone):
        event = head(host, after)
        if event is None:
            return
        after = event.identity
        yield event


def head(host: Host, after: int = 0) -> Waiting | None:
    """The oldest event that waits, of those after this one."""
    row = host.state.db.execute(
        "SELECT id, at, severity, title, body, tries, next, delivered, error FROM events"
        " WHERE sent IS NULL AND id > ? ORDER BY id LIMIT 1",
        [after],
    ).fetchone()
    if not row:
        return None
    *rest, delivered, error = row
    return Waiting(*rest)._replace(delivered=frozenset(json.loads(delivered)), error=error)


def _tell(host: Host, event: Waiting, those: Sequence[Channel]) -> tuple[set[str], list[str]]:
    """The channels that took it, remembered one by one; and why the others did not."""
    here: set[str] = set()
    errors = []
    for each in those:
        error = _deliver(host, each, event)
        if error:
            errors.append(f"{each.kind}: {error}")
        else:
            here.add(each.identity)
            _remember(host, event, event.delivered | here)
    return here, errors


def _deliver(host: Host, channel: Channel, event: Waiting) -> str:
    """Give it to one channel; returns why that failed. Only root sees the file with the address."""
    path = host.layout.run / "channel.yml"
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        disk.replace(path, channel.config, 0o600)
        done = host.run(command(path, event, _origin(host)), stdin=_body(event), timeout=SECONDS)
    except OSError as error:
        return str(error)
    finally:
        path.unlink(missing_ok=True)
    return " ".join(channel.hide(done.words).split())[-300:] if done.code else ""


def _origin(host: Host) -> str:
    known = about(host.layout)
    return " ".join(str(known[key]) for key in ("client", "environment", "host") if known.get(key))


def _body(event: Waiting) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(event.at))
    return f"{event.body or event.title}\n\n{when}\n"


def _remember(host: Host, event: Waiting, delivered: Collection[str]) -> None:
    with host.state.db as db:
        db.execute(
            "UPDATE events SET delivered = ? WHERE id = ?", (json.dumps(sorted(delivered)), event.identity)
        )


def _sent(host: Host, event: Waiting, now: float) -> None:
    with host.state.db as db:
        db.execute(
            "UPDATE events SET sent = ?, tries = tries + 1, error = '' WHERE id = ?", (now, event.identity)
        )


def _failed(host: Host, event: Waiting, now: float, errors: Sequence[str]) -> None:
    with host.state.db as db:
        db.execute(
            "UPDATE events SET tries = tries + 1, next = ?, error = ? WHERE id = ?",
            (now + pause(event.tries + 1), "; ".join(errors), event.identity),
        )
