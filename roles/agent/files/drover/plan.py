# GPL-3.0-or-later
"""What has to be done: a pure function of the wish, of what runs and of what the disk says.

Each step says in `text` what happens and why, for a person; `kind` is what the deploy acts on.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from drover.docker import Container
from drover.facts import Facts, Secrets
from drover.lineup import Lineup, lineups, stale
from drover.release import IN_PLACE, Manifest, Service

# Kinds of steps
REMOVE, RENAME = "remove", "rename"  # of containers that an interrupted recreate left
BEFORE, AFTER = "before", "after"  # a command of the deploy
CREATE = "create"  # containers are missing, or others take the place of some
RENEW = "renew"  # Compose makes a container anew in its place
LEAVE = "leave"  # one too many, or of a service that went
START = "start"
RESTART = "restart"
RESUME = "resume"
OWN = "own"  # owner of secret files
CONNECT = "connect"  # proxy to the stack's public network
ROUTE = "route"
RECORD = "record"
REST = "rest"  # stop, and stay
STANDBY = "standby"  # of an interrupted change of the proxy
GO = "go"  # an absent stack goes

# Steps before which Compose looks at the release and makes what is missing.
CREATING = frozenset({CREATE, RENEW, RECORD})


class Step(NamedTuple):
    """One thing to do. `target` is a container's identity where the step is about one."""

    kind: str
    text: str
    service: str = ""
    target: str = ""


class Plan(NamedTuple):
    """Steps of one stack; `waits` names what is on its way and only needs time."""

    wish: Manifest
    steps: tuple[Step, ...] = ()
    waits: tuple[str, ...] = ()
    lineup: Mapping[str, Lineup] = {}
    facts: Facts = Facts()

    @property
    def leaving(self) -> tuple[Container, ...]:
        """Containers that go once others have taken over."""
        return tuple(each for lineup in self.lineup.values() for each in lineup.leaves)

    @property
    def resting(self) -> frozenset[str]:
        """Identities of containers that stop and stay."""
        return frozenset(step.target for step in self.steps if step.kind == REST)

    @property
    def lasting(self) -> tuple[Container, ...]:
        """Containers that the new ones are made beside: those that stay, and those that go later."""
        return tuple(each for lineup in self.lineup.values() for each in (*lineup.stays, *lineup.leaves))

    @property
    def standing(self) -> frozenset[str]:
        """Identities of all that was there before and is no part of what a deploy left half done."""
        return frozenset(each.identity for each in self._there() if not _of_another(each, self.facts.before))

    @property
    def begun(self) -> bool:
        """Whether an earlier run was killed on its way to the wished release."""
        return any(
            _of_another(each, self.facts.before) and not _of_another(each, self.wish)
            for each in self._there()
        )

    def _there(self) -> Iterator[Container]:
        for found in self.lineup.values():
            yield from (*found.stays, *found.leaves, *found.renews)

    def services(self, *kinds: str) -> frozenset[str]:
        """The services that have a step of these kinds."""
        return frozenset(step.service for step in self.steps if step.kind in kinds and step.service)

    def has(self, *kinds: str) -> bool:
        """Whether there is a step of these kinds."""
        return any(step.kind in kinds for step in self.steps)


def plan(
    wish: Manifest,
    containers: Sequence[Container],
    facts: Facts,
    proxies: Sequence[Container],
    uids: Mapping[str, int],
    silent: Mapping[str, str],
    render: Callable[[Manifest, Mapping[str, Lineup]], str],
) -> Plan:
    """Compare the wish with what is there.

    `containers` are the stack's; `uids` are users by image; `silent` says by container identity why a
    service did not answer; `render` gives the text of the stack's route file.
    """
    if wish.absent:
        return Plan(wish, tuple(_removal(wish, containers, facts)), facts=facts)
    tidy = list(_tidy(containers))
    gone = {step.target for step in tidy if step.kind == REMOVE}
    usual = [each for each in containers if each.identity not in gone]
    found = lineups(wish, usual, facts)
    changes = [step for lineup in found.values() for step in _lineup(wish, lineup)]
    steps = [*tidy, *_commands(wish, facts, found), *changes]
    for name, service in wish.services.items():
        steps += _secrets(name, service, found[name], facts.secrets.get(name, Secrets()), uids)
    steps += [*_release(wish, facts, steps), *_connect(wish, proxies)]
    steps += [*_route(wish, facts, render(wish, found)), *_after(wish, facts, found, steps)]
    if facts.standby:
        steps.append(Step(STANDBY, "end the standby: a change of the proxy is not finished"))
    return Plan(wish, tuple(steps), tuple(_waits(wish, usual, silent)), found, facts)


