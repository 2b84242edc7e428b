# GPL-3.0-or-later
"""Copies take the place of a stack's data: the page of maintenance, stop, change places, start.

What was there is kept. Killed anywhere, either the old data is in its place or the new, and `drover apply` or
a boot starts what is stopped.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from drover import compose, docker, finish, lifecycle
from drover.apply import Options, apply
from drover.backups import jobs, room, servers
from drover.backups.jobs import FILES, Job
from drover.backups.pitr import archive
from drover.backups.room import Room
from drover.docker import of_stack
from drover.errors import TROUBLE
from drover.host import Host, locked
from drover.release import Manifest
from drover.run import DroverError
from drover.watch import Watch
from drover.wishes import every, standing

LOCK_SECONDS = 300.0
DRAIN_SECONDS = 30.0


FILLED = "there is data; say --replace to have it replaced (it is kept for some days)"


def is_filled(host: Host, job: Job) -> bool:
    """Whether there is anything that could be lost."""
    try:
        place = jobs.folder(host.layout, host.run, job)
    except DroverError:
        return False
    return any(files for _, _, files in os.walk(place))


def lacks(host: Host, job: Job) -> bool:
    """Whether its database's container or its volume was never made, as after a first deploy that failed."""
    try:
        jobs.folder(host.layout, host.run, job)
    except DroverError:
        return True
    return job.wanted.engine != FILES and servers.container(host, job) is None


def make(host: Host, wish: Manifest) -> None:
    """Make what of a stack is missing, as its release says; nothing of it starts."""
    with locked(host.layout, "create", LOCK_SECONDS, host.say) as whole:
        whole.say(f"{wish.stack}: create")
        there = [each.service for each in of_stack(docker.observe(whole.run), wish.stack) if each.hash]
        wanted = {name: 0 if each.rests else each.replicas for name, each in wish.services.items()}
        scale = {name: max(there.count(name), number) for name, number in wanted.items()}
        compose.do(whole.run, compose.create(whole.layout.release(wish.stack, wish.release), wish, scale))


def let_go(host: Host) -> bool:
    """On a host that nobody hears of nothing is kept that a restore replaced; whether it is such a one."""
    if lifecycle.of(host.layout).outside:
        return False
    room.outdated(host, days=0)
    return True


def exchange(
    host: Host, verb: str, stack: str, rooms: Sequence[tuple[Job, Room]], kept: dict[str, str]
) -> None:
    """Note in `kept` where the data that was there is now, by job."""
    with locked(host.layout, verb, LOCK_SECONDS, host.say) as whole:
        _stopped(whole, stack)
        try:
            for job, place in rooms:
                _emptied(whole, job)
                kept[job.name] = room.exchange(whole, job, place)
                room.drop(whole, place)
        finally:
            _started(whole, verb, stack)


def _emptied(host: Host, job: Job) -> None:
    """The log of the data that is about to go is whole in the repository, if that answers."""
    if not job.wanted.point_in_time:
        return
    if not lifecycle.of(host.layout).archives:
        archive.discard(host, job)
    else:
        try:
            archive.drain(host, job, DRAIN_SECONDS)
        except TROUBLE as error:
            host.say(f"{job.name}: the end of its log is missing in the repository: {error}")


def _stopped(host: Host, stack: str) -> None:
    """Nobody reads or writes any more; who asks sees the page of maintenance."""
    wish, watch = every(host.layout, standing).stacks[stack], Watch(host.run)
    own = [each for each in of_stack(watch.look(), stack) if each.running]
    if wish.routes:
        finish.lead(host, watch, wish._replace(maintenance=True), own)
    host.say(f"{stack}: stop")
    if own:
        docker.do(host.run, ["docker", "stop", *(each.identity for each in own)], timeout=docker.STOP_SECONDS)


def _started(host: Host, verb: str, stack: str) -> None:
    """The same as after a boot: what stands is brought back, and its route with it."""
    answer = apply(host, every(host.layout, standing), Options(verb, only=frozenset([stack])))
    if answer.errors:
        raise DroverError(f"the stack does not start: {'; '.join(answer.errors)}")
