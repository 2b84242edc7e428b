# GPL-3.0-or-later
"""What is backed up on this host: the jobs of every stack that stands, and which of them were asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from drover.layout import Layout
from drover.release import Job as Wanted
from drover.release import Manifest
from drover.run import DroverError, Runner
from drover.wishes import every, standing

FILES = "volume"  # the engine of what is no database


class NotMadeError(DroverError):
    """A volume that nobody has made yet: there is nothing in it, and nothing else is known of it."""


class Job(NamedTuple):
    """One database, volume or data folder of one stack."""

    wish: Manifest
    wanted: Wanted

    @property
    def name(self) -> str:
        """As people call it, and as restic's tags do."""
        return f"{self.wish.stack}/{self.wanted.name}"

    @property
    def key(self) -> str:
        """The same for names of containers, volumes and folders."""
        return "".join(each if each.isalnum() or each in "_.-" else "-" for each in self.name)

    @property
    def tag(self) -> str:
        """By which its snapshots are found."""
        return f"job={self.name}"


def every_job(layout: Layout) -> list[Job]:
    """All of this host whose stacks can be read."""
    return known(layout)[0]


def known(layout: Layout) -> tuple[list[Job], dict[str, str]]:
    """All of this host, and stacks whose manifest cannot be read: they have data that nobody knows of."""
    wishes = every(layout, standing)
    stacks = [wishes.stacks[name] for name in sorted(wishes.stacks) if not wishes.stacks[name].absent]
    return [Job(wish, each) for wish in stacks for each in wish.backups], wishes.problems


def chosen(jobs: Iterable[Job], targets: Sequence[str], where: str = "this host") -> list[Job]:
    """Those of the targets STACK or STACK/NAME; all without a target."""
    jobs = list(jobs)
    for target in targets:
        if not any(target in (each.name, each.wish.stack) for each in jobs):
            there = ", ".join(each.name for each in jobs) or "none"
            raise DroverError(f"there is no backup job {target} on {where}; there are: {there}")
    return [each for each in jobs if not targets or {each.name, each.wish.stack} & {*targets}]


def one(jobs: Iterable[Job], name: str) -> Job:
    """The job of this name."""
    (found,) = chosen([each for each in jobs if each.name == name], [name])
    return found


def folder(layout: Layout, run: Runner, job: Job) -> Path:
    """Where the job's data lies on the host."""
    if job.wanted.folder:
        return layout.stack(job.wish.stack) / "data" / job.wanted.folder
    return volume_folder(run, job.wanted.volume)


def volume_folder(run: Runner, volume: str) -> Path:
    """Where a volume of Docker's lies; one that is on another machine or mount cannot be looked into."""
    shown = run(["docker", "volume", "inspect", volume])
    if shown.code:
        raise NotMadeError(f"there is no volume {volume}; it is made when its stack first runs")
    (found,) = json.loads(shown.out)
    if found["Driver"] != "local":
        raise DroverError(
            f"volume {volume} is of the driver {found['Driver']}, which keeps its data elsewhere"
        )
    place = Path(found["Mountpoint"])
    if found.get("Options") and not place.is_mount():
        raise DroverError(f"volume {volume} is mounted from elsewhere, and only while a container uses it")
    return place


def size(place: Path) -> int:
    """Bytes on the disk below a folder; what goes away meanwhile does not count."""
    total = 0
    for root, _, files in os.walk(place):
        for name in files:
            try:
                total += Path(root, name).lstat().st_blocks * 512
            except OSError:
                continue
    return total
