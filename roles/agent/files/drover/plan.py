# GPL-3.0-or-later
"""What has to be done: a pure function of the wish, of what runs and of what the disk says.

Each step says in `text` what happens and why, for a person; `kind` is what apply.py acts on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from drover.docker import Container
from drover.facts import Facts, Secrets
from drover.release import Manifest, Service
from drover.state import Seen

# Kinds of steps
REMOVE, RENAME = "remove", "rename"  # of containers that an interrupted recreate left
CREATE = "create"  # Compose brings the containers to the release's configuration; all that do not run start
FORCE = "force"  # recreate although Compose sees no difference
RUN = "run"  # a one-shot runs (again)
RESTART = "restart"
RESUME = "resume"
OWN = "own"  # owner of secret files
CONNECT = "connect"  # proxy to the stack's public network
ROUTE = "route"
RECORD = "record"
GO = "go"  # an absent stack goes

# Steps after which Compose compares every container with the release.
CREATING = frozenset({REMOVE, RENAME, CREATE, FORCE, RUN, RECORD})


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
    route: str,
    uids: Mapping[str, int],
    silent: Mapping[str, str],
) -> Plan:
    """Compare the wish with what is there.

    `containers` are the stack's; `route` is the text that its route file should have; `uids` are users by
    image; `silent` says by container identity why a service did not answer.
    """
    if wish.absent:
        return Plan(wish, tuple(_removal(wish, containers, facts)))
    tidy = list(_tidy(wish, containers))
    gone = {step.target for step in tidy if step.kind == REMOVE}
    usual = [each for each in containers if each.identity not in gone]
    steps = [
        *tidy,
        *(
            step
            for name, service in wish.services.items()
            for step in _service(
                wish, name, service, [each for each in usual if each.service == name], facts, uids
            )
        ),
    ]
    if wish.release != facts.current:
        steps += _release(wish, facts, steps)
    steps += [*_connect(wish, proxies), *_route(wish, facts, route)]
    return Plan(wish, tuple(steps), tuple(_waits(wish, usual, silent)))


def _removal(wish: Manifest, containers: Sequence[Container], facts: Facts) -> Iterator[Step]:
    if facts.route is not None:
        yield Step(GO, "remove its route")
    for each in containers:
        yield Step(GO, f"remove {each.name}", each.service)
    if facts.volumes:
        yield Step(GO, "remove its volumes: data: delete")
    if facts.remains:
        yield Step(GO, "remove its files" if wish.delete else "remove its files, keep its data")


def _tidy(wish: Manifest, containers: Sequence[Container]) -> Iterator[Step]:
    """Containers that Compose would trip over, or that the release does not have."""
    names = {each.name for each in containers}
    for each in containers:
        if each.service not in wish.services:
            yield Step(
                REMOVE, f"remove {each.name}: the release has no service {each.service}", "", each.identity
            )
        elif not each.hash:
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


def _service(
    wish: Manifest,
    name: str,
    service: Service,
    found: Sequence[Container],
    facts: Facts,
    uids: Mapping[str, int],
) -> Iterator[Step]:
    if len(found) < service.replicas:
        yield Step(RUN if service.oneshot else CREATE, _missing(name, service, len(found)), name)
    if len(found) > service.replicas:
        yield Step(
            CREATE, f"remove {len(found) - service.replicas} of {name}: {service.replicas} wanted", name
        )
    if not found:
        return
    reason = _difference(wish, name, service, found, facts)
    if reason:
        yield Step(RUN if service.oneshot else CREATE, f"recreate {name}: {reason}", name)
        return
    for each in found:
        yield from _state(name, service, each)
    missing = sorted(
        {network for each in found if each.running for network in cut_off(each, facts.seen.get(name))}
    )
    if missing:
        yield Step(FORCE, f"recreate {name}: it was cut off from {', '.join(missing)}", name)
    yield from _secrets(name, service, found, facts.secrets.get(name, Secrets()), uids)


def _missing(name: str, service: Service, there: int) -> str:
    if service.oneshot:
        return f"run {name}: {service.image}"
    count = f"{service.replicas - there} of {service.replicas} " if service.replicas > 1 else ""
    return f"start {count}{name}: {service.image}"


def _difference(wish: Manifest, name: str, service: Service, found: Sequence[Container], facts: Facts) -> str:
    """Why Compose will make the container anew; empty if we know of no reason."""
    before = facts.before.services.get(name) if facts.before else None
    if before and before.digest != service.digest:
        if before.image != service.image:
            return f"image {before.image} → {service.image}"
        return "its configuration changed"
    seen = facts.seen.get(name)
    if not seen:
        return "nothing is recorded of it" if wish.release == facts.current else ""
    if any(each.hash != seen.hash for each in found):
        return "it is not as it was applied"
    return ""


def _state(name: str, service: Service, found: Container) -> Iterator[Step]:
    if found.status == "paused":
        yield Step(RESUME, f"resume {found.name}: it was paused", name, found.identity)
    elif service.oneshot:
        if found.status == "exited" and not found.succeeded:
            yield Step(RUN, f"run {name} again: it ended with {found.code}", name, found.identity)
        elif found.status == "created":
            yield Step(RUN, f"run {name}: it never ran", name, found.identity)
    elif found.status in ("exited", "created"):
        why = f"it ended with {found.code}" if found.started else "it never ran"
        yield Step(CREATE, f"start {found.name}: {why}{_because(found)}", name, found.identity)


def _because(found: Container) -> str:
    return f" ({found.note})" if found.note else ""


def _secrets(
    name: str, service: Service, found: Sequence[Container], secrets: Secrets, uids: Mapping[str, int]
) -> Iterator[Step]:
    uid = service.uid if service.uid is not None else uids.get(found[0].image_id)
    if uid is not None and secrets.owners - {uid}:
        yield Step(OWN, f"give the secrets of {name} to user {uid}", name)
    if any(stale_environment(each, secrets) for each in found):
        yield Step(FORCE, f"recreate {name}: a secret of its environment is newer", name)
    elif any(stale(each, secrets) for each in found):
        verb = "run" if service.oneshot else "restart"
        yield Step(
            RUN if service.oneshot else RESTART, f"{verb} {name}: a secret is newer than its start", name
        )


def stale(found: Container, secrets: Secrets) -> bool:
    """Whether the container started before its secret files were written."""
    return 0 < found.started < secrets.files


def stale_environment(found: Container, secrets: Secrets) -> bool:
    """Whether the container was made before its secret environment was written."""
    return found.created < secrets.environment


def cut_off(found: Container, seen: Seen | None) -> frozenset[str]:
    """Networks that the container had when all was well, and has no more."""
    return seen.networks - set(found.networks) if seen else frozenset()


def _release(wish: Manifest, facts: Facts, steps: Sequence[Step]) -> Iterator[Step]:
    """A release that changes no service is recorded all the same."""
    if any(step.kind in CREATING for step in steps):
        return
    before = facts.before.version if facts.before else ""
    version = f"version {before} → {wish.version}" if before != wish.version else "no service changes"
    yield Step(RECORD, f"take release {wish.release}: {version}")


def _connect(wish: Manifest, proxies: Sequence[Container]) -> Iterator[Step]:
    for network in wish.networks:
        for each in proxies:
            if network not in each.networks:
                yield Step(CONNECT, f"connect {each.name} to {network}", "", each.identity)


def _route(wish: Manifest, facts: Facts, route: str) -> Iterator[Step]:
    if route and facts.route != route:
        hosts = ", ".join(dict.fromkeys(each.host for each in wish.routes))
        yield Step(ROUTE, f"{'write' if facts.route is None else 'change'} the route of {hosts}")
    elif not route and not wish.routes and facts.route is not None:
        yield Step(ROUTE, "remove its route")


def _waits(wish: Manifest, found: Sequence[Container], silent: Mapping[str, str]) -> Iterator[str]:
    for each in found:
        service = wish.services.get(each.service)
        if not service:
            continue
        if each.status == "restarting":
            yield f"{each.name} restarts: it ended with {each.code}{_because(each)}"
        elif each.running and service.oneshot:
            yield f"{each.name} still runs"
        elif each.running and each.health in ("starting", "unhealthy"):
            yield f"{each.name} is {each.health}{_because(each)}"
        elif each.running and each.identity in silent:
            yield f"{each.name} does not answer: {silent[each.identity]}"