def _of_another(each: Container, release: Manifest | None) -> bool:
    """Whether it is of another release than this one; one without a digest is older than digests are."""
    if release is None or not each.digest:
        return False
    service = release.services.get(each.service)
    return service is None or service.digest != each.digest


def _removal(wish: Manifest, containers: Sequence[Container], facts: Facts) -> Iterator[Step]:
    if facts.route is not None:
        yield Step(GO, "remove its route")
    for each in containers:
        yield Step(GO, f"remove {each.name}", each.service)
    if facts.volumes:
        yield Step(GO, "remove its volumes: data: delete")
    if facts.remains:
        yield Step(GO, "remove its files" if wish.delete else "remove its files, keep its data")


def _tidy(containers: Sequence[Container]) -> Iterator[Step]:
    """Containers that Compose would trip over."""
    names = {each.name for each in containers}
    for each in containers:
        if not each.hash:
            yield Step(REMOVE, f"remove {each.name}: Compose did not make it", each.service, each.identity)
        elif each.status in ("dead", "removing"):
            yield Step(
                REMOVE, f"remove {each.name}: Docker left it {each.status}", each.service, each.identity
            )
        elif each.name != each.usual_name:
            kind, verb = (REMOVE, "remove") if each.usual_name in names else (RENAME, "rename")
            names.add(each.usual_name)
            why = f"left by an interrupted recreate of {each.usual_name}"
            yield Step(kind, f"{verb} {each.name}: {why}", each.service, each.identity)


def _lineup(wish: Manifest, found: Lineup) -> Iterator[Step]:
    service = wish.services.get(found.service)
    replaced = [] if service is None else [each for each in found.leaves if found.missing][: found.missing]
    if service and found.missing > len(replaced):
        yield Step(CREATE, _missing(found, service, found.missing - len(replaced)), found.service)
    for reason in dict.fromkeys(found.reasons[each.identity] for each in replaced):
        again = service is not None and service.oneshot
        verb, how = ("run", "") if again else ("replace", f" ({found.order})")
        yield Step(CREATE, f"{verb} {found.service}: {reason}{how}", found.service)
    for reason in dict.fromkeys(found.reasons[each.identity] for each in found.renews):
        yield Step(RENEW, f"replace {found.service}: {reason} ({IN_PLACE})", found.service)
    for each in found.leaves:
        if each not in replaced:
            yield Step(
                LEAVE, f"remove {each.name}: {found.reasons[each.identity]}", found.service, each.identity
            )
    if service:
        yield from (step for each in found.stays for step in _state(service, each))


def _missing(found: Lineup, service: Service, count: int) -> str:
    if service.oneshot:
        return f"run {found.service}: {service.image}"
    some = f"{count} of {service.replicas} " if service.replicas > 1 else ""
    return f"start {some}{found.service}: {service.image}"


def _state(service: Service, found: Container) -> Iterator[Step]:
    if service.rests:
        if found.status in ("running", "paused", "restarting"):
            yield Step(REST, f"stop {found.name}: it rests", found.service, found.identity)
        return
    if found.status == "paused":
        yield Step(RESUME, f"resume {found.name}: it was paused", found.service, found.identity)
    elif found.status == "created" and service.oneshot:
        yield Step(START, f"run {found.service}: it never ran", found.service, found.identity)
    elif found.status == "created" or (found.status == "exited" and not service.oneshot):
        why = f"it ended with {found.code}" if found.started else "it never ran"
        yield Step(START, f"start {found.name}: {why}{_because(found)}", found.service, found.identity)


