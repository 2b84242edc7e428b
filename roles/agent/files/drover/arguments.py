# GPL-3.0-or-later
"""What can be typed: verbs, their arguments, and help."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from drover.lifecycle import PARTS

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
    _backups(verbs)

    boot = verbs.add_parser("boot", help="bring back what ran well last; waits for Docker")
    _waits(boot)
    _json(boot)
    boot.set_defaults(command="boot")

    status = verbs.add_parser("status", help="what runs, since when, and what is wrong")
    status.add_argument("stack", nargs="?", default="", metavar="STACK")
    _json(status)
    status.set_defaults(command="status")

    lifecycle = verbs.add_parser("lifecycle", help="which part this host has among its generations")
    lifecycle.add_argument("part", nargs="?", default="", choices=["", *PARTS], metavar="PART")
    lifecycle.add_argument("--enforce", action="store_true", help="at a boot, before Docker starts")
    lifecycle.add_argument("--who", default="", metavar="NAME", help="who asks for it, for history")
    _waits(lifecycle)
    _json(lifecycle)
    lifecycle.set_defaults(command="lifecycle")

    smoke = verbs.add_parser("smoke", help="ask what the stacks' smoke tests say; changes nothing")
    smoke.add_argument("stack", nargs="?", default="", metavar="STACK")
    _json(smoke)
    smoke.set_defaults(command="smoke")

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

    marks = verbs.add_parser("marks", help="versions that were rolled back")
    marks.add_argument("--take", choices=["-"], help="add another generation's, from standard input")
    _json(marks)
    marks.set_defaults(command="marks")

    lock = verbs.add_parser("lock", help="keep others from deploying, or let them again")
    lock.add_argument("what", nargs="?", default="show", choices=["show", "take", "release"])
    _asks(lock)
    _json(lock)
    lock.set_defaults(command="lock")


def _backups(verbs: Any) -> None:
    backup = verbs.add_parser("backup", help="back up every database and volume, or some")
    verify = verbs.add_parser("verify", help="restore the newest backups into copies and compare them")
    for verb in (backup, verify):
        verb.add_argument("targets", nargs="*", metavar="TARGET", help="STACK or STACK/NAME; without, all")
        verb.add_argument("--last", action="store_true", help="on a frozen host, before another takes over")
    backup.add_argument("--init", action="store_true", help="make the repository, if it is not there")
    backup.add_argument("--tidy", action="store_true", help="only remove what a killed run left")
    backup.add_argument(
        "--accept", action="store_true", help="on a new host: what is here counts, though not restored"
    )
    backup.add_argument("--base", default="", metavar="STACK/NAME", help="only a base for its log")
    verify.add_argument(
        "--of", default="", metavar="HOST", help="those of another host, which backup_verifies names"
    )
    verify.add_argument(
        "--spoil", default="", metavar="COMMAND", help="a drill: run this in each copy before it is compared"
    )

    restore = verbs.add_parser("restore", help="bring data back, into place or beside")
    restore.add_argument("target", nargs="?", default="", metavar="TARGET", help="STACK or STACK/NAME")
    restore.add_argument("--all", action="store_true", help="everything of this host")
    which = restore.add_mutually_exclusive_group()
    which.add_argument(
        "--at",
        default="",
        metavar="TIME",
        help="the newest that is not younger; of a database whose log is kept, that very moment, or latest",
    )
    which.add_argument(
        "--before-transaction",
        type=int,
        default=0,
        metavar="XID",
        help="of a database whose log is kept: just before this transaction was committed",
    )
    which.add_argument("--snapshot", default="", metavar="ID", help="this one")
    which.add_argument("--verified", action="store_true", help="the newest that was verified")
    which.add_argument(
        "--best",
        action="store_true",
        help="as much as comes back whole: the newest, else the newest that was verified",
    )
    which.add_argument("--undo", action="store_true", help="what the last restore replaced")
    restore.add_argument(
        "--beside", default="", metavar="NAME", help="only as a copy of this name, to look into"
    )
    restore.add_argument(
        "--replace", action="store_true", help="replace data that is there; it is kept a while"
    )
    restore.add_argument("--other-version", action="store_true", help="into another version of the database")
    restore.add_argument("--check", action="store_true", help="only say what would be done")

    bring = verbs.add_parser("import", help="take over a dump, or files, of another server")
    bring.add_argument("job", metavar="STACK/NAME")
    bring.add_argument(
        "path", type=Path, metavar="PATH", help="on this host; packed by gzip, zstd, xz or bzip2, or not"
    )
    bring.add_argument(
        "--replace", action="store_true", help="replace data that is there; it is kept a while"
    )
    bring.add_argument(
        "--no-owner",
        action="store_true",
        help="roles that a pg_dump names need not exist: what is theirs belongs to the database's own user",
    )
    bring.add_argument("--check", action="store_true", help="only say what would be done")

    retention = verbs.add_parser("retention", help="forget old backups, check the repository")
    escrow = verbs.add_parser("escrow", help="add a key to be kept offline, and show it once")
    overview = verbs.add_parser("backups", help="how old the newest backups are, and which were verified")
    by_hand = verbs.add_parser("restic", help="restic with this host's repository and key; `-- WORDS`")
    by_hand.add_argument("words", nargs="+", metavar="WORDS")
    verbs.add_parser(
        "archive", help="take logs of databases to the repository, until it is stopped"
    ).set_defaults(command="archive")
    dump = verbs.add_parser("dump", help="write a database's dump to standard output; for restic")
    dump.add_argument("job", metavar="STACK/NAME")
    for name, verb in {
        "backup": backup,
        "verify": verify,
        "restore": restore,
        "import": bring,
        "retention": retention,
    }.items():
        _waits(verb)
        _json(verb)
        verb.add_argument("--who", default="", metavar="NAME", help="who asks for it, for history")
        verb.set_defaults(command=name)
    _waits(escrow)
    _json(overview)
    escrow.set_defaults(command="escrow")
    overview.set_defaults(command="backups")
    by_hand.set_defaults(command="restic")
    dump.set_defaults(command="dump")


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
