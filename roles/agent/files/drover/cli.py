# GPL-3.0-or-later
"""The command line. Exit codes: 0 well, 1 something is wrong, 2 wrong usage."""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from drover import __version__
from drover.host import Host, who
from drover.layout import Layout
from drover.run import DroverError, runner
from drover.state import State

if TYPE_CHECKING:
    from drover.apply import Answer
    from drover.release import Manifest

LOCK_SECONDS = 300.0
DOCKER_SECONDS = 180.0


def main(arguments: Sequence[str]) -> int:
    """Run one command."""
    wish = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        return int(wish.command(wish, Layout(wish.root)))
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


def parser() -> argparse.ArgumentParser:
    """What can be typed."""
    top = argparse.ArgumentParser(prog="drover", description="What runs on this host, and making it so.")
    top.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)
    verbs = top.add_subparsers(required=True, metavar="COMMAND")

    apply = verbs.add_parser("apply", help="bring every stack to the release that is wanted")
    apply.add_argument("--check", action="store_true", help="only say what would be done")
    apply.add_argument(
        "--stack", action="append", default=[], metavar="NAME", help="only this one; may be repeated"
    )
    apply.add_argument(
        "--manifests",
        choices=["-"],
        help="read manifests from standard input, a JSON list: "
        "their releases become wanted, and stacks that shall go are removed",
    )
    apply.add_argument(
        "--all",
        action="store_true",
        help="these manifests are every stack of this host but the proxy: nothing else is applied, "
        "and stacks that run here and are not among them are named",
    )
    apply.add_argument(
        "--touched",
        action="append",
        default=[],
        metavar="PATH",
        help="with --check: a secret file that would be written; may be repeated",
    )
    apply.add_argument("--who", default="", metavar="NAME", help="who asks for it, for history")
    _waits(apply)
    _json(apply)
    apply.set_defaults(command=_apply)

    boot = verbs.add_parser("boot", help="bring back what ran well last; waits for Docker")
    _waits(boot)
    _json(boot)
    boot.set_defaults(command=_boot)

    status = verbs.add_parser("status", help="what runs, since when, and what is wrong")
    status.add_argument("stack", nargs="?", default="", metavar="STACK")
    _json(status)
    status.set_defaults(command=_status)

    report = verbs.add_parser("report", help="tell an event: journal, and the queue of alerts")
    report.add_argument("--key", required=True, help="the same key is told once an hour")
    report.add_argument("--severity", required=True, choices=["info", "success", "warning", "failure"])
    report.add_argument("--title", required=True)
    report.add_argument("--body", default="", help="- reads standard input")
    report.set_defaults(command=_report)

    verbs.add_parser("send", help="deliver queued events").set_defaults(command=_send)
    verbs.add_parser("version", help="the agent's version").set_defaults(command=_version)
    return top


def _waits(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--wait",
        type=float,
        default=LOCK_SECONDS,
        metavar="SECONDS",
        help="how long to wait for another drover (default: %(default).0f)",
    )


def _json(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="answer in JSON")


@contextmanager
def _locked(layout: Layout, purpose: str, wait: float, name: str = "") -> Iterator[Host]:
    """A host of our own until the end: nothing else applies meanwhile."""
    from drover.lock import held

    with held(layout.run / "lock", purpose, wait, _say) as descriptor:
        host = Host(layout, runner([descriptor]), State(layout.state), _say, who(name))
        try:
            yield host
        finally:
            host.state.close()


def _apply(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.release import given

    if wish.all and not wish.manifests:
        parser().error("--all says something of the manifests: give them with --manifests=-")
    told = given(sys.stdin.read()) if wish.manifests else {}
    if wish.check:
        return _answer(wish, Host(layout, runner(), State(layout.state, write=False), _say), told)
    with _locked(layout, "apply", wish.wait, wish.who) as host:
        return _answer(wish, host, told)


def _answer(wish: argparse.Namespace, host: Host, told: Mapping[str, Manifest]) -> int:
    from drover.apply import Options, apply
    from drover.release import wanted, wishes

    everything = frozenset(told) if wish.all else None
    only = frozenset(wish.stack) if wish.stack else everything
    options = Options(check=wish.check, only=only, complete=wish.all, touched=frozenset(wish.touched))
    answer = apply(host, wishes(host.layout, wanted), options, told)
    print(json.dumps(answer.data()) if wish.json else readable(answer, options.check))
    return 1 if answer.errors else 0


def readable(answer: Answer, check: bool) -> str:
    """The answer for a person."""
    if not answer.changed and not answer.errors:
        return f"nothing to do: {len(answer.plans)} stacks are as they should be"
    lines = []
    for name, plan in answer.plans.items():
        verb = "would" if check else "not finished" if name in answer.failed else "done"
        lines += [f"{verb}: {name}: {step.text}" for step in plan.steps]
    return "\n".join([*lines, *(f"error: {error}" for error in answer.errors)])


def _boot(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.apply import Options, apply
    from drover.record import docker_is_silent
    from drover.release import standing, wishes

    with _locked(layout, "boot", wish.wait) as host:
        try:
            _await_docker(host)
        except DroverError as failure:
            docker_is_silent(host, str(failure))
            raise
        answer = apply(host, wishes(layout, standing), Options("boot"))
    print(json.dumps(answer.data()) if wish.json else readable(answer, False))
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


def _status(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.status import status, table

    host = Host(layout, runner(), State(layout.state, write=False), _say)
    found = status(host, wish.stack)
    if wish.stack and not found["stacks"]:
        raise DroverError(f"there is no stack {wish.stack} on this host")
    print(json.dumps(found) if wish.json else table(found))
    return 0 if found["fine"] else 1


def _report(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.report import Event, report

    body = sys.stdin.read() if wish.body == "-" else wish.body
    host = Host(layout, runner(), State(layout.state), _say)
    report(host, Event(wish.key, wish.severity, wish.title, body))
    return 0


def _send(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.lock import held
    from drover.sender import send

    with held(layout.run / "send.lock", "send", 60.0, _say):
        sent = send(Host(layout, runner(), State(layout.state), _say))
    if sent.delivered:
        print(f"delivered {sent.delivered} events")
    for error in sent.errors:
        _say(f"drover: not delivered: {error}")
    return 1 if sent.errors else 0


def _version(wish: argparse.Namespace, layout: Layout) -> int:
    from drover.release import FORMAT

    print(f"drover {__version__} (manifest format {FORMAT})")
    return 0
