# GPL-3.0-or-later
"""The command line. Exit codes: 0 well, 1 something is wrong, 2 wrong usage."""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from drover import __version__
from drover.arguments import parser
from drover.host import Host, about, locked, who
from drover.layout import Layout
from drover.run import DroverError, runner
from drover.state import State

if TYPE_CHECKING:
    from drover.apply import Answer
    from drover.release import Manifest

DOCKER_SECONDS = 180.0
SEND_SECONDS = 60.0  # to wait for another one that sends


def main(arguments: Sequence[str]) -> int:
    """Run one command."""
    wish = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        return int(COMMANDS[wish.command](wish, Layout(wish.root)))
    except DroverError as failure:
        return _fail(wish, str(failure))
    except (sqlite3.Error, OSError) as error:
        return _fail(wish, f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        return _fail(wish, "interrupted; run it again and it goes on from here")


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(wish: argparse.Namespace, text: str) -> int:
    from drover.record import redactor

    text = redactor(Layout(wish.root))(text)
    if getattr(wish, "json", False):
        print(
            json.dumps(
                {
                    "changed": False,
                    "stacks": {},
                    "jobs": {},
                    "errors": [text],
                    "unlisted": [],
                    "diff": {"before": "", "after": ""},
                }
            )
        )
    else:
        _say(f"drover: {text}")
    return 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _apply(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.wishes import given

    if wish.all and not wish.manifests:
        parser().error("--all says something of the manifests: give them with --manifests=-")
    told = given(sys.stdin.read()) if wish.manifests else {}
    with _host(wish, layout, "apply") as host:
        answer = _answer(wish, host, told)
    if not wish.check:
        from drover.backups.overview import unsaved
        from drover.certificates import warnings

        certificates = warnings(layout, wish.wait, _say, wish.stack or None)
        answer = answer._replace(warnings=(*certificates, *unsaved(layout, wish.stack)))
    return _told(wish, answer, wish.check)


def _answer(wish: argparse.Namespace, host: Host, told: Mapping[str, Manifest]) -> Answer:
    from drover.apply import Options, apply
    from drover.guard import Asked
    from drover.wishes import every, wanted

    everything = frozenset(told) if wish.all else None
    only = frozenset(wish.stack) if wish.stack else everything
    options = Options(
        check=wish.check,
        only=only,
        complete=wish.all,
        touched=frozenset(wish.touched),
        asked=Asked(wish.reason, wish.force),
    )
    return apply(host, every(host.layout, wanted), options, told)


def _certificates(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.certificates import attend, table

    found = attend(layout, wish.wait, _say, insist=wish.now)
    print(json.dumps([each._asdict() for each in found]) if wish.json else table(found))
    return 1 if any(each.problem for each in found) else 0


def _told(wish: argparse.Namespace, answer: Answer, check: bool = False) -> int:
    print(json.dumps(answer.data()) if wish.json else answer.text(check))
    return 1 if answer.errors else 0


def _deploy(wish: argparse.Namespace, layout: Layout) -> int:
    """The same as `apply` of one stack; a release that is named becomes wanted."""
    from drover.apply import Options, apply
    from drover.guard import Asked
    from drover.wishes import every, load, wanted

    told = {wish.stack: load(layout, wish.stack, wish.release)} if wish.release else {}
    options = Options("deploy", wish.check, frozenset([wish.stack]), asked=Asked(wish.reason, wish.force))
    with _host(wish, layout, "deploy") as host:
        return _told(wish, apply(host, every(layout, wanted), options, told), wish.check)


def _rollback(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.apply import Options
    from drover.guard import Asked
    from drover.rollback import rollback

    options = Options("rollback", wish.check, asked=Asked(wish.reason, wish.force))
    with _host(wish, layout, "rollback") as host:
        return _told(wish, rollback(host, wish.stack, wish.to, options), wish.check)


@contextmanager
def _host(wish: argparse.Namespace, layout: Layout, purpose: str) -> Iterator[Host]:
    """The host to change, or in a dry run only to look at."""
    if wish.check:
        yield Host(layout, runner(), State(layout.state, write=False), _say, who(wish.who))
    else:
        with locked(layout, purpose, wish.wait, _say, wish.who) as host:
            yield host


def _history(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.history import table

    rows = State(layout.state, write=False).history(wish.stack, wish.lines)
    print(json.dumps([row._asdict() for row in rows]) if wish.json else table(rows))
    return 0


def _marks(wish: argparse.Namespace, layout: Layout) -> int:
    from drover import marks

    state = State(layout.state, write=bool(wish.take))
    new = marks.take(state, marks.given(sys.stdin.read())) if wish.take else 0
    found = state.marks()
    if wish.json:
        print(json.dumps({"changed": bool(new), "marks": marks.told(found), "errors": []}))
    else:
        print(marks.table(found))
    return 0


def _lock(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.lockout import described, locked

    host = Host(layout, runner(), State(layout.state, write=wish.what != "show"), _say, who(wish.who))
    lock = locked(host, wish.what, wish.reason, wish.force)
    print(json.dumps(lock and lock._asdict()) if wish.json else described(lock))
    return 0


def _boot(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.guard import standing
    from drover.record import docker_is_silent
    from drover.takeover import bring

    with locked(layout, "boot", wish.wait, _say) as host:
        try:
            _await_docker(host)
        except DroverError as failure:
            docker_is_silent(host, str(failure))
            raise
        answer = bring(host, standing(host.state.marks()), "boot")
    print(json.dumps(answer.data()) if wish.json else answer.text(False))
    return 1 if answer.errors else 0


def _await_docker(host: Host) -> None:
    until = time.monotonic() + DOCKER_SECONDS
    while True:
        done = host.run(["docker", "version", "--format", "{{.Server.Version}}"], timeout=10)
        if not done.code:
            return
        if time.monotonic() > until:
            raise DroverError(f"Docker does not answer after {DOCKER_SECONDS:.0f} s: {done.words}")
        time.sleep(0.5)


def _lifecycle(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.lifecycle import TAG, heed
    from drover.metadata import tag
    from drover.outside import enforce
    from drover.takeover import become, described, part_of

    host = Host(layout, runner(), State(layout.state, write=False), _say)
    if wish.enforce:
        if about(layout).get("instance"):
            heed(layout, tag(TAG))
        enforce(host)
    elif wish.part:
        with locked(layout, "lifecycle", wish.wait, _say, wish.who) as alone:
            return _told(wish, become(alone, wish.part))
    else:
        part = part_of(host)
        print(json.dumps({"part": part.name}) if wish.json else described(part))
    return 0


def _status(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.status import status, table

    host = Host(layout, runner(), State(layout.state, write=False), _say)
    found = status(host, wish.stack)
    if wish.stack and not found["stacks"]:
        raise DroverError(f"there is no stack {wish.stack} on this host")
    print(json.dumps(found) if wish.json else table(found))
    return 0 if found["fine"] else 1


def _smoke(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.smoke import smoke, table

    found = smoke(layout, runner(), wish.stack)
    print(json.dumps(found) if wish.json else table(found))
    return 0 if found["passed"] else 1


def _report(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.report import Event, report

    body = sys.stdin.read() if wish.body == "-" else wish.body
    host = Host(layout, runner(), State(layout.state), _say)
    report(host, Event(wish.key, wish.severity, wish.title, body))
    return 0


def _send(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.sender import send

    with locked(layout, "send", SEND_SECONDS, _say, file="send.lock") as host:
        sent = send(host)
    if sent.delivered:
        print(f"delivered {sent.delivered} events")
    for error in sent.errors:
        _say(f"drover: not delivered: {error}")
    return 1 if sent.errors else 0


def _version(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.release import FORMAT

    print(f"drover {__version__} (manifest format {FORMAT})")
    return 0


def _data(wish: argparse.Namespace, layout: Layout) -> int:
    """The verbs of backups; nobody else need load them."""
    from drover.backups.verbs import VERBS

    return VERBS[wish.command](wish, layout)


COMMANDS: dict[str, Callable[[argparse.Namespace, Layout], int]] = {
    "apply": _apply,
    "deploy": _deploy,
    "rollback": _rollback,
    "history": _history,
    "lock": _lock,
    "marks": _marks,
    "boot": _boot,
    "lifecycle": _lifecycle,
    "certificates": _certificates,
    "status": _status,
    "smoke": _smoke,
    "report": _report,
    "send": _send,
    "version": _version,
    **dict.fromkeys(
        (
            "archive",
            "backup",
            "backups",
            "dump",
            "verify",
            "restore",
            "import",
            "retention",
            "escrow",
            "restic",
        ),
        _data,
    ),
}
