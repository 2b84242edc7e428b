# GPL-3.0-or-later
"""`drover restore`: a snapshot becomes a copy, the copy is compared, and only then it takes the data's place.

All that takes time is done while the stack serves; the rest is place.py's. Which snapshot it is, choice.py
says; a copy that is only looked into is beside.py's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from drover.backups import beside, choice, jobs, ledger, place, room, verify
from drover.backups.backup import Outcome
from drover.backups.choice import Asked, Chosen
from drover.backups.jobs import FILES, Job
from drover.backups.ledger import NoSnapshotError
from drover.backups.pitr import REPLAY
from drover.backups.restic import Restic
from drover.backups.room import Room
from drover.errors import TROUBLE
from drover.host import Host
from drover.record import redactor
from drover.run import DroverError
from drover.state import Kept


def restore(host: Host, restic: Restic, wanted: Sequence[Job], asked: Asked) -> dict[str, Outcome]:
    """All of them or, where something is in the way, none."""
    if asked.beside and len(wanted) != 1:
        raise DroverError("--beside is for one database or volume: name it as STACK/NAME")
    chosen, empty = list[Chosen](), dict[str, Outcome]()
    for job in wanted:
        try:
            chosen.append(choice.choose(host, restic, job, asked))
        except NoSnapshotError as error:
            if not asked.best:
                raise
            empty[job.name] = Outcome("ok", f"{error}: it begins empty")
    _refuse(host, chosen, asked)
    if not asked.check:
        _make(host, _lacking(host, chosen), asked)
    _need_room(host, chosen, restic.settings.reserve)
    if asked.check:
        return {each.job.name: Outcome("would restore", _planned(host, each, asked)) for each in chosen}
    if asked.beside:
        (each,), began = chosen, time.time()
        done = beside.make(host, restic, each, asked.beside)
        return {each.job.name: _told(host, each, done, began, "beside")}
    return empty | {
        name: done
        for stack in dict.fromkeys(each.job.wish.stack for each in chosen)
        for name, done in _stack(
            host, restic, [each for each in chosen if each.job.wish.stack == stack], best=asked.best
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


# Into place


def _stack(host: Host, restic: Restic, wanted: Sequence[Chosen], *, best: bool) -> dict[str, Outcome]:
    """The jobs of one stack: copies first, then one short stop for all of them."""
    began, rooms = time.time(), list[tuple[Chosen, Room]]()
    kept, wrong, chosen = dict[str, str](), "", list(wanted)
    try:
        for index, each in enumerate(wanted):
            chosen[index], made = _whole(host, restic, each, best=best)
            rooms.append((chosen[index], made))
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


def _whole(host: Host, restic: Restic, each: Chosen, *, best: bool) -> tuple[Chosen, Room]:
    """A whole copy of it; or, where the best was asked for, of what comes next."""
    try:
        return each, _copied(host, restic, each)
    except TROUBLE as error:
        why = redactor(host.layout)(str(error))
        found = choice.next_best(restic, each, why) if best else None
        if found is None:
            raise
        host.say(f"{each.job.name}: {found.instead}")
        return _whole(host, restic, found, best=best)


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
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(each.found.data.at))
    return done._replace(snapshot=identity, bytes=size, seconds=seconds, moment=moment)
