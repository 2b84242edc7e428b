# GPL-3.0-or-later
"""The verbs of backups: what was typed → what is done → what is said."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from drover import lifecycle
from drover.backups import (
    backup,
    clients,
    elsewhere,
    escrow,
    importing,
    jobs,
    ledger,
    overview,
    retention,
    settings,
    stream,
    verify,
)
from drover.backups import restore as back
from drover.backups.backup import Outcome
from drover.backups.choice import Asked
from drover.backups.pitr import archive, base, check, keep
from drover.backups.restic import Restic
from drover.backups.undo import undo
from drover.host import Host, locked
from drover.layout import Layout
from drover.run import DroverError, environment, runner
from drover.state import Kept, State
from drover.table import aligned

LATEST = "latest"
GOOD = frozenset({"ok", ledger.VERIFIED, elsewhere.WAITS, elsewhere.LEFT, "would restore", "would import"})


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _alone(wish: argparse.Namespace, layout: Layout) -> Iterator[tuple[Host, Restic]]:
    """One of them at a time; what an earlier run left when it was killed is gone."""
    found = settings.need(layout)
    with locked(layout, wish.command, wish.wait, _say, getattr(wish, "who", ""), file=clients.LOCK) as host:
        clients.tidy(host)
        yield host, Restic(layout, host.run, found)


def _answer(wish: argparse.Namespace, done: Mapping[str, Outcome], changed: bool = True) -> int:
    """What became of each job; exit status 1 if one of them is not good."""
    wrong = {name: each for name, each in done.items() if each.result not in GOOD}
    errors = [f"{name}: {each.text or each.result}" for name, each in wrong.items()]
    if wish.json:
        told = {name: each._asdict() for name, each in done.items()}
        print(json.dumps({"changed": changed and bool(done), "jobs": told, "errors": errors}))
    else:
        for name, each in done.items():
            mark = "" if each.result in GOOD else "error: "
            detail = each.text or f"{each.snapshot[:8]}, {each.bytes / 1e6:.1f} MB in {each.seconds:.1f} s"
            print(f"{mark}{name}: {each.result}: {detail}")
            for line in aligned([*each.content.items()]) if each.content else ():
                print(f"  {line}")
        if not done:
            print("nothing on this host is backed up")
    return 1 if wrong else 0


def _backup(wish: argparse.Namespace, layout: Layout) -> int:
    if wish.tidy:
        return _tidy(layout)
    with _alone(wish, layout) as (host, restic):
        if wish.init:
            return _init(host, restic)
        lifecycle.need_saves(layout, "the one in service is backed up", last=wish.last)
        found, odd = jobs.known(layout)
        chosen = jobs.chosen(found, [wish.base] if wish.base else wish.targets)
        if wish.accept:
            for job in chosen:
                ledger.accept(host, job)
        bases = base.every(host, chosen)
        if wish.base:
            return _answer(wish, bases)
        unknown = {} if wish.targets else backup.unknown(host, odd)
        done = backup.every(host, restic, chosen)
        if restic.settings.verified_by:
            with contextlib.suppress(DroverError):  # the next verification says it
                elsewhere.heard(host, restic, chosen)
        return _answer(wish, {**bases, **done, **unknown})


def _init(host: Host, restic: Restic) -> int:
    """Make the repository, once: where this host knows of backups, an absent one is a loss to be told of."""
    where = restic.settings.repository
    if restic.is_there():
        count = ledger.learn(host, restic)
        print(f"the repository is there{f'; {count} entries were read from it' if count else ''}")
        return 0
    if any(row.kind == "backup" and row.result == "ok" for row in host.state.kept()):
        raise DroverError(
            f"the repository {where} is gone, and this host has made backups there: docs/backups.md"
        )
    restic.do("init")
    print(f"created the repository {where}")
    return 0


def _tidy(layout: Layout) -> int:
    """After a unit has ended, however it ended; a run that goes on tidies for itself."""
    try:
        with locked(layout, "tidy", 0.0, lambda _: None, file=clients.LOCK) as host:
            clients.tidy(host)
    except DroverError:
        pass
    return 0


def _dump(wish: argparse.Namespace, layout: Layout) -> int:
    """For restic, which is called by the one who holds the lock."""
    host = Host(layout, runner(), State(layout.state, write=False), _say)
    stream.dump(host, jobs.one(jobs.every_job(layout), wish.job))
    return 0


def _verify(wish: argparse.Namespace, layout: Layout) -> int:
    with _alone(wish, layout) as (host, restic):
        lifecycle.need_saves(layout, "the one in service is verified", last=wish.last)
        done: dict[str, Outcome] = {}
        if not wish.of:
            chosen = jobs.chosen(jobs.every_job(layout), wish.targets)
            left = chosen
            if restic.settings.verified_by and not wish.spoil:
                done, left = _hear(host, restic, chosen)
            done |= verify.every(host, restic, left, wish.spoil)
            done |= check.every(host, restic, chosen, wish.spoil)
        for name in [wish.of] if wish.of else () if wish.targets else restic.settings.verifies:
            done |= _verify_other(wish, host, restic.settings, name)
        return _answer(wish, done)


def _hear(host: Host, restic: Restic, chosen: list[jobs.Job]) -> tuple[dict[str, Outcome], list[jobs.Job]]:
    """What the other host has said, and the jobs that it leaves to this one."""
    left = [job for job in chosen if elsewhere.is_left(host, job)]
    try:
        return elsewhere.heard(host, restic, [job for job in chosen if job not in left]), left
    except DroverError as error:
        name = f"verdicts of {restic.settings.verified_by}"
        return {name: backup.noted(host, "verify", name, Outcome("failed", str(error)))}, left


def _verify_other(
    wish: argparse.Namespace, host: Host, own: settings.Settings, name: str
) -> dict[str, Outcome]:
    """The same for another host of the client's, beside whose trouble this one's own goes on."""
    if name not in own.verifies:
        there = ", ".join(own.verifies) or "none"
        raise DroverError(f"--of {name}: backup_verifies of this host names: {there}")
    other = own._replace(repository=own.verifies[name], host=name)
    restic = Restic(host.layout, host.run, other, shared=True)
    try:
        return elsewhere.every(host, restic, name, wish.targets if wish.of else (), wish.spoil)
    except DroverError as error:
        if wish.of:
            raise
        return {name: backup.noted(host, "verify", name, Outcome("failed", str(error)))}


def _restore(wish: argparse.Namespace, layout: Layout) -> int:
    if bool(wish.all) == bool(wish.target):
        raise DroverError("name one STACK or STACK/NAME, or say --all for the whole host")
    if wish.undo and wish.beside:
        raise DroverError("--undo brings back what is kept as a volume already: look into that one")
    asked = Asked(
        wish.snapshot,
        0.0 if wish.at == LATEST else _moment(wish.at),
        wish.at == LATEST,
        wish.before_transaction,
        wish.verified,
        wish.best,
        wish.beside,
        wish.replace,
        wish.other_version,
        wish.check,
    )
    if wish.undo:
        return _undo(wish, layout)
    with _alone(wish, layout) as (host, restic):
        lifecycle.need_changes(layout)
        chosen, odd = _wanted(wish, layout)
        done = back.restore(host, restic, chosen, asked)
        return _answer(wish, {**done, **odd}, changed=not wish.check)


def _wanted(wish: argparse.Namespace, layout: Layout) -> tuple[list[jobs.Job], dict[str, Outcome]]:
    """The jobs that were asked for. Whoever wants all of them has to hear of stacks that cannot be read."""
    found, problems = jobs.known(layout)
    odd = {name: Outcome("failed", f"nothing of it comes back: {text}") for name, text in problems.items()}
    return jobs.chosen(found, [wish.target] if wish.target else []), {} if wish.target else odd


def _undo(wish: argparse.Namespace, layout: Layout) -> int:
    """On a host without a repository, too."""
    with locked(layout, "restore", wish.wait, _say, wish.who, file=clients.LOCK) as host:
        lifecycle.need_changes(layout)
        clients.tidy(host)
        chosen, odd = _wanted(wish, layout)
        done = undo(host, chosen, check=wish.check)
        return _answer(wish, {**done, **odd}, changed=not wish.check)


def _import(wish: argparse.Namespace, layout: Layout) -> int:
    """On a host without a repository, too."""
    found, asked = settings.read(layout), importing.Asked(wish.replace, wish.no_owner, wish.check)
    with locked(layout, "import", wish.wait, _say, wish.who, file=clients.LOCK) as host:
        lifecycle.need_saves(layout, "import into the one in service")
        clients.tidy(host)
        restic = Restic(layout, host.run, found) if found else None
        job = _one_job(layout, wish.job)
        done = importing.bring_in(host, restic, job, wish.path.absolute(), asked)
        return _answer(wish, {job.name: done}, changed=not wish.check)


def _one_job(layout: Layout, name: str) -> jobs.Job:
    found = jobs.chosen(jobs.every_job(layout), [name])
    if len(found) != 1:
        raise DroverError(f"{name}: name one of {', '.join(each.name for each in found)}")
    return found[0]


def _moment(text: str) -> float:
    """A time as a person writes it, by the host's clock unless it says another; 0 for none."""
    if not text:
        return 0.0
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        raise DroverError(
            f"--at: found {text!r}; write it as 2026-11-30 03:00 or 2026-11-30T03:00:00+01:00"
        ) from None


