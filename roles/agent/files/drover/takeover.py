# GPL-3.0-or-later
"""`drover lifecycle`: this host takes another part among its generations. Killed anywhere, run it again."""

from __future__ import annotations

import re
from collections.abc import Callable

from drover import docker, lifecycle, outside
from drover.apply import Answer, Options, apply
from drover.backups import hold
from drover.docker import observe, of_stack
from drover.host import Host
from drover.layout import PROXY, Layout, link
from drover.lifecycle import ACTIVE, PARTS, STANDBY, Part
from drover.release import Manifest
from drover.run import DroverError
from drover.wishes import every, names, standing

MOMENT = re.compile(r"-(before|after)-[0-9]+-[0-9a-f]{16}$")  # in the name of a deploy's command


def become(host: Host, name: str) -> Answer:
    """Note the part, then make it so; a way out is closed before anything starts."""
    before, part = lifecycle.of(host.layout), PARTS[name]
    if before.outside and not part.outside and _serves(host):
        raise DroverError(
            f"this host is {before.name} and has stacks: only a new one begins as a standby; "
            "if a rebuild was interrupted, run it again"
        )
    if not part.changes:
        _need_ended(host)
    if not part.outside:
        outside.close(host)
    lifecycle.note(host.layout, part)
    if part.outside:
        outside.release(host.run)
    answer = bring(host, standing, "lifecycle")
    if part.name == STANDBY:
        _forget_trial(host)
    return answer


def bring(host: Host, choose: Callable[[Layout, str], Manifest | None], action: str) -> Answer:
    """Apply what is chosen. Databases that were held take writes before requests that write reach them."""
    held = [] if lifecycle.of(host.layout).reads else hold.release(host)
    answer = apply(host, every(host.layout, choose), Options(action))
    return answer._replace(errors=[*answer.errors, *held])


def _forget_trial(host: Host) -> None:
    """What it made goes, so that whatever a release does once is done for the data that comes next."""
    containers = observe(host.run)
    for wish in every(host.layout, standing).stacks.values():
        rests = {name for name, each in wish.services.items() if each.rests}
        gone = [each.identity for each in of_stack(containers, wish.stack) if each.service in rests]
        if gone:
            docker.remove(host.run, gone)


def _need_ended(host: Host) -> None:
    """A command of a deploy that was cut off may still change data."""
    listed = host.run(
        ["docker", "ps", "--filter=label=com.docker.compose.oneoff=True", "--format={{.Names}}"]
    )
    names = [each for each in listed.out.split() if MOMENT.search(each)]
    if names:
        raise DroverError(f"{', '.join(sorted(names))} still runs, which a deploy began: wait for its end")


def _serves(host: Host) -> bool:
    """Whether a stack of the client's ever ran here."""
    return any(link(host.layout.stack(each) / "current") for each in names(host.layout) if each != PROXY)


def part_of(host: Host) -> Part:
    """The part that this host has. Half frozen is not frozen."""
    part = lifecycle.of(host.layout)
    if part.reads and (problem := hold.wrong(host)):
        raise DroverError(f"this host is not {part.name}: {problem}")
    return part


def described(part: Part) -> str:
    """For a person."""
    return part.said or f"this host is {ACTIVE}"
