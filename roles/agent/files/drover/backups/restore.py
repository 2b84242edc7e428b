# GPL-3.0-or-later
"""`drover restore`: a snapshot becomes a copy, the copy is compared, and only then it takes the data's place.

All that takes time is done while the stack serves; the rest is place.py's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from drover import lifecycle
from drover.backups import files, jobs, ledger, place, room, verify
from drover.backups.backup import Outcome
from drover.backups.copies import Copy
from drover.backups.jobs import FILES, Job
from drover.backups.ledger import Complete
from drover.backups.pitr import REPLAY, archive
from drover.backups.pitr import moment as moments
from drover.backups.pitr.moment import Moment, NotCoveredError
from drover.backups.pitr.pgbackrest import PgBackRest, where
from drover.backups.pitr.replay import Replay
from drover.backups.restic import Restic, Snapshot
from drover.backups.room import Room
from drover.errors import TROUBLE
from drover.host import Host
from drover.record import redactor
from drover.run import DroverError
from drover.state import Kept
from drover.table import stamp


class Asked(NamedTuple):
    """Which snapshot, where to, and what whoever asks has thought of."""

    snapshot: str = ""
    at: float = 0.0
    latest: bool = False  # as far as the log goes
    transaction: int = 0  # just before this one was committed
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
    moment: Moment | None = None  # out of the log, not out of a snapshot

    @property
    def said(self) -> str:
        """Which data it is."""
        if self.moment:
            return f"the log {self.moment.said}, from the base of {stamp(self.moment.base.at)}"
        return f"snapshot {self.found.data.identity[:8]} of {stamp(self.found.data.at)}"

    @property
    def became(self) -> str:
        """What the data is, once it is restored."""
        return self.moment.said if self.moment else f"as it was at {stamp(self.found.data.at)}"

    @property
    def noted(self) -> str:
        """What of it was damaged already when it was backed up, to follow what is said."""
        text = files.notes(self.told)
        return f"; {text}" if text else ""

    def copy(self, host: Host, place: Room, name: str = "") -> Copy:
        """Where it is restored into."""
        if self.moment is None:
            return Copy(host, self.job, self.told, place, name)
        program = PgBackRest(host, self.job, where(host, self.job)[1])
        return Replay(host, program, self.moment, self.told, place, name)


def restore(host: Host, restic: Restic, wanted: Sequence[Job], asked: Asked) -> dict[str, Outcome]:
    """All of them or, where something is in the way, none."""
    if asked.beside and len(wanted) != 1:
        raise DroverError("--beside is for one database or volume: name it as STACK/NAME")
    chosen = [_choose(host, restic, job, asked) for job in wanted]
    _refuse(host, chosen, asked)
    if not asked.check:
        _make(host, _lacking(host, chosen), asked)
    _need_room(host, chosen, restic.settings.reserve)
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


def _refuse(host: Host, chosen: Sequence[Chosen], asked: Asked) -> None:
    """What is in the way; in a dry run only what no word takes out of it."""
    said = [
        f"{each.job.name}: {text}"
        for each in chosen
        for text in (*_refusals(host, each, asked), *(() if asked.check else _unsaid(host, each, asked)))
    ]
    if said:
        raise DroverError("nothing was changed: " + "; ".join(said))
    if asked.beside:
        room.need_free(host, asked.beside)


def _make(host: Host, lacking: Sequence[Chosen], asked: Asked) -> None:
    """What of the stacks was never made, of which it can only now be asked whether a copy takes its place."""
    for wish in {each.job.wish.stack: each.job.wish for each in lacking}.values():
        place.make(host, wish)
    said = [] if asked.beside else room.obstacles(host, [each.job for each in lacking])
    if said:
        raise DroverError("nothing was restored: " + "; ".join(said))


def _lacking(host: Host, chosen: Sequence[Chosen]) -> list[Chosen]:
    return [each for each in chosen if place.lacks(host, each.job)]


def _need_room(host: Host, chosen: Sequence[Chosen], reserve: int) -> None:
    """For all of them; where one's volume was never made, which is in a dry run alone, nobody knows."""
    lacking, need = _lacking(host, chosen), sum(verify.weight(each.told) for each in chosen)
    for each in chosen:
        if each not in lacking:
            room.need(jobs.folder(host.layout, host.run, each.job), need, reserve)


