# GPL-3.0-or-later
"""Which containers of a service stay, which leave and why, and how many are missing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from drover.docker import Container
from drover.facts import Facts, Secrets
from drover.layout import PROXY
from drover.release import IN_PLACE, START_FIRST, STOP_FIRST, Manifest, Service
from drover.state import Seen

BY_STANDBY = "start-first, by a standby"  # of what publishes ports, and must not stop answering there


class Lineup(NamedTuple):
    """The containers of one service. Those that leave are known by identity: whatever comes later stays."""

    service: str
    order: str
    stays: tuple[Container, ...] = ()
    leaves: tuple[Container, ...] = ()  # once others have taken over
    renews: tuple[Container, ...] = ()  # Compose makes them anew in their place, with what they keep
    missing: int = 0
    reasons: Mapping[str, str] = {}  # container's identity → why it leaves or renews
    rests: bool = False  # whatever stays does not run
    exclusive: bool = False  # those that leave hold what no successor of any service may find taken

    def names(self, stack: str) -> list[str]:
        """The names that will be there and run: Compose counts on from the highest number."""
        if self.rests:
            return []
        there = [*self.stays, *self.renews]
        last = max((each.number for each in (*there, *self.leaves)), default=0)
        new = range(last + 1, last + 1 + self.missing)
        return [each.usual_name for each in there] + [f"{stack}-{self.service}-{number}" for number in new]


def lineups(wish: Manifest, containers: Sequence[Container], facts: Facts) -> dict[str, Lineup]:
    """Every service of the release, and those that it no longer has."""
    found = {
        name: _lineup(name, service, [each for each in containers if each.service == name], facts)
        for name, service in wish.services.items()
    }
    sharing = {name for name, each in wish.services.items() if each.order == IN_PLACE and not each.rests}
    if any(found[name].renews for name in sharing):
        found |= {name: _in_place(found[name], wish.services[name], sharing=True) for name in sharing}
    for name in _needed(found):
        found[name] = _in_place(found[name], wish.services[name])
    if wish.stack == PROXY:
        found = {name: _by_standby(each) for name, each in found.items()}
    return found | dict(_strangers(wish, containers, facts))


def _lineup(name: str, service: Service, own: Sequence[Container], facts: Facts) -> Lineup:
    if service.rests:
        return Lineup(name, service.order, tuple(sorted(own, key=lambda each: each.number)), rests=True)
    secrets = facts.secrets.get(name, Secrets())
    reasons = {
        each.identity: reason
        for each in own
        if (reason := _reason(service, each, facts.seen.get(name), secrets))
    }
    stays = sorted((each for each in own if each.identity not in reasons), key=_worth)
    leaves = [each for each in own if each.identity in reasons]
    surplus = stays[service.replicas :]
    reasons |= {each.identity: f"{service.replicas} wanted" for each in surplus}
    stays = sorted(stays[: service.replicas], key=lambda each: each.number)
    before = facts.before.services.get(name) if facts.before else None
    found = Lineup(
        name,
        service.order,
        tuple(stays),
        (*leaves, *surplus),
        missing=service.replicas - len(stays),
        reasons=reasons,
        exclusive=service.order != START_FIRST or (before is not None and before.order != START_FIRST),
    )
    keeps = not service.oneshot and any(each.keeps for each in leaves)
    return _in_place(found, service) if keeps or service.order == IN_PLACE else found


def _by_standby(found: Lineup) -> Lineup:
    """The same, if it goes and has ports that a standby can answer on meanwhile."""
    answers = any(each.running and each.ports for each in found.leaves)
    comes = found.missing or not all(each.running for each in found.stays)
    return found._replace(order=BY_STANDBY) if answers and comes and found.order == STOP_FIRST else found


def _in_place(found: Lineup, service: Service, *, sharing: bool = False) -> Lineup:
    """The same with Compose's own recreate, which takes every container of the service at once."""
    if not found.leaves and not sharing:
        return found._replace(order=IN_PLACE)
    there = [*found.leaves, *found.stays] if found.missing or sharing else []
    renews = tuple(sorted(there, key=lambda each: each.number)[: service.replicas])
    why = "it goes with what is made anew"
    return found._replace(
        order=IN_PLACE,
        stays=() if renews else found.stays,
        renews=renews,
        leaves=tuple(each for each in found.leaves if each not in renews),
        missing=service.replicas - len(renews or found.stays),
        reasons={**{each.identity: why for each in renews}, **found.reasons},
        exclusive=True,
    )


def _needed(found: Mapping[str, Lineup]) -> list[str]:
    """Services with a change that one made in place depends on: Compose makes them anew with it."""
    needed: list[str] = []
    todo = [each for lineup in found.values() for each in lineup.renews]
    while todo:
        for need in todo.pop().depends:
            lineup = found.get(need.service)
            if lineup and need.service not in needed:
                todo += [*lineup.stays, *lineup.leaves]
                needed += [need.service] if lineup.leaves and not lineup.renews else []
    return needed


def _worth(each: Container) -> tuple[bool, bool, int]:
    """Who stays when there are more than wanted."""
    return not (each.running or each.succeeded), each.health == "unhealthy", each.number


def _strangers(wish: Manifest, containers: Iterable[Container], facts: Facts) -> Iterator[tuple[str, Lineup]]:
    known = facts.before.services if facts.before else {}
    for name in sorted({each.service for each in containers} - set(wish.services)):
        own = tuple(each for each in containers if each.service == name)
        order = known[name].order if name in known else STOP_FIRST
        reasons = {each.identity: f"the release has no service {name}" for each in own}
        yield name, Lineup(name, order, leaves=own, reasons=reasons, exclusive=order != START_FIRST)


def _reason(service: Service, each: Container, seen: Seen | None, secrets: Secrets) -> str:
    """Why this container cannot stay; empty if it can."""
    if each.digest != service.digest:
        if each.image != service.image:
            return f"image {each.image} → {service.image}"
        return "its configuration changed"
    if seen and each.hash != seen.hash:
        return "it is not as it was applied"
    if stale_environment(each, secrets):
        return "a secret of its environment is newer"
    if service.oneshot and each.status == "exited" and not each.succeeded:
        return f"it ended with {each.code}"
    if (service.oneshot or service.order == START_FIRST) and stale(each, secrets):
        return "a secret is newer than its start"
    gone = cut_off(each, seen) if each.running else ()
    return f"it was cut off from {', '.join(sorted(gone))}" if gone else ""


def stale(found: Container, secrets: Secrets) -> bool:
    """Whether the container started before its secret files were written."""
    return 0 < found.started < secrets.files


def stale_environment(found: Container, secrets: Secrets) -> bool:
    """Whether the container was made before its secret environment was written."""
    return found.created < secrets.environment


def cut_off(found: Container, seen: Seen | None) -> frozenset[str]:
    """Networks that the container had when all was well, and has no more."""
    return seen.networks - set(found.networks) if seen else frozenset()
