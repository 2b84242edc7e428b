# GPL-3.0-or-later
"""`drover dump`: what restic runs and reads. Bytes of a database pass by and are recorded part by part.

It ends with an error unless the dump is whole, and restic then makes no snapshot.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from drover import disk, docker
from drover.backups import clients, servers, settings
from drover.backups.engines import ENGINES
from drover.backups.jobs import Job
from drover.backups.parts import Reader
from drover.backups.servers import Server
from drover.host import Host
from drover.run import DroverError

SAMPLE_SECONDS = 1800.0
MARK_SECONDS = 60.0
SAMPLING = 2  # how keys are made digests of; those of another way are not compared
SAMPLES = 20_000  # keys of each database that are compared
RECORD = "record.json"


def dump(host: Host, job: Job) -> None:
    """Write the dump to standard output, and what it held beside the pipe."""
    engine = ENGINES[job.wanted.engine]
    clients.begun(host.layout, job)
    try:
        which = servers.of(host, job, engine)
        if not which.running:
            raise DroverError("the database does not run")
        like = servers.described(host, job, which, engine)
        record = {**_between(host, job, which, engine), "server": like}
    except (DroverError, OSError) as error:
        _write(host, job, {"failed": str(error)})
        raise
    _write(host, job, record)


def _between(host: Host, job: Job, which: Server, engine: ModuleType) -> dict[str, Any]:
    """The dump; where the log is kept, between two marks in it, by which a copy out of it is compared."""
    out, word = sys.stdout.fileno(), settings.word(host.layout, job.name)
    if not job.wanted.point_in_time:
        return taken(host, job, which, engine, out, WORD=word)
    names, began = [f"drover-{uuid.uuid4().hex[:12]}-{end}" for end in "ab"], time.time()
    place, segment = clients.ask(host, job, which, engine, f"mark {names[0]}", MARK_SECONDS).split()
    record = taken(host, job, which, engine, out, apart=True, WORD=word)
    clients.ask(host, job, which, engine, f"mark {names[1]}", MARK_SECONDS)
    return {**record, "marks": names, "marked": began, "place": place, "timeline": int(segment[:8], 16)}


def taken(
    host: Host,
    job: Job,
    which: Server,
    engine: ModuleType,
    descriptor: int | None = None,
    apart: bool = False,
    **more: str,
) -> dict[str, Any]:
    """Dump what the server has; its record. Bytes go to the descriptor, if there is one.

    `apart`: as the engine's reader has it, for a record that is compared with a copy out of the log too.
    `more`: what else the engine's script is told, in variables.
    """
    before = sampled(host, job, which, engine, SAMPLES)
    parts: Reader = engine.reader(which.variables, True) if apart else engine.reader(which.variables)
    if descriptor is not None:
        clients.widen(descriptor)
    with clients.pipe(host.layout, job, which.uid) as path:
        client = clients.Client(host, job, which, engine, "dump", more)
        try:
            for chunk in clients.read(path, client):
                parts.feed(chunk)
                if descriptor is not None:
                    _all(descriptor, chunk)
            client.finish(clients.SECONDS)
        finally:
            client.kill()
            with suppress(DroverError):
                docker.do(
                    host.run,
                    ["docker", "rm", "--force", "--volumes", clients.client_name(job)],
                    "No such container",
                )
    if not parts.size:
        raise DroverError("the dump is empty")
    after = sampled(host, job, which, engine, SAMPLES)
    return {
        "engine": job.wanted.engine,
        "image": which.image,
        "image_id": which.image_id,
        "bytes": parts.size,
        "parts": parts.found(),
        "samples": {key: value for key, value in before.items() if after.get(key) == value},
        "sampling": SAMPLING,
        "seen": sorted((len(before), len(after))),
        "at": time.time(),
    }


def sampled(host: Host, job: Job, which: Server, engine: ModuleType, most: int) -> dict[str, str]:
    """Key → digest of what is in the server now."""
    if not engine.SAMPLES:
        return {}
    said = clients.ask(host, job, which, engine, "sample", SAMPLE_SECONDS, MOST=str(most))
    return {
        key: value for line in said.splitlines() for key, _, value in [line.strip().partition(" ")] if value
    }


def _all(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]


def _path(host: Host, job: Job) -> Path:
    return clients.folder(host.layout, job) / RECORD


def _write(host: Host, job: Job, record: Mapping[str, Any]) -> None:
    disk.replace(_path(host, job), json.dumps(record), 0o600)


def begin(host: Host, job: Job) -> None:
    """Whatever an earlier run recorded is none of this one's."""
    _path(host, job).unlink(missing_ok=True)


def recorded(host: Host, job: Job) -> dict[str, Any]:
    """What the dump that has just ended recorded; empty if it was killed."""
    try:
        found: dict[str, Any] = json.loads(_path(host, job).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def failure(host: Host, job: Job) -> str:
    """Why the dump failed, in its own words; empty where it had none."""
    return str(recorded(host, job).get("failed") or "")
