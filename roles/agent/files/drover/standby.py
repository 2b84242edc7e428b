# GPL-3.0-or-later
"""The proxy is replaced without a lost request: a standby answers, since two containers cannot have one port.

It is one more container of the new release, published on the host's loopback alone. Once it is well and goes
by every route, new connections to the host's ports are led to it. Those that exist stay with the old one
until they end. Then the old one stops, its successor starts and goes by every route, Docker leads to it
again, and the standby ends as the old one did. Killed anywhere, the next run goes on from what is there: the
standby is led to as long as nobody else is sure to answer. A boot knows no table.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from drover import compose, detour, docker, finish, routes, start
from drover.docker import Container, last_words, of_stack
from drover.errors import TROUBLE, StackError
from drover.host import Host
from drover.layout import PROXY, STANDBY
from drover.lineup import BY_STANDBY
from drover.plan import STANDBY as LEFT
from drover.plan import Plan
from drover.release import Manifest, Proxy
from drover.watch import Watch

NAME = "proxy-standby"
LOOPBACK = "127.0.0.1"
POLL = 0.5
GRACE = 5  # seconds beyond those that a connection may be idle
MOST = 120  # seconds that an idle one is waited for: meanwhile nobody can change anything on the host


class Standby:
    """One deploy's; of a stack that is not the proxy it does nothing."""

    def __init__(self, host: Host, watch: Watch, plan: Plan) -> None:
        self._host, self._watch, self._plan, self._wish = host, watch, plan, plan.wish
        self._there = plan.has(LEFT)

    def begin(self) -> None:
        """A table that leads to nobody goes first of all."""
        if self._there and not self._running():
            detour.end(self._host.run)

    def take_over(self, successor: Container, old: Sequence[Container]) -> None:
        """The old ones are about to stop: from now on the standby answers, and they finish."""
        if not old or self._plan.lineup[successor.service].order != BY_STANDBY:
            return
        try:
            standby = self._made(successor)
            if self._lead(successor, standby):
                self._finish(old, standby)
            else:
                self.end()
        except (*TROUBLE, StackError) as error:
            raise self._given_up(error) from None

    def hand_over(self, wish: Manifest) -> None:
        """The release is well: once it goes by every route, Docker leads to it again."""
        if self._there:
            self._await_routes(wish, of_stack(docker.proxies(self._watch.look()), PROXY))
            detour.end(self._host.run)

    def end(self) -> None:
        """Nothing new comes to it: let it finish, and go."""
        if not self._there:
            return
        detour.end(self._host.run)
        self._finish(self._running())
        docker.remove(self._host.run, [each.identity for each in self._own()])
        self._there = False

    # What is there

    def _own(self) -> tuple[Container, ...]:
        return of_stack(self._watch.look(), STANDBY)

    def _running(self) -> list[Container]:
        return [each for each in self._own() if each.running]

    def _well(self) -> list[Container]:
        return [each for each in self._running() if each.health != "unhealthy"]

    # There, and well

    def _made(self, successor: Container) -> Container:
        """That of an interrupted run while it is well and led to, whatever its version; else one more."""
        began = time.time()
        if not (self._well() and detour.there(self._host.run)):
            self.end()
            self._make(successor)
        wish = self._wish
        service = wish.services[successor.service]._replace(replicas=1)
        one = wish._replace(services={successor.service: service})
        start.until_well(one, self._watch, self._own, began, lambda _: None)
        start.stay_well(one, self._watch, self._own, began, wish.deploy.soak, lambda _: True)
        self._await_routes(wish, self._own())
        for each in self._running():
            return each
        raise StackError("fell while it stood by", successor.service)

    def _make(self, successor: Container) -> None:
        """Compose starts it at once, and a proxy has to be connected to every network before."""
        self._host.say(f"{self._wish.stack}: start {NAME}")
        self._there = True
        release = self._host.layout.release(self._wish.stack, self._wish.release)
        labels = [f"{docker.STANDS_BY}={successor.name}"]
        ports = [f"{LOOPBACK}::{inside}" for inside in successor.ports]
        command = compose.beside(release, self._wish, NAME, successor.service, labels, ports)
        compose.do(self._host.run, command)
        for each in self._own():
            docker.do(self._host.run, ["docker", "kill", each.identity], allowed="is not running")
            finish.connect_everywhere(self._host, each, self._watch.look())
            docker.do(self._host.run, ["docker", "start", each.identity])

    def _await_routes(self, wish: Manifest, asked: Sequence[Container]) -> None:
        marks = routes.marks(self._host.layout, (wish.proxy or Proxy()).kind)
        if not asked:
            raise StackError("there is no proxy that could go by the routes")
        containers = self._watch.look()
        for each in asked:
            finish.connect_everywhere(self._host, each, containers)
        lacks = ", ".join(marks[each] for each in finish.go_by(self._watch, asked, marks))
        if lacks:
            raise StackError(f"the proxy does not go by {lacks} after {finish.SEEN_SECONDS:.0f} s")

    # Where new connections go, and the end of those that exist

    def _lead(self, successor: Container, standby: Container) -> bool:
        """Without it, a change is still a change: the old one stops, and nobody answers for a moment."""
        why = detour.lead(self._host.run, self._host.layout, successor.ports, standby)
        if why:
            self._host.say(f"{self._wish.stack}: new connections are not led to {NAME}: {why}")
        return not why

    def _finish(self, old: Sequence[Container], guard: Container | None = None) -> None:
        """Wait until their clients are gone or the time is up; the one that took over must not fall."""
        names = ", ".join(each.name for each in old)
        until = time.monotonic() + min((self._wish.proxy or Proxy()).idle_seconds, MOST) + GRACE
        self._host.say(f"{self._wish.stack}: let {names} finish")
        while time.monotonic() < until:
            self._watch.pause(POLL)
            if guard and not self._well():
                raise StackError("fell while it stood by", guard.service, guard.identity)
            if not any(detour.connections(self._host.layout, each) for each in old):
                return

    # When it comes to nothing

    def _given_up(self, error: Exception) -> StackError:
        """It goes, with its last words: the old ones were not touched."""
        trouble = error if isinstance(error, StackError) else StackError(str(error))
        trouble.said = trouble.said or last_words(self._host.run, trouble.container)
        trouble.container = ""
        with suppress(*TROUBLE, StackError):
            self.end()
        return trouble
