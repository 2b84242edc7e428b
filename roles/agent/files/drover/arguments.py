# GPL-3.0-or-later
"""What can be typed: verbs, their arguments, and help."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

LOCK_SECONDS = 300.0


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
    _asks(apply)
    _waits(apply)
    _json(apply)
    apply.set_defaults(command="apply")

    _deploys(verbs)

    boot = verbs.add_parser("boot", help="bring back what ran well last; waits for Docker")
    _waits(boot)
    _json(boot)
    boot.set_defaults(command="boot")

    status = verbs.add_parser("status", help="what runs, since when, and what is wrong")
    status.add_argument("stack", nargs="?", default="", metavar="STACK")
    _json(status)
    status.set_defaults(command="status")

    certificates = verbs.add_parser("certificates", help="ask for certificates that are due; how all stand")
    certificates.add_argument("--now", action="store_true", help="also for those that failed a moment ago")
    _waits(certificates)
    _json(certificates)
    certificates.set_defaults(command="certificates")

    report = verbs.add_parser("report", help="tell an event: journal, and the queue of alerts")
    report.add_argument("--key", required=True, help="the same key is told once an hour")
    report.add_argument("--severity", required=True, choices=["info", "success", "warning", "failure"])
    report.add_argument("--title", required=True)
    report.add_argument("--body", default="", help="- reads standard input")
    report.set_defaults(command="report")

    verbs.add_parser("send", help="deliver queued events").set_defaults(command="send")
    verbs.add_parser("version", help="the agent's version").set_defaults(command="version")
    return top


def _deploys(verbs: Any) -> None:
    deploy = verbs.add_parser("deploy", help="bring one stack to the release that is wanted, or to another")
    deploy.add_argument("stack", metavar="STACK")
    deploy.add_argument(
        "--release", default="", metavar="ID", help="a release on this host; it becomes wanted"
    )
    deploy.add_argument("--check", action="store_true", help="only say what would be done")
    deploy.set_defaults(command="deploy")

    rollback = verbs.add_parser("rollback", help="bring one stack back to what ran well before")
    rollback.add_argument("stack", metavar="STACK")
    rollback.add_argument("--to", default="", metavar="ID", help="not to the newest that ran before")
    rollback.add_argument("--check", action="store_true", help="only say what would be done")
    rollback.set_defaults(command="rollback")
    for verb in (deploy, rollback):
        _asks(verb)
        _waits(verb)
        _json(verb)

    history = verbs.add_parser("history", help="who changed what, when, and how it ended")
    history.add_argument("stack", nargs="?", default="", metavar="STACK")
    history.add_argument("--lines", type=int, default=20, metavar="N", help="at most (default: 20)")
    _json(history)
    history.set_defaults(command="history")

    lock = verbs.add_parser("lock", help="keep others from deploying, or let them again")
    lock.add_argument("what", nargs="?", default="show", choices=["show", "take", "release"])
    _asks(lock)
    _json(lock)
    lock.set_defaults(command="lock")


def _asks(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--who", default="", metavar="NAME", help="who asks for it, for history")
    verb.add_argument("--reason", default="", metavar="TEXT", help="why; opens a closed deploy window")
    verb.add_argument("--force", action="store_true", help="whatever was rolled back or locked")


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
