# GPL-3.0-or-later
"""Carry out the steps of stacks that shall run. Killed anywhere, a new run finds what is there and goes on.

Order for each stack: images → owners of secrets → leftovers → `docker compose create` → restarts for
secrets → start in the order of the dependencies → healthy → proxy connected → route → `current` → recorded.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from drover import compose, docker, finish, images, secrets, start
from drover.docker import observe, of_stack
from drover.errors import TROUBLE, StackError
from drover.facts import Secrets
from drover.facts import secrets as secret_times
from drover.host import Host
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
from drover.run import DroverError
from drover.start import Outcome, Ready

WORKERS = 4

Images = dict[str, "images.Image | DroverError"]


def bring(host: Host, plans: Sequence[Plan], done: Outcome) -> None:
    """Bring these stacks to what was wished; `done` is told of each as soon as it is well or has failed."""
    uids = host.state.image_uids()
    here = images.need_all(host.run, (name for plan in plans for name in _images(plan)))
    ready: list[Ready] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        tried = pool.map(lambda plan: _try(host, plan, here, uids), plans)
        for plan, found in zip(plans, tried, strict=True):
            if isinstance(found, Ready):
                ready.append(found)
            else:
                done(plan, found)
    _remember(host, uids, ready)
    start.until_well(host, ready, done)
    finish.await_served(host, [each.plan.wish for each in ready if each.plan.steps])


def _remember(host: Host, known: dict[str, int], ready: Iterable[Ready]) -> None:
    """Users of images cost a container each to find out."""
    new = {image: uid for each in ready for image, uid in each.uids.items() if image not in known}
    if new:
        with suppress(sqlite3.Error):  # it is only asked again
            host.state.record_image_uids(new)


def _images(plan: Plan) -> set[str]:
    """What must be here before anything stops."""
    return {service.image for service in plan.wish.services.values()} if plan.has(*CREATING) else set()


def _try(host: Host, plan: Plan, here: Images, uids: dict[str, int]) -> Ready | StackError:
    try:
        return prepare(host, plan, here, uids)
    except TROUBLE as failure:
        return StackError(str(failure))
    except StackError as trouble:
        return trouble


# Until the containers are there


def prepare(host: Host, plan: Plan, here: Images, uids: dict[str, int]) -> Ready:
    """Everything before the first start."""
    wish, began = plan.wish, time.time()
    creating = plan.has(*CREATING)
    _require(host, plan, here)
    users = _own(host, plan, here, uids) if creating or plan.has(OWN, RESTART) else {}
    for folder in wish.data_folders:
        (host.layout.stack(wish.stack) / "data" / folder).mkdir(parents=True, exist_ok=True)
    _tidy(host, plan)
    if creating:
        host.say(f"{wish.stack}: create")
        compose.do(host.run, compose.create(host.layout.release(wish.stack, wish.release), wish))
    again = plan.services(RUN)
    if creating or plan.has(RESTART):
        again |= _refresh(host, plan, began)
    return Ready(plan, began, again, users, time.monotonic() + start.DEADLINE)


def _require(host: Host, plan: Plan, here: Images) -> None:
    """All that the new containers need is here, or nothing is touched."""
    for name in sorted(_images(plan)):
        if isinstance(found := here[name], DroverError):
            raise found
    if plan.has(*CREATING):
        gone = secrets.missing(host.layout.secrets(plan.wish.stack), plan.wish.services)
        if gone:
            raise DroverError(f"{gone} is missing; run the playbook, which puts it there")


def _own(host: Host, plan: Plan, here: Images, uids: dict[str, int]) -> dict[str, int]:
    """Give secret files to the users that read them; return image → user as far as it was looked up."""
    learned: dict[str, int] = {}
    folder = host.layout.secrets(plan.wish.stack)
    for name, service in plan.wish.services.items():
        secrets.settle_time(folder / f"{name}.env")
        if not (folder / name).is_dir():
            continue
        uid = service.uid
        if uid is None:
            found = here.get(service.image)
            image = found if isinstance(found, images.Image) else images.need(host.run, service.image)
            known = uids.get(image.identity, learned.get(image.identity))
            uid = secrets.image_uid(host.run, service.image, image.user) if known is None else known
            learned[image.identity] = uid
        secrets.give(folder / name, uid)
    return learned


def _tidy(host: Host, plan: Plan) -> None:
    names = {each.identity: each for each in observe(host.run)} if plan.has(RENAME, REMOVE) else {}
    for step in plan.steps:
        if step.kind == REMOVE and step.target in names:
            docker.do(host.run, ["docker", "stop", step.target], allowed="No such container")
            docker.do(host.run, ["docker", "rm", "--force", step.target], allowed="No such container")
        elif step.kind == RENAME and step.target in names:
            docker.do(host.run, ["docker", "rename", step.target, names[step.target].usual_name])
        elif step.kind == RESUME:
            docker.do(host.run, ["docker", "unpause", step.target], allowed="is not paused")


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
        compose.do(host.run, compose.create(release, wish, forced & set(wish.services)))
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
        docker.do(host.run, ["docker", "restart", *restart], timeout=compose.LIMIT)
    return frozenset(each.service for each in old if wish.services[each.service].oneshot)