def _because(found: Container) -> str:
    return f" ({found.note})" if found.note else ""


def _commands(wish: Manifest, facts: Facts, found: Mapping[str, Lineup]) -> Iterator[Step]:
    """Commands of services of which no container of the release has started yet; resting ones are late."""
    for each in wish.deploy.before:
        if wish.release == facts.current and each.service in facts.seen:
            continue
        if not _has_run(found[each.service]):
            yield Step(BEFORE, f"before {each.service} starts: {shlex.join(each.words)}", each.service)


def _has_run(found: Lineup) -> bool:
    return any(each.started for each in found.stays)


def _after(
    wish: Manifest, facts: Facts, found: Mapping[str, Lineup], steps: Sequence[Step]
) -> Iterator[Step]:
    """Commands of a release that was not well yet, or of services that have rested so far."""
    for each in wish.deploy.after if steps else ():
        if facts.recorded and (each.service in facts.seen or _has_run(found[each.service])):
            continue
        yield Step(AFTER, f"after it serves, in {each.service}: {shlex.join(each.words)}", each.service)


def _secrets(
    name: str, service: Service, found: Lineup, secrets: Secrets, uids: Mapping[str, int]
) -> Iterator[Step]:
    """Where the old and the new cannot run side by side, a restart is enough for a new secret file."""
    known = [uids.get(each.image_id) for each in found.stays[:1]]
    uid = service.uid if service.uid is not None else next(iter(known), None)
    if service.rests:
        return
    if uid is not None and secrets.owners - {uid}:
        yield Step(OWN, f"give the secrets of {name} to user {uid}", name)
    if any(stale(each, secrets) for each in found.stays if each.running):
        yield Step(RESTART, f"restart {name}: a secret is newer than its start", name)


def _release(wish: Manifest, facts: Facts, steps: Sequence[Step]) -> Iterator[Step]:
    """A release that changes no service is recorded all the same."""
    if any(step.kind in CREATING for step in steps):
        return
    if wish.release == facts.current:
        if not facts.recorded and not all(each.rests for each in wish.services.values()):
            yield Step(RECORD, f"record release {wish.release}: nothing is known of it")
        return
    before = facts.before.version if facts.before else ""
    version = f"version {before} → {wish.version}" if before != wish.version else "no service changes"
    yield Step(RECORD, f"take release {wish.release}: {version}")


def _connect(wish: Manifest, proxies: Sequence[Container]) -> Iterator[Step]:
    """The network is there once somebody is on it."""
    if wish.routes and all(wish.services[each.service].rests for each in wish.routes):
        return
    for network in wish.networks:
        for each in proxies:
            if network not in each.networks:
                yield Step(CONNECT, f"connect {each.name} to {network}", "", each.identity)


def _route(wish: Manifest, facts: Facts, route: str) -> Iterator[Step]:
    if route and facts.route != route:
        hosts = ", ".join(dict.fromkeys(each.host for each in wish.routes))
        what = f"the route of {hosts}" if hosts else "what the proxy knows beside its routes"
        yield Step(ROUTE, f"{'write' if facts.route is None else 'change'} {what}")
    elif not route and not wish.routes and facts.route is not None:
        yield Step(ROUTE, "remove its route")


def _waits(wish: Manifest, found: Sequence[Container], silent: Mapping[str, str]) -> Iterator[str]:
    for each in found:
        service = wish.services.get(each.service)
        if not service or service.rests:
            continue
        if each.status == "restarting":
            yield f"{each.name} restarts: it ended with {each.code}{_because(each)}"
        elif each.running and service.oneshot:
            yield f"{each.name} still runs"
        elif each.running and each.health in ("starting", "unhealthy"):
            yield f"{each.name} is {each.health}{_because(each)}"
        elif each.running and each.identity in silent:
            yield f"{each.name} does not answer: {silent[each.identity]}"
