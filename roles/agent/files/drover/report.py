# GPL-3.0-or-later
"""`report(event)`: the journal, and a queue that outlives a power cut. Nothing is told in another way."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from drover import disk
from drover.host import Host

REPEAT = 3600.0  # seconds in which the same key is told once
KEPT = 7 * 86400.0  # seconds for which a delivered event is kept
WAITING = 1000  # events that wait for a channel; the oldest give way
BODY = 8000  # characters
SEVERITIES = {"info": 6, "success": 6, "warning": 4, "failure": 3}  # Apprise's words → syslog's levels
JOURNAL = Path("/dev/log")


class Event(NamedTuple):
    """Something to tell. `key` names what is wrong (`disk:/srv`), so that it is not told again and again."""

    key: str
    severity: str
    title: str
    body: str = ""


def is_repeat(now: float, told: Iterable[float], repeat: float = REPEAT) -> bool:
    """Whether the key was told less than `repeat` seconds ago.

    A time in the future (the clock was set back) does not count: it could silence a key for days.
    """
    return any(0 <= now - then < repeat for then in told)


def report(host: Host, event: Event, now: float | None = None) -> bool:
    """Tell the journal, queue the event; False if it is a repeat. On a full disk the event waits in /run."""
    now = time.time() if now is None else now
    event = event._replace(title=" ".join(event.title.split())[:200], body=event.body[:BODY])
    try:
        fresh = queue(host, event, now)
    except (sqlite3.Error, OSError):
        fresh = _spooled(host.layout.run / "events", event, now)
    if fresh:
        journal(event)
        wake(host)
    return fresh


def queue(host: Host, event: Event, now: float) -> bool:
    """Append to the queue unless the key was told lately; keep the queue bounded."""
    with host.state.db as db:
        told = [
            at
            for (at,) in db.execute(
                "SELECT at FROM events WHERE key = ? ORDER BY at DESC LIMIT 100", [event.key]
            )
        ]
        if is_repeat(now, told):
            return False
        db.execute(
            "INSERT INTO events (at, key, severity, title, body) VALUES (?, ?, ?, ?, ?)", (now, *event)
        )
        db.execute("DELETE FROM events WHERE sent IS NOT NULL AND at < ?", (now - KEPT,))
        db.execute(
            "DELETE FROM events WHERE sent IS NULL AND id NOT IN"
            " (SELECT id FROM events WHERE sent IS NULL ORDER BY id DESC LIMIT ?)",
            (WAITING,),
        )
    return True


def _spooled(folder: Path, event: Event, now: float) -> bool:
    """With no room in memory either the journal alone is told; whoever reports goes on with its work."""
    try:
        return _spool(folder, event, now)
    except OSError:
        return True


def _spool(folder: Path, event: Event, now: float) -> bool:
    """One file for each key in memory; the sender takes it into the queue when there is room again."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = "".join(letter if letter.isalnum() else "_" for letter in event.key)[:100]
    path = folder / f"{name}.json"
    if path.exists() and is_repeat(now, [path.stat().st_mtime]):
        return False
    disk.replace(path, json.dumps([now, *event]), 0o600)
    return True


def unspool(host: Host) -> None:
    """Take events from memory into the queue, oldest first. A file that is none is kept aside and told of."""
    folder = host.layout.run / "events"
    for path in sorted(folder.glob("*.json"), key=_age) if folder.is_dir() else ():
        try:
            at, event = _spooled_event(path)
        except (OSError, ValueError) as error:
            _set_aside(host, path, str(error))
            continue
        queue(host, event, at)
        path.unlink()


def _age(path: Path) -> float:
    return path.lstat().st_mtime


def _spooled_event(path: Path) -> tuple[float, Event]:
    raw = json.loads(path.read_text("utf-8"))
    if not isinstance(raw, list) or len(raw) != 5 or not isinstance(raw[0], int | float):
        raise ValueError("it is no event")
    if not all(isinstance(text, str) for text in raw[1:]) or raw[2] not in SEVERITIES:
        raise ValueError("it is no event")
    return raw[0], Event(*raw[1:])


def _set_aside(host: Host, path: Path, why: str) -> None:
    with suppress(OSError):
        path.rename(path.with_suffix(".bad"))
    report(host, Event(f"spool:{path.name}", "warning", f"{path} could not be read as an event", why))


def journal(event: Event) -> None:
    """One message for syslog's socket, which is journald's."""
    text = f"{event.title}\n{event.body}".strip()
    message = f"<{3 * 8 + SEVERITIES[event.severity]}>drover[{os.getpid()}]: [{event.key}] {text}"
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.connect(str(JOURNAL))
        log.send(message.encode())


def wake(host: Host) -> None:
    """Let the sender run now rather than at its next turn."""
    if Path("/run/systemd/system").is_dir() and host.layout.root == Path("/"):
        host.run(["systemctl", "start", "--no-block", "drover-send.service"], timeout=10)
