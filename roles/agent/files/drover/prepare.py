# GPL-3.0-or-later
"""What a stack's new containers need before they are made: images, owners of secrets, a tidy place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drover import compose, docker, images, secrets
from drover.docker import Container
from drover.facts import Secrets
from drover.facts import secrets as secret_times
from drover.host import Host
from drover.lineup import stale
from drover.plan import CREATING, OWN, REMOVE, RENAME, RESTART, RESUME, Plan
from drover.run import DroverError

Images = dict[str, "images.Image | DroverError"]


def wanted(plan: Plan) -> set[str]:
    """Images that must be here before anything stops."""
    return {service.image for service in plan.wish.services.values()} if plan.has(*CREATING) else set()


def prepare(
    host: Host, plan: Plan, here: Images, uids: dict[str, int], own: Sequence[Container]
) -> dict[str, int]:
    """Make ready; return image → user as far as it was looked up."""
    wish = plan.wish
    _require(host, plan, here)
    learned = _own(host, plan, here, uids) if plan.has(*CREATING, OWN, RESTART) else {}
    for folder in wish.data_folders:
        (host.layout.stack(wish.stack) / "data" / folder).mkdir(parents=True, exist_ok=True)
    for job in wish.backups:
        if job.point_in_time:
            _spool(host.layout.spool(wish.stack, job.service))
    _tidy(host, plan, {each.identity: each for each in own})
    if plan.has(RESTART):
        _restart(host, plan, own)
    return learned


def _spool(place: Path) -> None:
    """Whoever the database runs as writes there; nobody else on the host comes so far."""
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o1777)


def _require(host: Host, plan: Plan, here: Images) -> None:
    """All that the new containers need is here, or nothing is touched."""
    for name in sorted(wanted(plan)):
        if isinstance(found := here[name], DroverError):
            raise found
    if plan.has(*CREATING):
        gone = secrets.missing(host.layout.secrets(plan.wish.stack), plan.wish.services)
        if gone:
            raise DroverError(f"{gone} is missing; run the playbook, which puts it there")


def _own(host: Host, plan: Plan, here: Images, uids: dict[str, int]) -> dict[str, int]:
    """Give secret files to the users that read them."""
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


def _tidy(host: Host, plan: Plan, there: dict[str, Container]) -> None:
    for step in plan.steps:
        if step.kind == REMOVE and step.target in there:
            docker.remove(host.run, [step.target])
        elif step.kind == RENAME and step.target in there:
            docker.do(host.run, ["docker", "rename", step.target, there[step.target].usual_name])
        elif step.kind == RESUME:
            docker.do(host.run, ["docker", "unpause", step.target], allowed="is not paused")


def _restart(host: Host, plan: Plan, own: Sequence[Container]) -> None:
    """Containers that stay, and are older than a secret file that they read."""
    wish = plan.wish
    times = secret_times(host.layout.secrets(wish.stack), wish.services)
    leaving = {each.identity for each in plan.leaving}
    old = [
        each
        for each in own
        if each.service in plan.services(RESTART)
        and each.identity not in leaving
        and each.running
        and stale(each, times.get(each.service, Secrets()))
    ]
    if old:
        host.say(f"{wish.stack}: restart {', '.join(sorted({each.service for each in old}))}")
        docker.do(host.run, ["docker", "restart", *(each.identity for each in old)], timeout=compose.LIMIT)