def _choose(host: Host, restic: Restic, job: Job, asked: Asked) -> Chosen:
    if job.wanted.point_in_time and (asked.at or asked.latest or asked.transaction):
        try:
            return _moment(host, job, asked)
        except NotCoveredError as error:
            if not asked.at:
                raise
            host.say(f"{error}; the newest snapshot from before is taken")
    elif asked.transaction:
        raise DroverError(f"{job.name}: its log is not kept, so that no transaction is known")
    found = ledger.pick(ledger.complete(restic, job), job, asked.snapshot, asked.at, asked.verified)
    return Chosen(job, found, ledger.record(restic, found))


def _moment(host: Host, job: Job, asked: Asked) -> Chosen:
    """All that was committed until now is in the repository first, as far as the database can be asked."""
    if asked.at > time.time():
        raise DroverError(f"--at: {stamp(asked.at)} is still to come")
    try:
        if lifecycle.of(host.layout).archives:
            archive.flush(host, job)
    except TROUBLE as error:
        host.say(f"{job.name}: the newest of its log may be missing: {error}")
    bases = moments.reachable(PgBackRest(host, job, where(host, job)[1]))
    if asked.transaction:
        found = moments.before_transaction(bases, job, asked.transaction)
    else:
        found = moments.latest(bases, job) if asked.latest else moments.at_time(bases, job, asked.at)
    size, notes = found.base.size, found.base.notes
    told = {
        "engine": job.wanted.engine,
        "bytes": size,
        "disk": size,
        "image": notes.get("image", ""),
        **notes,
    }
    none = Snapshot(found.base.label, found.at, frozenset(), (), "")
    return Chosen(job, Complete(none, none), told, found)


def _refusals(host: Host, each: Chosen, asked: Asked) -> list[str]:
    """What cannot be: another engine's data, or a place that nothing can be exchanged for."""
    if not _fits(each):
        return [f"the snapshot is of {each.told['engine']}, not {each.job.wanted.engine}"]
    wrong = "" if asked.beside else room.obstacle(host, each.job)
    return [wrong] if wrong else []


def _fits(each: Chosen) -> bool:
    return bool(each.told["engine"] == each.job.wanted.engine)


def _unsaid(host: Host, each: Chosen, asked: Asked) -> list[str]:
    """What whoever asks has to say first."""
    said = []
    if _fits(each) and each.job.wanted.engine != FILES:
        image = each.job.wish.services[each.job.wanted.service].image
        before, now = _version(str(each.told["image"])), _version(image)
        if before != now and not asked.other_version:
            said.append(
                f"the snapshot was taken with {each.told['image']}, and {image} runs: take the version back, "
                "or say --other-version"
            )
    if not asked.beside and not asked.replace and place.is_filled(host, each.job):
        said.append(f"{place.FILLED}, or --beside NAME to look first")
    return said


def _version(image: str) -> str:
    """What two images have to have in common: the repository and the first number of the tag."""
    name, _, tag = image.partition("@")[0].rpartition(":")
    return f"{name}:{tag.partition('.')[0].partition('-')[0]}"


