# GPL-3.0-or-later
"""`drover restore`: a snapshot becomes a copy, the copy is compared, and only then it takes the data's place.

All that takes time is done while the stack serves. Then: the page of maintenance, the stack's containers
stop, copy and data change places at one moment, everything starts. What was there is kept. Killed anywhere,
either the old data is in its place or the new, and `drover apply` or a boot starts what is stopped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from drover import docker, finish
from drover.apply import Options, apply
from drover.backups import clients, jobs, ledger, room, verify
from drover.backups.backup import Outcome
from drover.backups.copies import Copy
from drover.backups.engines import ENGINES
from drover.backups.jobs import FILES, Job
from drover.backups.ledger import Complete
from drover.backups.restic import Restic
from drover.backups.room import Room
from drover.docker import of_stack
from drover.errors import TROUBLE
from drover.host import Host, locked
from drover.record import redactor
from drover.run import DroverError
from drover.state import Kept
from drover.table import stamp
from drover.watch import Watch
from drover.wishes import every, standing

LOCK_SECONDS = 300.0


class Asked(NamedTuple):
    """Which snapshot, where to, and what whoever asks has thought of."""

    snapshot: str = ""
    at: float = 0.0
    verified: bool = False
    beside: str = ""  # name of a copy to look into
    replace: bool = False  # there is data, and it may be replaced
    other_version: bool = False  # the database's version may be another one
    check: bool = False


class Chosen(NamedTuple):
    """One job on its way back."""

    job: Job
    found: Complete
    told: Mapping[str, Any]


def restore(host: Host, restic: Restic, wanted: Sequence[Job], asked: Asked) -> dict[str, Outcome]:
    """All of them or, where something is in the way, none."""
    if asked.beside and len(wanted) != 1:
        raise DroverError("--beside is for one database or volume: name it as STACK/NAME")
    chosen = [_choose(host, restic, job, asked) for job in wanted]
    said = [text for each in chosen for text in _refusals(host, each, asked)]
    if said:
        raise DroverError("nothing was changed: " + "; ".join(said))
    need = sum(verify.weight(each.told) for each in chosen)
    for each in chosen:
        room.need(jobs.folder(host.layout, host.run, each.job), need, restic.settings.reserve)
    if asked.check:
        return {each.job.name: Outcome("would restore", _planned(host, each, asked)) for each in chosen}
    if asked.beside:
        return {each.job.name: _beside(host, restic, each, asked.beside) for each in chosen}
    return {
        name: done
        for stack in dict.fromkeys(each.job.wish.stack for each in chosen)
        for name, done in _stack(
            host, restic, [each for each in chosen if each.job.wish.stack == stack]
        ).items()
    }


def _choose(host: Host, restic: Restic, job: Job, asked: Asked) -> Chosen:
    found = ledger.pick(ledger.complete(restic, job), job, asked.snapshot, asked.at, asked.verified)
    return Chosen(job, found, ledger.record(restic, found))


def _refusals(host: Host, each: Chosen, asked: Asked) -> list[str]:
    said = []
    if each.told["engine"] != each.job.wanted.engine:
        said.append(
            f"{each.job.name}: the snapshot is of {each.told['engine']}, not {each.job.wanted.engine}"
        )
        return said
    if each.job.wanted.engine != FILES:
        which = clients.server(host, each.job, ENGINES[each.job.wanted.engine])
        before, now = _version(str(each.told["image"])), _version(which.image)
        if before != now and not asked.other_version:
            said.append(
                f"{each.job.name}: the snapshot was taken with {each.told['image']}, and {which.image} runs: "
                "take the version back, or say --other-version"
            )
    if not asked.beside and not asked.replace and _is_filled(host, each.job):
        said.append(
            f"{each.job.name}: there is data; say --replace to have it replaced (it is kept for "
            "some days), or --beside NAME to look first"
        )
    return said


def _version(image: str) -> str:
    """What two images have to have in common: the repository and the first number of the tag."""
    name, _, tag = image.partition("@")[0].rpartition(":")
    return f"{name}:{tag.partition('.')[0].partition('-')[0]}"


def _is_filled(host: Host, job: Job) -> bool:
    try:
        place = jobs.folder(host.layout, host.run, job)
    except DroverError:
        return False
    return any(files for _, _, files in os.walk(place))


def _planned(host: Host, each: Chosen, asked: Asked) -> str:
    rows = [
        row
        for row in host.state.kept(each.job.name)
        if row.kind == "verify" and row.result == ledger.VERIFIED
    ]
    last = (
        f"{rows[-1].seconds:.0f} s, as the last verification"
        if rows
        else "not known, nothing was verified here"
    )
    where = f"beside as {asked.beside}" if asked.beside else "into place"
    age = (time.time() - each.found.data.at) / 3600
    verdict = each.found.verdict or "not verified yet, which the restore does"
    return (
        f"snapshot {each.found.data.identity[:8]} of {stamp(each.found.data.at)} ({age:.1f} h old, "
        f"{verdict}) {where}; expected time: {last}"
    )


# Beside


def _beside(host: Host, restic: Restic, each: Chosen, name: str) -> Outcome:
    began = time.time()
    place = room.make(host, each.job, name)
    copy = Copy(host, each.job, each.told, place, name)
    try:
        copy.fill(restic, each.found)
        said = copy.differences()
    except BaseException:
        copy.end()
        room.drop(host, place)
        raise
    look = f"container {name}, on no network: docker exec -it {name} sh" if copy.server else f"{place.place}"
    text = f"snapshot of {stamp(each.found.data.at)} is in {look}"
    if said:
        text += "; it is not what was recorded: " + "; ".join(said)
    return _told(host, each, Outcome("failed" if said else "ok", text), began)


# Into place


def _stack(host: Host, restic: Restic, chosen: Sequence[Chosen]) -> dict[str, Outcome]:
    """The jobs of one stack: copies first, then one short stop for all of them."""
    began, rooms = time.time(), list[tuple[Chosen, Room]]()
    kept, wrong = dict[str, str](), ""
    try:
        for each in chosen:
            rooms.append((each, _copied(host, restic, each)))
        _exchange(host, chosen[0].job.wish.stack, rooms, kept)
    except TROUBLE as error:
        wrong = redactor(host.layout)(str(error))
        for each, place in rooms:
            if each.job.name not in kept:
                room.drop(host, place)
    return {
        each.job.name: _told(host, each, _outcome(each, kept.get(each.job.name), wrong), began)
        for each in chosen
    }


def _outcome(each: Chosen, kept: str | None, wrong: str) -> Outcome:
    """`kept` is where the data is that was replaced, if it was."""
    if kept is None:
        return Outcome("failed", wrong)
    text = f"is as it was at {stamp(each.found.data.at)}; what was there is kept in {kept}"
    return Outcome("failed", f"{text}; but {wrong}") if wrong else Outcome("ok", text)


def _copied(host: Host, restic: Restic, each: Chosen) -> Room:
    """A whole copy that is what was recorded, with nothing running over it."""
    host.say(f"{each.job.name}: restore {each.found.data.identity[:8]} of {stamp(each.found.data.at)}")
    place = room.make(host, each.job)
    copy = Copy(host, each.job, each.told, place, "")
    try:
        copy.fill(restic, each.found)
        said = copy.differences()
        if said:
            raise DroverError("the copy is not what was recorded: " + "; ".join(said))
        copy.settle()
    except BaseException:
        copy.end()
        room.drop(host, place)
        raise
    return place


def _exchange(host: Host, stack: str, rooms: Sequence[tuple[Chosen, Room]], kept: dict[str, str]) -> None:
    """Note in `kept` where the data that was there is now, by job."""
    with locked(host.layout, "restore", LOCK_SECONDS, host.say) as whole:
        _stopped(whole, stack)
        try:
            for each, place in rooms:
                kept[each.job.name] = room.exchange(whole, each.job, place)
                room.drop(whole, place)
        finally:
            _started(whole, stack)


def _stopped(host: Host, stack: str) -> None:
    """Nobody reads or writes any more; who asks sees the page of maintenance."""
    wish, watch = every(host.layout, standing).stacks[stack], Watch(host.run)
    own = [each for each in of_stack(watch.look(), stack) if each.running]
    if wish.routes:
        finish.lead(host, watch, wish._replace(maintenance=True), own)
    host.say(f"{stack}: stop")
    if own:
        docker.do(host.run, ["docker", "stop", *(each.identity for each in own)], timeout=docker.STOP_SECONDS)


def _started(host: Host, stack: str) -> None:
    """The same as after a boot: what stands is brought back, and its route with it."""
    answer = apply(host, every(host.layout, standing), Options("restore", only=frozenset([stack])))
    if answer.errors:
        raise DroverError(f"the stack does not start: {'; '.join(answer.errors)}")


def _told(host: Host, each: Chosen, done: Outcome, began: float) -> Outcome:
    seconds, identity = round(time.time() - began, 1), each.found.data.identity
    size = int(each.told["bytes"])
    host.state.keep(Kept("restore", each.job.name, identity, began, seconds, size, done.result, done.text))
    return done._replace(snapshot=identity, bytes=size, seconds=seconds)