def _retention(wish: argparse.Namespace, layout: Layout) -> int:
    with _alone(wish, layout) as (host, restic):
        lifecycle.need_saves(layout, "the one in service lets backups go")
        found = jobs.every_job(layout)
        done = retention.run(host, restic, found)
        return _answer(wish, {**done, **keep.every(host, restic.settings.max_age, found)})


def _archive(wish: argparse.Namespace, layout: Layout) -> int:
    settings.need(layout)
    with contextlib.suppress(KeyboardInterrupt):
        archive.serve(Host(layout, runner(), State(layout.state), _say))
    return 0


def _overview(wish: argparse.Namespace, layout: Layout) -> int:
    settings.need(layout)
    found = overview.overview(Host(layout, runner(), State(layout.state, write=False), _say))
    print(json.dumps(found) if wish.json else overview.table(found))
    return 1 if any(each["problem"] for each in found) else 0


def _escrow(wish: argparse.Namespace, layout: Layout) -> int:
    with _alone(wish, layout) as (host, restic):
        escrow.add(restic)
        host.state.keep(Kept(escrow.KIND, "", "", time.time(), 0.0, 0, "ok", ""))
    return 0


def _restic(wish: argparse.Namespace, layout: Layout) -> int:
    """It takes this program's place."""
    restic = Restic(layout, runner(), settings.need(layout))
    command = restic.command(*wish.words)
    os.execve(command[0], command, {**environment(), **restic.variables})  # noqa: S606  no shell is meant


VERBS: dict[str, Callable[[argparse.Namespace, Layout], int]] = {
    "archive": _archive,
    "backup": _backup,
    "backups": _overview,
    "dump": _dump,
    "verify": _verify,
    "restore": _restore,
    "import": _import,
    "retention": _retention,
    "escrow": _escrow,
    "restic": _restic,
}