def _planned(host: Host, each: Chosen, asked: Asked) -> str:
    rows = [
        row
        for row in host.state.kept(each.job.name)
        if row.kind == (REPLAY if each.moment else "verify") and row.result == ledger.VERIFIED and row.seconds
    ]
    last = (
        f"{rows[-1].seconds:.0f} s, as the last verification"
        if rows
        else "not known, nothing was verified here"
    )
    target = f"beside as {asked.beside}" if asked.beside else "into place"
    age = (time.time() - each.found.data.at) / 3600
    verdict = each.found.verdict or "not verified yet, which the restore does"
    unsaid = "".join(f"; in its way: {text}" for text in _unsaid(host, each, asked))
    if each.moment:
        return f"{each.said} {target}; expected time: {last}{unsaid}"
    return f"{each.said} ({age:.1f} h old, {verdict}) {target}; expected time: {last}{each.noted}{unsaid}"


# Beside


def _beside(host: Host, restic: Restic, each: Chosen, name: str) -> Outcome:
    began = time.time()
    made = room.make(host, each.job, name)
    copy = each.copy(host, made, name)
    try:
        copy.fill(restic, each.found)
        said = copy.differences()
    except BaseException:
        copy.end()
        room.drop(host, made)
        raise
    odd = f", which is not what was recorded ({'; '.join(said)})," if said else ""
    text = f"{each.said}{odd} is in {_look(copy, made)}"
    return _told(host, each, Outcome("failed" if said else "ok", text), began, "beside")


def _look(copy: Copy, made: Room) -> str:
    """Where a copy is, and how it goes again."""
    name = made.source
    if not copy.server:
        return f"volume {name}, which is {made.place}; remove it: {room.removal(name, container=False)}"
    return (
        f"volume {name} and in container {name}, on no network: docker exec -it {name} sh; remove both: "
        f"{room.removal(name, container=True)}"
    )


# Into place


def _stack(host: Host, restic: Restic, chosen: Sequence[Chosen]) -> dict[str, Outcome]:
    """The jobs of one stack: copies first, then one short stop for all of them."""
    began, rooms = time.time(), list[tuple[Chosen, Room]]()
    kept, wrong = dict[str, str](), ""
    try:
        for each in chosen:
            rooms.append((each, _copied(host, restic, each)))
        done = [(each.job, copied) for each, copied in rooms]
        place.exchange(host, "restore", chosen[0].job.wish.stack, done, kept)
    except TROUBLE as error:
        wrong = redactor(host.layout)(str(error))
        for each, copied in rooms:
            if each.job.name not in kept:
                room.drop(host, copied)
    is_kept = not (kept and place.let_go(host))
    if wrong:  # the data came back all the same
        for each in chosen:
            if each.job.name in kept:
                ledger.accept(host, each.job)
    return {
        each.job.name: _told(host, each, _outcome(each, kept.get(each.job.name), wrong, is_kept), began)
        for each in chosen
    }


def _outcome(each: Chosen, kept: str | None, wrong: str, is_kept: bool) -> Outcome:
    """`kept` is where the data is that was replaced, if it was, and `is_kept` whether it is still there."""
    if kept is None:
        return Outcome("failed", wrong)
    text = f"is {each.became}" + (f"; what was there is kept in {kept}" if is_kept else "") + each.noted
    return Outcome("failed", f"{text}; but {wrong}") if wrong else Outcome("ok", text)


def _copied(host: Host, restic: Restic, each: Chosen) -> Room:
    """A whole copy that is what was recorded, with nothing running over it."""
    host.say(f"{each.job.name}: restore {each.said}")
    made = room.make(host, each.job)
    copy = each.copy(host, made)
    try:
        copy.fill(restic, each.found)
        said = copy.differences()
        if said:
            raise DroverError("the copy is not what was recorded: " + "; ".join(said))
        copy.settle()
    except BaseException:
        copy.end()
        room.drop(host, made)
        raise
    return made


def _told(host: Host, each: Chosen, done: Outcome, began: float, kind: str = "restore") -> Outcome:
    seconds, identity = round(time.time() - began, 1), each.found.data.identity
    size = int(each.told["bytes"])
    host.state.keep(Kept(kind, each.job.name, identity, began, seconds, size, done.result, done.text))
    return done._replace(snapshot=identity, bytes=size, seconds=seconds)
