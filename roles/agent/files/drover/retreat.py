# GPL-3.0-or-later
"""A deploy has failed on its way: what stood before serves again, and what came of the new release goes."""

from __future__ import annotations

import time
from collections.abc import Sequence

from drover import compose, docker, finish, routes, start
from drover.calls import Calls
from drover.docker import Container, last_words, of_stack
from drover.errors import TROUBLE, StackError
from drover.host import Host
from drover.plan import RENEW, Plan
from drover.release import Manifest
from drover.standby import Standby
from drover.watch import Watch


class Retreat:
    """One deploy's, by the plan that it had; calls and standby are those that it led elsewhere."""

    def __init__(self, host: Host, watch: Watch, plan: Plan, calls: Calls, standby: Standby) -> None:
        self._host, self._watch, self._plan = host, watch, plan
        self._calls, self._standby = calls, standby

    def after(self, error: Exception, renewed: bool) -> StackError:
        """Bring back what stood before; the error as it is to be told, with the last words of who failed.

        `renewed`: whether Compose may have made containers anew in their place.
        """
        trouble = error if isinstance(error, StackError) else StackError(str(error))
        before = self._plan.facts.before
        if before is None or not (self._plan.leaving or self._changed(before)):
            return trouble
        trouble.said = trouble.said or last_words(self._host.run, trouble.container)
        trouble.container = ""
        called = f"version {before.version}" if before.version else f"release {before.release}"
        try:
            self._put_back(before, renewed)
            self._standby.hand_over(before)
            self._standby.end()
            trouble.after = f"{called} serves on"
        except (*TROUBLE, StackError) as failure:
            trouble.after = f"{called} could not be brought back: {failure}"
        return trouble

    def _own(self) -> tuple[Container, ...]:
        return of_stack(self._watch.look(), self._plan.wish.stack)

    def _changed(self, before: Manifest) -> bool:
        return before.release != self._plan.wish.release

    def _put_back(self, before: Manifest, renewed: bool) -> None:
        """Requests first, then the containers; what was made in place is made so again."""
        own = self._own()
        new = [each.identity for each in own if self._goes(each, before)]
        standing = [each for each in own if each.identity not in new]
        if self._changed(before):
            finish.stand(self._host.layout, before)
        led = routes.servers(self._host.layout, before.stack)
        finish.lead(self._host, self._watch, before, standing)
        self._calls.back()
        left = {each.service for each in own if each.identity in new and each.name in led}
        self._watch.pause(routes.linger((self._plan.wish, before), left))
        docker.remove(self._host.run, new)
        self._calls.end()
        if renewed and self._changed(before):
            self._renew(before, self._renewed(before))
        self._await_standing(before, frozenset(new), [each.service for each in standing])

    def _goes(self, each: Container, before: Manifest) -> bool:
        """Whether it came with the new release, beside what stood."""
        if each.service in self._renewed(before) or each.identity in self._plan.standing:
            return False
        return self._changed(before) or each.identity not in {other.identity for other in self._plan.lasting}

    def _renewed(self, before: Manifest) -> frozenset[str]:
        """Services that are made anew in their place; one that only a killed deploy began has none."""
        return self._plan.services(RENEW) & set(before.services)

    def _renew(self, before: Manifest, services: frozenset[str]) -> None:
        if not services:  # Compose would take none for all
            return
        there = [each.service for each in self._own()]
        scale = {name: there.count(name) for name in before.services}
        release = self._host.layout.release(before.stack, before.release)
        compose.do(self._host.run, compose.renew(release, before, scale, services))

    def _await_standing(self, before: Manifest, gone: frozenset[str], there: Sequence[str]) -> None:
        """Start what was stopped, and wait for as much as there was."""
        policies = {each.identity: each.restart for each in self._plan.lasting}
        services = {
            name: each._replace(replicas=min(each.replicas, there.count(name)))
            for name, each in before.services.items()
        }

        def again(startable: Sequence[Container]) -> None:
            for each in startable:
                policy = policies.get(each.identity, each.restart)
                if policy != each.restart:
                    docker.do(self._host.run, ["docker", "update", f"--restart={policy}", each.identity])
                docker.do(self._host.run, ["docker", "start", each.identity])

        start.until_well(
            before._replace(services=services),
            self._watch,
            lambda: [each for each in self._own() if each.identity not in gone],
            time.time(),
            again,
        )
