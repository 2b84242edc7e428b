# GPL-3.0-or-later
"""Carry out the steps of stacks that shall run. Killed anywhere, a new run finds what is there and goes on.

Order for each stack: images → owners of secrets → leftovers → `docker compose create` → restarts for
secrets → start in the order of the dependencies → healthy → proxy connected → route → `current` → recorded.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from typing import NamedTuple

from drover import compose, disk, health, images, routes, secrets
from drover.docker import Container, observe, of_stack
from drover.facts import Secrets
from drover.facts import secrets as secret_times
from drover.host import Host
from drover.layout import PROXY, PROXY_PORT, link
from drover.plan import (
    CREATING,
    FORCE,
    OWN,
    REMOVE,
    RENAME,
    RESTART,
    RESUME,
    RUN,
    Plan,
    stale,
    stale_environment,
)
from drover.release import Manifest, Probe
from drover.run import DroverError
from drover.state import Seen

WORKERS = 4
DEADLINE = 120.0  # seconds until a stack must be well
LOG_LINES = 20
POLL = (0.1, 0.2, 0.3, 0.5)


TROUBLE = (DroverError, OSError, sqlite3.Error)  # of one stack; the others go on


class StackError(Exception):
    """A stack that did not get well."""

    def __init__(self, reason: str, service: str = "", container: str = "") -> None:
        super().__init__(reason)
        self.service = service
        self.container = container


class Ready(NamedTuple):
    """A stack whose containers are as the release says, and that now has to start."""

    plan: Plan
    began: float
    again: frozenset[str]
    uids: dict[str, int]
    until: float  # of the monotonic clock


Outcome = Callable[[Plan, "StackError | None"], None]


def bring(host: Host, plans: Sequence[Plan], done: Outcome) -> None:
    """Bring these stacks to what was wished; `done` is told of each as soon as it is well or has failed."""
    uids = host.state.image_uids()
    ready: list[Ready] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for plan, found in zip(plans, pool.map(lambda plan: _try(host, plan, uids), plans), strict=True):
            if isinstance(found, Ready):
                ready.append(found)
            else:
                done(plan, found)
    _remember(host, uids, ready)
    _settle(host, ready, done)
    await_served(host, [each.plan.wish for each in ready if each.plan.steps])


def _remember(host: Host, known: dict[str, int], ready: Iterable[Ready]) -> None:
    """Users of images cost a container each to find out."""
    new = {image: uid for each in ready for image, uid in each.uids.items() if image not in known}
    if new:
        with suppress(sqlite3.Error):  # it is only asked again
            host.state.record_image_uids(new)


def _try(host: Host, plan: Plan, uids: dict[str, int]) -> Ready | StackError:
    try:
        return prepare(host, plan, uids)
    except TROUBLE as failure:
        return StackError(str(failure))
    except StackError as trouble:
        return trouble


# Until the containers are there


def prepare(host: Host, plan: Plan, uids: dict[str, int]) -> Ready:
    """Everything before the first start."""
    wish, began = plan.wish, time.time()
    creating = plan.has(*CREATING)
    here = (
        {service.image: images.need(host.run, service.image) for service in wish.services.values()}
        if creating
        else {}
    )
    users = _own(host, plan, here, uids) if creating or plan.has(OWN, RESTART) else {}
    for folder in wish.data_folders:
        (host.layout.stack(wish.stack) / "data" / folder).mkdir(parents=True, exist_ok=True)
    _tidy(host, plan)
    if creating:
        host.say(f"{wish.stack}: create")
        _compose(host, compose.create(host.layout.release(wish.stack, wish.release), wish.stack))
    again = plan.services(RUN)
    if creating or plan.has(RESTART):
        again |= _refresh(host, plan, began)
    return Ready(plan, began, again, users, time.monotonic() + DEADLINE)


def _own(host: Host, plan: Plan, here: dict[str, images.Image], uids: dict[str, int]) -> dict[str, int]:
    """Give secret files to the users that read them; return image → user as far as it was looked up."""
    learned: dict[str, int] = {}
    folder = host.layout.secrets(plan.wish.stack)
    for name, service in plan.wish.services.items():
        secrets.settle_time(folder / f"{name}.env")
        if not (folder / name).is_dir():
            continue
        uid = service.uid
        if uid is None:
            image = here.get(service.image) or images.need(host.run, service.image)
            known = uids.get(image.identity, learned.get(image.identity))
            uid = secrets.image_uid(host.run, service.image, image.user) if known is None else known
            learned[image.identity] = uid
        secrets.give(folder / name, uid)
    return learned


def _tidy(host: Host, plan: Plan) -> None:
    names = {each.identity: each for each in observe(host.run)} if plan.has(RENAME, REMOVE) else {}
    for step in plan.steps:
        if step.kind == REMOVE and step.target in names:
            _docker(host, ["docker", "stop", step.target], allowed="No such container")
            _docker(host, ["docker", "rm", "--force", step.target], allowed="No such container")
        elif step.kind == RENAME and step.target in names:
            _docker(host, ["docker", "rename", step.target, names[step.target].usual_name])
        elif step.kind == RESUME:
            _docker(host, ["docker", "unpause", step.target], allowed="is not paused")


def _refresh(host: Host, plan: Plan, began: float) -> frozenset[str]:
    """Renew containers that are still older than their secrets; return the one-shots that shall run again."""
    wish = plan.wish
    times = secret_times(host.layout.secrets(wish.stack), wish.services)
    found = of_stack(observe(host.run), wish.stack)
    forced = {
        each.service
        for each in found
        if (each.service in plan.services(FORCE) and each.created < began)
        or stale_environment(each, times.get(each.service, Secrets()))
    }
    if forced & set(wish.services):
        release = host.layout.release(wish.stack, wish.release)
        _compose(host, compose.create(release, wish.stack, forced & set(wish.services)))
    old = [
        each
        for each in found
        if each.service in wish.services
        and each.service not in forced
        and stale(each, times.get(each.service, Secrets()))
    ]
    restart = [each.identity for each in old if each.running and not wish.services[each.service].oneshot]
    if restart:
        host.say(f"{wish.stack}: restart {', '.join(sorted({each.service for each in old}))}")
        _docker(host, ["docker", "restart", *restart], timeout=compose.LIMIT)
    return frozenset(each.service for each in old if wish.services[each.service].oneshot)


def _compose(host: Host, command: list[str]) -> None:
    done = host.run(command, timeout=compose.LIMIT)
    if done.code:
        raise DroverError(f"Compose: {done.words}")


def _docker(host: Host, command: list[str], allowed: str = "", timeout: float = 120.0) -> None:
    done = host.run(command, timeout=timeout)
    if done.code and not (allowed and allowed in done.err):
        raise DroverError(f"Docker: {done.words}")


# From created to well


def _settle(host: Host, ready: Sequence[Ready], done: Outcome) -> None:
    """Start what may start, and finish each stack as soon as it is well."""
    pending = {each.plan.wish.stack: each for each in ready}
    mended: set[str] = set()
    polls = 0
    while pending:
        containers = observe(host.run)
        silent = health.ask_all(
            [
                question
                for each in pending.values()
                for question in health.questions(each.plan.wish, of_stack(containers, each.plan.wish.stack))
            ]
        )
        for stack, each in list(pending.items()):
            trouble = _advance(host, each, containers, silent, mended)
            if trouble is not WAITING:
                del pending[stack]
                done(each.plan, trouble)
        if pending:
            time.sleep(POLL[min(polls, len(POLL) - 1)])
            polls += 1


WAITING = StackError("is not well yet")


def _advance(
    host: Host, ready: Ready, containers: Sequence[Container], silent: dict[str, str], mended: set[str]
) -> StackError | None:
    """One look at one stack: None when it is well, WAITING while it needs time, else the error."""
    wish = ready.plan.wish
    own = [each for each in of_stack(containers, wish.stack) if each.name == each.usual_name and each.hash]
    found = health.judge(wish, own, ready.again, ready.began, time.time(), silent)
    try:
        if found.failed:
            raise StackError(found.failed.reason, found.failed.service, found.failed.container)
        for each in found.start:
            _start(host, ready, each, mended)
        if found.well:
            finish(host, ready.plan, containers)
            return None
        if time.monotonic() > ready.until:
            raise _late(wish, found, own)
    except TROUBLE as failure:
        return StackError(str(failure))
    except StackError as trouble:
        return trouble
    return WAITING


def _late(wish: Manifest, found: health.Judgement, own: Sequence[Container]) -> StackError:
    waits = "; ".join(found.waits)
    first = next(
        (each for each in own if any(text.startswith(f"{each.name} ") for text in found.waits)), None
    )
    if first is None:
        return StackError(f"not well after {DEADLINE:.0f} s: {waits}")
    return StackError(f"not well after {DEADLINE:.0f} s: {waits}", first.service, first.identity)


def _start(host: Host, ready: Ready, each: Container, mended: set[str]) -> None:
    """Start one container. One whose network was removed by hand can never start: it is made anew, once."""
    host.say(f"{each.stack}: start {each.service}")
    done = host.run(["docker", "start", each.identity])
    if not done.code or "No such container" in done.err:
        return
    if "network" in done.err and "not found" in done.err and each.name not in mended:
        mended.add(each.name)
        release = host.layout.release(each.stack, ready.plan.wish.release)
        _compose(host, compose.create(release, each.stack, [each.service]))
        return
    raise StackError(f"Docker could not start it: {done.words}", each.service)


# When it is well


def finish(host: Host, plan: Plan, containers: Sequence[Container]) -> None:
    """Lead requests to it, and only then call it current."""
    wish = plan.wish
    own = of_stack(containers, wish.stack)
    connect(host, [wish], containers)
    path = host.layout.routes / f"{wish.stack}{routes.SUFFIX}"
    text = routes.text(wish, own)
    if text != (path.read_text("utf-8") if path.is_file() else ""):
        routes.write(host.layout, wish.stack, text)
    _stand(host, wish)
    host.state.record_applied(wish.stack, wish.release, _seen(wish, own), time.time())


def _stand(host: Host, wish: Manifest) -> None:
    """Call it current, and only then let go of retired secrets: until then the release before needs them.

    Not at a boot into an older release, since those of the wanted one are there; and not again once it is
    recorded, since those of a release that is on its way may be there.
    """
    folder = host.layout.stack(wish.stack)
    moved = link(folder / "current") != wish.release
    if moved:
        disk.point(folder / "current", f"releases/{wish.release}")
    known = host.state.seen().get(wish.stack, {})
    if link(folder / "wanted") == wish.release and (moved or wish.release not in known):
        secrets.prune(host.layout.secrets(wish.stack), wish.services)


def _seen(wish: Manifest, own: Sequence[Container]) -> dict[str, Seen]:
    return {each.service: Seen(each.hash, networks(each)) for each in own if each.service in wish.services}


def networks(each: Container) -> frozenset[str]:
    """Networks that Compose gave it; the stacks' public ones are connected to the proxy by us."""
    return frozenset(name for name in each.networks if each.stack != PROXY or not name.endswith("_public"))


