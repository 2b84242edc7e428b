# GPL-3.0-or-later
"""Where a copy is written: a fresh volume, or a folder beside the stack's own, on the same file system."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from drover import disk, docker
from drover.backups import clients, jobs
from drover.backups.jobs import Job
from drover.host import Host
from drover.run import DroverError

BESIDE = "drover.beside"  # label: a copy that somebody asked for
BEFORE = "drover.before"  # label: what a restore replaced
_OURS = f'{{{{index .Config.Labels "{BESIDE}"}}}}'
EXCHANGE = 2  # renameat2's flag: both names change places at once
HERE = -100  # AT_FDCWD
STAMP = "%Y%m%d-%H%M%S"


class Room(NamedTuple):
    """`source` is the volume's name or the folder's path, as `docker run` wants it."""

    source: str
    place: Path
    is_volume: bool

    def mount(self, target: str) -> str:
        """The option that lets a container see it."""
        kind = "volume" if self.is_volume else "bind"
        return f"--mount=type={kind},source={self.source},target={target}"


def make(host: Host, job: Job, name: str = "") -> Room:
    """For a copy that goes again; with a name, for one that somebody asked for, which is always a volume."""
    if job.wanted.volume or name:
        source = name or f"drover-scratch-{job.key}"
        return _volume(host, source, f"{BESIDE if name else clients.LABEL}={job.name}")
    place = host.layout.stack(job.wish.stack) / "data" / f"{clients.SCRATCH_FOLDER}{job.key}"
    place.mkdir()
    place.chmod(0o755)
    return Room(str(place), place, is_volume=False)


def _volume(host: Host, name: str, label: str) -> Room:
    if not host.run(["docker", "volume", "inspect", name]).code:
        raise DroverError(
            f"there is a volume {name} already; remove it ({removal(name, container=False)}) or name another"
        )
    docker.do(host.run, ["docker", "volume", "create", f"--label={label}", name])
    return Room(name, jobs.volume_folder(host.run, name), is_volume=True)


def need_free(host: Host, name: str) -> None:
    """Refuse the name of a container that is there, ours or not: a copy of that name would replace it."""
    shown = host.run(["docker", "container", "inspect", "--format", _OURS, name])
    if shown.code:
        return
    if not shown.out.strip():
        raise DroverError(f"there is a container {name} already, which is no copy; name another")
    raise DroverError(
        f"there is a copy {name} already; remove it ({removal(name, container=True)}) or name another"
    )


def removal(name: str, *, container: bool) -> str:
    """The command that removes a copy of this name."""
    return f"{f'docker rm --force {name} && ' if container else ''}docker volume rm {name}"


def drop(host: Host, room: Room) -> None:
    """Remove it with what is in it."""
    if room.is_volume:
        docker.do(host.run, ["docker", "volume", "rm", room.source], allowed="no such volume")
    else:
        shutil.rmtree(room.place, ignore_errors=True)


def need(place: Path, size: int, reserve: int) -> None:
    """Room for so many bytes, and the reserve beside them."""
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < size + reserve:
        raise NoRoomError(
            f"no room: {_gigabytes(free)} are free at {place}, the copy takes {_gigabytes(size)} and "
            f"{_gigabytes(reserve)} stay free"
        )


class NoRoomError(DroverError):
    """The disk is too small for a copy."""


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


# In place


def obstacle(host: Host, job: Job) -> str:
    """Why no copy can take the place of the job's data, asked before one is filled; empty if one can."""
    try:
        _exchangeable(host, job)
    except jobs.NotMadeError:
        return ""
    except DroverError as error:
        return str(error)
    return ""


def obstacles(host: Host, wanted: Iterable[Job]) -> list[str]:
    """The same of several, each with its name."""
    return [f"{job.name}: {text}" for job in wanted if (text := obstacle(host, job))]


def _exchangeable(host: Host, job: Job) -> Path:
    """Where the data is. Between it and a copy, which is made in the folder above, there may be no mount."""
    target = jobs.folder(host.layout, host.run, job)
    above = host.layout.stack(job.wish.stack) / "data" if job.wanted.folder else target.parent.parent
    for each in (target, *target.parents):
        if each == above:
            break
        if os.path.ismount(each):
            raise DroverError(f"{each} is a mount of its own, which nothing can take the place of")
    return target


def exchange(host: Host, job: Job, room: Room) -> str:
    """The copy takes the place of the data at one moment; what was there is kept. Its name.

    The copy is named like what it will hold before the moment, so that nothing ever takes the old data for
    something to be thrown away.
    """
    target = _exchangeable(host, job)
    name = _kept(job) + _stamp(newest(host, job))
    if room.is_volume:
        kept = _volume(host, name, f"{BEFORE}={job.name}").place
        swap(room.place, kept)
    else:
        kept = room.place.with_name(f".{name}")
        room.place.rename(kept)
    target.mkdir(parents=True, exist_ok=True)
    swap(target, kept)
    return name if room.is_volume else str(kept)


def newest(host: Host, job: Job) -> Room | None:
    """What the last restore of this job replaced, if it is still kept."""
    if job.wanted.folder:
        beside = host.layout.stack(job.wish.stack) / "data"
        own = re.compile(rf"\.{re.escape(_kept(job))}\d{{8}}-\d{{6}}")
        found = sorted(each for each in beside.glob(f".{_kept(job)}*") if own.fullmatch(each.name))
        return Room(str(found[-1]), found[-1], is_volume=False) if found else None
    command = ["docker", "volume", "ls", "--quiet", f"--filter=label={BEFORE}={job.name}"]
    names = sorted(each for each in host.run(command).out.split() if each.startswith(_kept(job)))
    return Room(names[-1], jobs.volume_folder(host.run, names[-1]), is_volume=True) if names else None


def _stamp(last: Room | None) -> str:
    """The time, but after the last one, whatever the clock did since: the newest is known by its name."""
    at = time.time()
    if last:
        with suppress(ValueError):
            at = max(at, _moment(last.source) + 1)
    return time.strftime(STAMP, time.localtime(at))


def _moment(name: str) -> float:
    return time.mktime(time.strptime("-".join(name.split("-")[-2:]), STAMP))


def _kept(job: Job) -> str:
    """How the names of what restores of this job replaced begin; a time follows."""
    return f"drover-before-{job.key}-"


def swap(one: Path, other: Path) -> None:
    """Let two folders of one file system change their names: there is no moment without either."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(HERE, os.fsencode(one), HERE, os.fsencode(other), EXCHANGE):
        number = ctypes.get_errno()
        raise DroverError(f"{one} and {other} cannot change places: {os.strerror(number)}")
    for each in {one.parent, other.parent}:
        disk.sync(each)


def outdated(host: Host, days: int) -> list[str]:
    """Remove what restores replaced so long ago; the names."""
    gone = []
    limit = time.time() - days * 86400
    listed = host.run(["docker", "volume", "ls", "--quiet", f"--filter=label={BEFORE}"]).out.split()
    for name in listed:
        if _old(name, limit) and not host.run(["docker", "volume", "rm", name]).code:
            gone.append(name)
    for place in host.layout.stacks.glob("*/data/.drover-before-*"):
        if _old(place.name, limit):
            shutil.rmtree(place)
            gone.append(str(place))
    return gone


def _old(name: str, limit: float) -> bool:
    try:
        return _moment(name) < limit
    except ValueError:
        return False
