# GPL-3.0-or-later
"""Write into history what was done with a stack, and report a failure as one event."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from drover.docker import Container, last_words
from drover.errors import StackError
from drover.host import Host
from drover.layout import Layout
from drover.plan import Plan
from drover.release import Manifest
from drover.state import Row


def refuse(host: Host, wish: Manifest, text: str, action: str) -> None:
    """A release that was not begun."""
    record(host, Plan(wish), StackError(text), action, 0.0)


def docker_is_silent(host: Host, text: str) -> None:
    """A start of the host that brings nothing back."""
    said = redactor(host.layout)(text)
    _tell(host, "docker", "Docker does not answer, nothing was brought back", said)


def guarded(host: Host, wish: Manifest, text: str, action: str, reason: str) -> None:
    """A change that may not be made now: whoever asked is told, nobody else is woken."""
    row = Row(
        time.time(), host.who, action, wish.stack, wish.release, wish.version, "refused", 0.0, text, reason
    )
    _written(host, row)


def record(
    host: Host, done: Plan, trouble: StackError | None, action: str, seconds: float, reason: str = ""
) -> str:
    """Write history, and report a failure as one event; returns the failure's text."""
    text = _text(host, done.wish, trouble) if trouble else ""
    wish = done.wish
    detail = text or "; ".join(step.text for step in done.steps)
    if done.steps or text:
        row = Row(
            at=time.time(),
            who=host.who,
            action="remove" if wish.absent else action,
            stack=wish.stack,
            release=wish.release,
            version=wish.version,
            result="failed" if text else "ok",
            seconds=round(seconds, 1),
            detail=detail,
            reason=reason,
        )
        text = _written(host, row) or text
    if text:
        _tell(host, f"apply:{wish.stack}:{wish.release}", f"{wish.stack} could not be applied", text)
    return text


def _written(host: Host, row: Row) -> str:
    """What a full disk says to a line of history; the stacks after it are carried out all the same."""
    try:
        host.state.record(row)
    except (sqlite3.Error, OSError) as error:
        said = f"{row.detail}; " if row.result != "ok" else f"{row.stack}: "
        return f"{said}it could not be recorded: {error}"
    return ""


def _text(host: Host, wish: Manifest, trouble: StackError) -> str:
    place = f"{wish.stack}/{trouble.service}" if trouble.service else wish.stack
    said = trouble.said or last_words(host.run, trouble.container)
    quoted = "".join(f"\n  | {line}" for line in said.splitlines())
    after = f"; {trouble.after}" if trouble.after else ""
    return redactor(host.layout)(f"{place}: {trouble}{after}{quoted}")


def without_secrets(layout: Layout, containers: tuple[Container, ...]) -> tuple[Container, ...]:
    """The same; what a container said last may hold a secret, and ends up in plans."""
    if not any(each.note for each in containers):
        return containers
    hide = redactor(layout)
    return tuple(each._replace(note=hide(each.note)) for each in containers)


def redactor(layout: Layout) -> Callable[[str], str]:
    """Takes the secrets of all stacks out of a text."""
    from drover import secrets

    try:
        return secrets.redactor(path / "secrets" for path in layout.stacks.iterdir())
    except OSError:
        return secrets.redactor(())


def _tell(host: Host, key: str, title: str, body: str) -> None:
    from drover.report import Event, report

    report(host, Event(key, "failure", title, body))
