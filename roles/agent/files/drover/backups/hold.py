# GPL-3.0-or-later
"""Databases of stacks that are read while their host is frozen take no writes meanwhile.

Which they are is noted before the first is held, and until it was let go: until then its stack is only read,
whatever part the host has. So nothing is said to serve whose database still refuses to write.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from drover import disk, docker, lifecycle
from drover.backups import jobs, servers
from drover.backups.engines import ENGINES
from drover.backups.jobs import Job
from drover.errors import TROUBLE
from drover.host import Host
from drover.layout import Layout
from drover.record import redactor
from drover.run import DroverError

GRACE = 10  # seconds for transactions that began before
SECONDS = 60.0
TRIES, PAUSE = 3, 2.0  # of one that has just started, and is not there for everybody yet
READY_SECONDS = 300.0  # for a server that has to start first


def hold(host: Host, without: Collection[str] = ()) -> list[str]:
    """Let no database of this host's stacks that are read take writes; what is wrong with those that do.

    `without`: stacks that have said already what is wrong with them.
    """
    wanted = [job for job in _wanted(host.layout) if job.wish.stack not in without]
    if not wanted:
        return []
    _note(host.layout, lifecycle.held(host.layout) | {job.name for job in wanted})
    return [text for job in wanted if (text := _held(host, job))]


def _held(host: Host, job: Job) -> str:
    said = ""
    for attempt in range(TRIES):
        time.sleep(PAUSE if attempt else 0)
        try:
            _ask(host, job, "hold", SECONDS)
        except TROUBLE as error:
            said = f"{job.name} takes writes still, so this host is not frozen: {_told(host, error)}"
        else:
            return ""
    return said


def release(host: Host) -> list[str]:
    """Let those that were held take writes again; what is wrong with those that cannot."""
    left = lifecycle.held(host.layout)
    found, problems = jobs.known(host.layout) if left else ([], {})
    known = {job.name: job for job in found}
    errors = []
    for name in sorted(left):
        try:
            if name.partition("/")[0] in problems:
                raise DroverError(problems[name.partition("/")[0]])
            if name in known:  # else its stack has gone
                _released(host, known[name])
        except TROUBLE as error:
            errors.append(f"{name} takes no writes yet, so its stack is only read: {_told(host, error)}")
        else:
            left -= {name}
            _note(host.layout, left)
    return errors


def _released(host: Host, job: Job) -> None:
    """A database always runs: one that was stopped is started for it."""
    found = servers.container(host, job)
    if found and not found.running:
        docker.do(host.run, ["docker", "start", found.identity])
    _ask(host, job, "release", READY_SECONDS)


def wrong(host: Host) -> str:
    """What is not as the host's part wants it; empty if all is."""
    part = lifecycle.of(host.layout)
    if part.reads:
        names = [job.name for job in _wanted(host.layout) if not _is_held(host, job)]
    else:
        names = sorted(lifecycle.held(host.layout))
    what = "takes writes still" if part.reads else "takes no writes yet"
    return f"{', '.join(names)} {what}: run drover lifecycle {part.name} again" if names else ""


def _is_held(host: Host, job: Job) -> bool:
    try:
        return _ask(host, job, "held", SECONDS) == "on"
    except TROUBLE:
        return False


def _wanted(layout: Layout) -> list[Job]:
    engines = {name for name, module in ENGINES.items() if module.HOLDS}
    return [job for job in jobs.every_job(layout) if job.wish.reads_only and job.wanted.engine in engines]


def _ask(host: Host, job: Job, words: str, seconds: float) -> str:
    """What the database says, in its own container: a client of its own may be in the way of a backup."""
    found = servers.container(host, job)
    if not found or not found.running:
        raise DroverError("the database does not run")
    engine = ENGINES[job.wanted.engine]
    done = servers.ask(host.run, found.identity, engine, words, seconds, GRACE=str(GRACE))
    if done.code:
        raise DroverError(done.words)
    return done.out.strip()


def _note(layout: Layout, names: Collection[str]) -> None:
    if names:
        disk.replace(layout.held, "".join(f"{name}\n" for name in sorted(names)))
    else:
        disk.remove(layout.held)


def _told(host: Host, error: Exception) -> str:
    return redactor(host.layout)(str(error))
