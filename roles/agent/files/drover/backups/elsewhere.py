# GPL-3.0-or-later
"""Verification on another host: by a server as the snapshot's record describes the one that was dumped.

Whoever verifies opens the other host's repository beside its own, with the same password. The host that is
verified restores nothing: it reads the verdicts.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from drover import disk
from drover.backups import clients, jobs, ledger, servers, verify
from drover.backups.backup import Outcome, tried
from drover.backups.engines import ENGINES
from drover.backups.jobs import FILES, Job
from drover.backups.restic import Restic
from drover.backups.servers import Mount, Server
from drover.host import Host
from drover.release import Job as Wanted
from drover.release import Manifest
from drover.report import Event, report
from drover.run import DroverError
from drover.state import Kept

JOB = "job="  # beginning of a tag
WAITS, LEFT = "waits", "left"
PULL_SECONDS = 1800.0
# What a record may say of a server: nothing by which a container would be more than that.
# Limits, unless it has its own.
LIMITS = (f"--memory={os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 2}", "--pids-limit=2048")
RIGHTS = "CHOWN|DAC_OVERRIDE|FOWNER|FSETID|IPC_LOCK|KILL|SETGID|SETPCAP|SETUID|SYS_NICE"
OPTION = re.compile(
    rf"--cap-add=(CAP_)?({RIGHTS})|--tmpfs=/[\w./-]+(:[\w=,%-]+)?|--(memory|pids-limit|shm-size)=-?\d+"
    r"|--read-only|--user=[\w.:-]+"
)
PATH = re.compile(r"/[\w./-]+")
IMAGE = re.compile(r"[a-z0-9][\w./:@-]*")


# Who verifies


class UnfitError(DroverError):
    """Nothing is known to be wrong with the snapshot: it cannot be looked at here."""


class LeftError(DroverError):
    """A copy of it can be made on its own host alone, which does so."""


def every(
    host: Host, restic: Restic, whose: str, targets: Sequence[str], spoil: str = ""
) -> dict[str, Outcome]:
    """The newest snapshots of the host whose repository it is; those with a verdict only if named."""
    found = restic.snapshots()
    names = sorted({ledger.tagged(each, JOB) for each in found if ledger.DATA in each.tags})
    chosen = jobs.chosen([_named(name) for name in names], targets, whose)
    done = {}
    for job in chosen:
        label = f"{whose}: {job.name}"
        last = ledger.sorted_out(each for each in found if job.tag in each.tags)
        if last and last[-1].verdict == ledger.VERIFIED and not targets and not spoil:
            done[label] = Outcome(ledger.VERIFIED, "it has this verdict already", last[-1].data.identity)
        elif last:
            done[label] = tried(host, "verify", label, partial(_one, host, restic, job, spoil), bool(spoil))
    return done


def _named(name: str) -> Job:
    """A job of which nothing else is known yet."""
    stack, _, rest = name.partition("/")
    return Job(Manifest(stack), Wanted(rest, ""))


def _one(host: Host, restic: Restic, job: Job, spoil: str) -> Outcome:
    found = verify.newest(restic, job)
    told = ledger.record(restic, found)
    try:
        what = _copied(host, job, told)
        return verify.judged(host, restic, found, what, spoil)
    except LeftError as error:
        return Outcome(LEFT, str(error), found.data.identity)
    except UnfitError as error:
        return Outcome(ledger.UNVERIFIED, str(error), found.data.identity)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        return Outcome(ledger.UNVERIFIED, f"its record is not one: {error!r:.200}", found.data.identity)


def _copied(host: Host, job: Job, told: Mapping[str, Any]) -> verify.Copied:
    """As the record has it, which another host has written: nothing in it becomes more than a container."""
    engine = str(told["engine"])
    shown = host.run(["docker", "info", "--format", "{{.DockerRootDir}}"])
    place = Path(shown.out.strip() or "/var/lib/docker")
    wanted = job.wanted._replace(engine=engine, volume=job.key)
    if engine == FILES:
        inside = [PurePosixPath(name) for name in (*told["parts"], *told["databases"])]
        if any(each.is_absolute() or ".." in each.parts for each in inside):
            raise UnfitError("its record names files outside of the volume")
        return verify.Copied(job._replace(wanted=wanted), told, place)
    if engine not in ENGINES:
        raise UnfitError(f"{engine} is not known here; converge this host too")
    like = told.get("server")
    if not like:
        raise UnfitError("its record does not say how its server is run; the next backup's does")
    if like["reads"]:
        raise LeftError(f"its own host does: it needs {', '.join(like['reads'])}")
    wanted = wanted._replace(target=_fitting(PATH, like["target"]))
    job = job._replace(wanted=wanted)
    return verify.Copied(job, told, place, _server(host, job, told, like))


def _server(host: Host, job: Job, told: Mapping[str, Any], like: Mapping[str, Any]) -> Server:
    """With a password of its own, where the other has its own.

    Its variables are those of the engine alone: `docker` is run with them, and no other name may reach it.
    """
    password, uid = secrets.token_hex(16), int(like["uid"])
    folder, mounts = clients.begun(host.layout, job), []
    beginnings = "|".join(ENGINES[job.wanted.engine].VARIABLES)
    own = re.compile(rf"(?:{beginnings})\w*")
    variables = {_fitting(own, name): str(value) for name, value in like["variables"].items()}
    for name, value in variables.items():
        if servers.is_password(name):
            variables[name] = password
        elif servers.PASSWORD.search(name):
            path = folder / name.lower()
            disk.replace(path, password, 0o400, uid)
            mounts.append(Mount(str(path), _fitting(PATH, value)))
    return Server(
        identity="",
        name="",
        running=False,
        image=str(told["image"]),
        image_id=_image(host, told, like),
        variables=variables,
        mounts=tuple(mounts),
        options=(*servers.CLOSED, *LIMITS, *(_fitting(OPTION, each) for each in like["options"])),
        words=tuple(str(each) for each in like["words"]),
        uid=uid,
        grace=int(like["grace"]),
    )


def _image(host: Host, told: Mapping[str, Any], like: Mapping[str, Any]) -> str:
    """Here by its own identity, or fetched by its digest, else by its name."""
    here = ["docker", "image", "inspect", "--format", "{{.Id}}"]
    names = [_fitting(IMAGE, each) for each in (*like["digests"], told["image"])]
    for name in (_fitting(IMAGE, told["image_id"]), *names):
        shown = host.run([*here, name])
        if not shown.code:
            return str(shown.out.strip())
    said = ""
    for name in names:
        done = host.run(["docker", "pull", "--quiet", name], timeout=PULL_SECONDS)
        if not done.code:
            return str(host.run([*here, name]).out.strip())
        said = done.words
    raise UnfitError(f"its image {told['image']} cannot be had here: {said}")


def _fitting(pattern: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise UnfitError(f"its record has {value!r:.80}, which no server is made with here")
    return value


# Who is verified


def is_left(host: Host, job: Job) -> bool:
    """Whether no other host can verify it, so that this one does."""
    if job.wanted.engine == FILES:
        return False
    engine = ENGINES[job.wanted.engine]
    try:
        return bool(servers.reads(servers.of(host, job, engine), engine))
    except DroverError:  # it does not run: what is known of it is the other host's
        return False


def heard(host: Host, restic: Restic, chosen: Iterable[Job]) -> dict[str, Outcome]:
    """What the other host has said of each job; what is new of it is recorded, a failure told."""
    rows = [row for row in host.state.kept() if row.kind == "verify"]
    known = {(row.job, row.snapshot, row.result): row.text for row in rows}
    who, done = restic.settings.verified_by, {}
    for job in chosen:
        done[job.name] = Outcome(WAITS, f"{who} has not said anything of it yet")
        for each in ledger.complete(restic, job):
            if not each.said:
                continue
            text = known.get((job.name, each.data.identity, each.verdict))
            is_new = text is None
            if text is None and each.verdict != ledger.VERIFIED:
                text = str(json.loads(restic.text(each.said)).get("text") or "")
            text = text or f"{who} restored {each.data.identity[:8]}"
            done[job.name] = Outcome(each.verdict, text)
            if not is_new:
                continue
            row = Kept("verify", job.name, each.data.identity, each.said.at, 0.0, 0, each.verdict, text)
            host.state.keep(row)
            if each.verdict != ledger.VERIFIED:
                title = f"{job.name}: verify {each.verdict} on {who}"
                report(host, Event(f"verify:{job.name}", "failure", title, text))
    return done
