# GPL-3.0-or-later
"""Which part this host has among its own generations, and what of a stack runs by it.

A new generation begins as a standby: it has the databases, and data that is brought to them. In a trial the
rest runs on that data, and nobody hears of it. When it takes over it serves first, and is active once the old
one is out of service. The old one is frozen before its last backup: its data does not change any more. One
that was replaced while nobody could reach it learns at its next boot that it is retired.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from drover import disk
from drover.layout import Layout
from drover.release import Manifest, Service
from drover.run import DroverError

ACTIVE, STANDBY, TRIAL, SERVING, FROZEN, RETIRED = (
    "active", "standby", "trial", "serving", "frozen", "retired",
)  # fmt: skip
TAG = "drover:lifecycle"  # of the instance, in EC2

PATIENCE = 3600.0  # seconds that a host may have another part than the active one


class Part(NamedTuple):
    """What a host does. Its databases always run."""

    name: str
    serves: bool = False  # stacks that keep no data run
    changes: bool = False  # those that keep data run, and may change it
    reads: bool = False  # those that keep data run if they ask for it, and only what reads reaches them
    workers: bool = False  # act
    outside: bool = False  # containers reach the outside
    archives: bool = False  # logs of databases go to the repository
    saves: bool = False  # backups are made, certificates asked for
    said: str = ""  # why not, for messages


PARTS = {
    each.name: each
    for each in (
        Part(ACTIVE, serves=True, changes=True, workers=True, outside=True, archives=True, saves=True),
        Part(STANDBY, said="this host is a standby: it has not taken over"),
        Part(TRIAL, serves=True, changes=True, said="this host is a standby on trial: it has not taken over"),
        Part(
            SERVING,
            serves=True,
            changes=True,
            outside=True,
            said="this host is taking over from another one",
        ),
        Part(
            FROZEN,
            serves=True,
            reads=True,
            outside=True,
            archives=True,
            said="this host is frozen: another one takes over from it",
        ),
        Part(RETIRED, said="this host is retired by its tag in EC2: another one took over"),
    )
}


def of(layout: Layout) -> Part:
    """The part of this host."""
    try:
        name = layout.lifecycle.read_text("ascii").strip()
    except FileNotFoundError:
        return PARTS[ACTIVE]
    if name not in PARTS:
        raise DroverError(f"{layout.lifecycle}: found {name!r:.40}; write one of {', '.join(PARTS)}")
    return PARTS[name]


def stuck(layout: Layout, now: float) -> str:
    """What is wrong with a host that has had another part than the active one for long; else empty."""
    part = of(layout)
    if part.name == ACTIVE:
        return ""
    if part.name == RETIRED:
        return f"{part.said}; stop it (docs/rebuild.md says how to go back to it)"
    age = now - layout.lifecycle.stat().st_mtime
    return f"{part.said}, for {age / 3600:.0f} h: go on with the rebuild" if age > PATIENCE else ""


def note(layout: Layout, part: Part) -> None:
    """From now on this host has this part, also after a boot."""
    if part.name == ACTIVE:
        disk.remove(layout.lifecycle)
    else:
        layout.lifecycle.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        disk.replace(layout.lifecycle, f"{part.name}\n")


def heed(layout: Layout, tag: str) -> None:
    """At a boot: who was replaced while nobody could reach it does not write beside its successor."""
    if tag == RETIRED:
        note(layout, PARTS[RETIRED])
    elif tag == ACTIVE and of(layout).name == RETIRED:
        note(layout, PARTS[ACTIVE])


def held(layout: Layout) -> frozenset[str]:
    """Databases, as STACK/NAME, that were kept from writes and not let go since."""
    try:
        return frozenset(layout.held.read_text("utf-8").split())
    except FileNotFoundError:
        return frozenset()


def reduced(wish: Manifest, part: Part, kept: Collection[str] = ()) -> Manifest:
    """What of a stack runs: containers of what rests stay as they are, stopped.

    `kept` are databases that still take no writes: whatever the part is, their stacks are only read.
    """
    waits = any(name.partition("/")[0] == wish.stack for name in kept)
    if wish.absent or (part.name == ACTIVE and not waits):
        return wish
    keeps = bool(wish.backups) or wish.private
    reads = keeps and part.reads and wish.frozen_reads
    still = not (part.changes or reads if keeps else part.serves) or (part.name == TRIAL and not wish.trial)
    reads = not still and (reads or waits)

    def rests(service: Service) -> bool:
        acts = service.worker and (reads or not part.workers)
        return not service.always and (still or acts or (reads and service.oneshot))

    services = {name: each._replace(rests=rests(each)) for name, each in wish.services.items()}
    begins = {name for name, each in services.items() if not (reads or each.rests)}
    deploy = wish.deploy._replace(
        before=tuple(each for each in wish.deploy.before if each.service in begins),
        after=tuple(each for each in wish.deploy.after if part.outside and each.service in begins),
    )
    shows = wish.maintenance or still
    return wish._replace(services=services, deploy=deploy, maintenance=shows, reads_only=reads)


def need_saves(layout: Layout, what: str, *, last: bool = False) -> None:
    """Refuse what the generation in service alone does; a frozen one does it once more, as its `last`."""
    part = of(layout)
    if not part.saves and not (last and part.name == FROZEN):
        raise DroverError(f"{part.said}; {what}")


def need_changes(layout: Layout) -> None:
    """Refuse what would change data that stays as it was saved last."""
    part = of(layout)
    if part.name == FROZEN:
        raise DroverError(f"{part.said}; its data stays as it is")
