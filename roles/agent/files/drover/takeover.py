# GPL-3.0-or-later
"""`drover lifecycle`: this host takes another part among its generations. Killed anywhere, run it again."""

from __future__ import annotations

from drover import lifecycle, outside
from drover.apply import Answer, Options, apply
from drover.host import Host
from drover.layout import PROXY, link
from drover.lifecycle import ACTIVE, PARTS, Part
from drover.run import DroverError
from drover.wishes import every, names, standing


def become(host: Host, name: str) -> Answer:
    """Note the part, then make it so; a way out is closed before anything starts, and opened last."""
    before, part = lifecycle.of(host.layout), PARTS[name]
    if before.outside and not part.outside and _serves(host):
        raise DroverError(
            f"this host is {before.name} and has stacks: only a new one begins as a standby; "
            "if a rebuild was interrupted, run it again"
        )
    if not part.outside:
        outside.close(host.run)
    lifecycle.note(host.layout, part)
    answer = apply(host, every(host.layout, standing), Options("lifecycle"))
    if part.outside:
        outside.release(host.run)
    return answer


def enforce(host: Host) -> None:
    """At a boot, before Docker starts anything."""
    if not lifecycle.of(host.layout).outside:
        outside.close(host.run)


def _serves(host: Host) -> bool:
    """Whether a stack of the client's ever ran here."""
    return any(link(host.layout.stack(each) / "current") for each in names(host.layout) if each != PROXY)


def described(part: Part) -> str:
    """For a person."""
    return part.said or f"this host is {ACTIVE}"