def connect(host: Host, wishes: Iterable[Manifest], containers: Sequence[Container]) -> list[str]:
    """Connect the proxy to the public network of each stack that has one; returns what was done."""
    done = []
    proxies = [each for each in of_stack(containers, PROXY) if each.running]
    for wish in wishes:
        own = of_stack(containers, wish.stack)
        there = [network for network in wish.networks if any(network in each.networks for each in own)]
        for network, each in product(there, proxies):
            if network not in each.networks:
                _docker(
                    host, ["docker", "network", "connect", network, each.identity], allowed="already exists"
                )
                done.append(f"connect {each.name} to {network}")
    return done


SERVED_SECONDS = 5.0


def await_served(host: Host, wishes: Sequence[Manifest]) -> None:
    """Give the proxy a moment to see what has just come: whoever ran us may ask at once.

    That it does not is no failure of the stack, whose containers are well; `drover status` asks them too.
    """
    until = time.monotonic() + SERVED_SECONDS
    containers = observe(host.run) if any(wish.routes for wish in wishes) else ()
    proxies = [each for each in of_stack(containers, PROXY) if each.running]
    addresses = {health.address(PROXY, each) for each in proxies} - {""}
    waiting = [
        health.Question(
            f"{route.host}{route.health}", str(address), Probe(PROXY_PORT, route.health), route.host
        )
        for wish in wishes
        for route in wish.routes
        for address in addresses
        if route.health
    ]
    while waiting and time.monotonic() < until:
        silent = health.ask_all(waiting)
        waiting = [each for each in waiting if each.container in silent]
        time.sleep(0.1 if waiting else 0)
    for each in waiting:
        host.say(f"the proxy does not serve {each.container} yet")


def last_words(host: Host, container: str) -> str:
    """The last lines that a container wrote."""
    if not container:
        return ""
    said = host.run(["docker", "logs", "--tail", str(LOG_LINES), container], merged=True)
    return said.out.rstrip() if not said.code else ""
