# GPL-3.0-or-later
"""From created to well: what may start, what to wait for, what has failed. Pure, but for the probe."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from drover.docker import COMPLETED, HEALTHY, Container, Dependency
from drover.layout import PUBLIC
from drover.release import Manifest, Probe, Service

SETTLED = 2.0  # seconds that a container without any check must have run
CRASHES = 5  # with Docker's growing pauses about 4 s plus the time that the program itself takes
PROBE_SECONDS = 3.0
TAKEN = 418  # what a proxy itself answers under a route file's mark


class Failed(NamedTuple):
    """A service that did not get well."""

    service: str
    reason: str
    container: str = ""  # whose log tells more


class Judgement(NamedTuple):
    """What to do next. Well if there is nothing to start, to wait for, or failed."""

    start: tuple[Container, ...] = ()
    waits: tuple[str, ...] = ()
    failed: Failed | None = None

    @property
    def well(self) -> bool:
        """Whether the stack is as it was wished."""
        return not self.start and not self.waits and not self.failed


def judge(
    wish: Manifest,
    found: Sequence[Container],
    began: float,
    now: float,
    silent: Mapping[str, str],
) -> Judgement:
    """Look at the stack's containers. What failed before `began` is started again.

    `silent` says by container identity why a service did not answer.
    """
    start: list[Container] = []
    waits: list[str] = []
    for name, service in wish.services.items():
        if service.rests:
            continue
        own = [each for each in found if each.service == name]
        if len(own) < service.replicas:
            return Judgement(failed=Failed(name, f"has {len(own)} of {service.replicas} containers"))
        for each in own:
            reason = _failure(service, each, began)
            if reason:
                return Judgement(failed=Failed(name, reason, each.identity))
            if _startable(service, each):
                blocking = _blocking(wish, each.depends, found)
                start += [] if blocking else [each]
                waits += [f"{each.name} waits for {blocking}"] if blocking else []
            else:
                waits += _wait(service, each, began, now, silent)
    return Judgement(tuple(start), tuple(waits))


def _failure(service: Service, each: Container, began: float) -> str:
    """Why this container will not get well by waiting. What an earlier run left does not count."""
    because = f" ({each.note})" if each.note else ""
    if each.status == "dead":
        return "is dead: Docker could not remove it"
    if each.status == "restarting" and each.restarts >= CRASHES:
        return f"crashed {each.restarts} times, ended with {each.code}{because}"
    if each.started < began:
        return ""
    if each.status == "exited" and not (service.oneshot and each.code == 0):
        return f"ended with {each.code}{because}"
    if each.running and each.health == "unhealthy":
        return f"is unhealthy{because}"
    return ""


def _startable(service: Service, each: Container) -> bool:
    return each.status in ("created", "exited") and not (service.oneshot and each.succeeded)


def _blocking(wish: Manifest, depends: Sequence[Dependency], found: Sequence[Container]) -> str:
    """The first dependency that is not met yet; empty if the container may start."""
    for need in depends:
        service = wish.services.get(need.service)
        if not service:
            continue
        own = [each for each in found if each.service == need.service]
        if not own or not all(_meets(service, each, need.condition) for each in own):
            return need.service
    return ""


def _meets(service: Service, each: Container, condition: str) -> bool:
    if condition == COMPLETED:
        return each.succeeded
    if condition == HEALTHY and each.health:
        return each.running and each.health == "healthy"
    return each.running or (service.oneshot and each.succeeded)


def _wait(
    service: Service, each: Container, began: float, now: float, silent: Mapping[str, str]
) -> Iterable[str]:
    if service.oneshot:
        if not each.succeeded:
            yield f"{each.name} still runs"
    elif not each.running:
        yield f"{each.name} is {each.status}"
    elif each.health in ("starting", "unhealthy"):
        yield f"{each.name} is {each.health}" + (f" ({each.note})" if each.note else "")
    elif each.identity in silent:
        yield f"{each.name} does not answer: {silent[each.identity]}"
    elif not each.health and not service.health and each.started >= began and now < each.started + SETTLED:
        yield f"{each.name} has just started"


# The probe


class Question(NamedTuple):
    """Where to ask a container whether it is well."""

    container: str
    address: str
    probe: Probe
    host: str


def questions(wish: Manifest, found: Sequence[Container]) -> Iterable[Question]:
    """What to ask the running containers of services that have an HTTP check."""
    hosts = {route.service: route.host for route in reversed(wish.routes)}
    for each in found:
        service = wish.services.get(each.service)
        if service and service.health and each.running and each.health in ("", "healthy"):
            host = hosts.get(each.service, "localhost")
            yield Question(each.identity, address(wish.stack, each), service.health, host)


def address(stack: str, each: Container) -> str:
    """Where the host itself reaches the container: internal networks have no way to it."""
    return each.networks.get(f"{stack}_public") or each.networks.get(PUBLIC) or ""


def ask_all(asked: Sequence[Question], seconds: float = PROBE_SECONDS) -> dict[str, str]:
    """Ask all at the same time; container identity → why it did not answer well."""
    answers: dict[str, str] = {}
    threads = [
        threading.Thread(target=lambda each=each: answers.update({each.container: ask(each, seconds)}))
        for each in asked
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {container: reason for container, reason in answers.items() if reason}


def ask(asked: Question, seconds: float = PROBE_SECONDS) -> str:
    """One GET; empty if the answer is a success or a redirect, else the reason."""
    if not asked.address:
        return "it has no address on its public network"
    try:
        code = status(asked, seconds)
    except ValueError as error:
        return str(error)
    return "" if 200 <= code < 400 else f"{asked.probe.path} answered {code}"


def status(asked: Question, seconds: float = PROBE_SECONDS) -> int:
    """The status of the answer to one GET; a ValueError says why there is none."""
    request = (
        f"GET {asked.probe.path} HTTP/1.1\r\nHost: {asked.host}\r\nUser-Agent: drover\r\nAccept: */*\r\n"
        "Connection: close\r\n\r\n"
    )
    try:
        with socket.create_connection((asked.address, asked.probe.port), seconds) as connection:
            connection.sendall(request.encode("ascii", "replace"))
            line = _first_line(connection).split(" ", 2)
    except OSError as error:
        raise ValueError(f"port {asked.probe.port}: {error.strerror or error}") from None
    if len(line) < 2 or not line[0].startswith("HTTP/") or not line[1][:3].isdigit():
        raise ValueError(f"port {asked.probe.port} does not speak HTTP")
    return int(line[1][:3])


def goes_by(asked: Question) -> bool:
    """Whether a proxy goes by the route file whose mark is asked for: it answers that one itself."""
    try:
        return status(asked) == TAKEN
    except ValueError:
        return False


def _first_line(connection: socket.socket) -> str:
    found = b""
    while b"\n" not in found and len(found) < 64:
        more = connection.recv(64)
        if not more:
            break
        found += more
    return found.decode("ascii", "replace")
