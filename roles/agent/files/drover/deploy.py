# GPL-3.0-or-later
"""The one way to change what runs of a stack. Killed anywhere, a new run finds what is there and goes on.

Order: what the new containers need → created → started in the order of their dependencies, well, and well
for the soak → the proxy leads to them, and the release is `current` → the old ones finish their requests →
they go. What cannot run twice stops just before its successor starts. Up to the change of the route, and
while the old ones finish, a failure brings back what stood before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from drover import commands, compose, docker, finish, prepare, routes, start
from drover.calls import Calls
from drover.docker import Container, of_stack
from drover.errors import TROUBLE, StackError
from drover.host import Host
from drover.layout import PROXY
from drover.lineup import BY_STANDBY
from drover.plan import AFTER, BEFORE, CREATE, CREATING, RECORD, RENEW, ROUTE, Plan
from drover.proxy import source
from drover.release import START_FIRST
from drover.retreat import Retreat
from drover.run import Result
from drover.standby import Standby
from drover.state import Seen
from drover.watch import Watch

STARTS_AT_ONCE = 4


class Deployed(NamedTuple):
    """What is worth recording: what runs by service, and users of images that were looked up."""

    seen: dict[str, Seen]
    uids: dict[str, int]


class Deploy:
    """One stack on its way from what runs to what was wished."""

    def __init__(
        self, host: Host, plan: Plan, watch: Watch, here: prepare.Images, uids: dict[str, int]
    ) -> None:
        self.host, self.plan, self.wish, self.watch = host, plan, plan.wish, watch
        self._here, self._uids = here, uids
        self._release = host.layout.release(plan.wish.stack, plan.wish.release)
        self._leaving = frozenset(each.identity for each in plan.leaving)
        self._silent = {name for name, each in plan.wish.services.items() if each.rests}
        self._began = time.time()
        times = plan.wish.deploy
        self._calls = Calls(
            host, watch, plan.wish.stack, plan.lasting, times.timeout + times.soak + times.drain
        )
        self._standby = Standby(host, watch, plan)
        self._retreat = Retreat(host, watch, plan, self._calls, self._standby)
        self._renewed = False
        self._mended: set[str] = set()
        self._commanded: set[str] = set()

    def run(self) -> Deployed:
        """Go all the way; a StackError says which service to blame and what became of the stack."""
        try:
            self._standby.begin()
            learned = self._bring()
            self._lead()
            self._standby.hand_over(self.wish)
            self._drain()
        except (*TROUBLE, StackError) as error:
            raise self._retreat.after(error, self._renewed) from None
        self._leave()
        if self.plan.has(AFTER):
            for number, command in enumerate(self.wish.deploy.after):
                commands.run(self.host, self.wish, "after", number, command)
        return Deployed(finish.seen(self.wish, self._present(self._seen())), learned)

    # What is there

    def _own(self) -> tuple[Container, ...]:
        return of_stack(self.watch.look(), self.wish.stack)

    def _seen(self) -> tuple[Container, ...]:
        """The same without another look, where nothing was changed since the last."""
        return of_stack(self.watch.seen(), self.wish.stack)

    def _present(self, own: Sequence[Container] | None = None) -> list[Container]:
        """Containers that are to run; whatever came after the plan was made is meant to."""
        return [
            each
            for each in (self._own() if own is None else own)
            if each.identity not in self._leaving
            and each.service not in self._silent
            and each.hash
            and each.name == each.usual_name
        ]

    @property
    def _ending(self) -> frozenset[str]:
        """Identities of those that end once requests are led elsewhere."""
        return self._leaving | self.plan.resting

    def _new(self, identity: str) -> bool:
        return identity not in self.plan.standing

    # Towards the new

    def _bring(self) -> dict[str, int]:
        self._save()
        learned = prepare.prepare(self.host, self.plan, self._here, self._uids, self._own())
        if self.plan.has(*CREATING):
            self._create()
        start.until_well(self.wish, self.watch, self._present, self._began, self._start)
        if self._leaving:
            self._stay_well(self.wish.deploy.soak)
        return learned

    def _save(self) -> None:
        """A backup, where the stack asks for one before a new version; without it nothing changes."""
        before = self.plan.facts.before
        if self.wish.deploy.backup and before and before.release != self.wish.release:
            from drover.backups.before import save  # only here: most deploys need not load it

            self.host.say(f"{self.wish.stack}: back up before the deploy")
            save(self.host, self.wish.stack)

    def _create(self) -> None:
        """Those in place go first: Compose would take the new ones beside the old for too many."""
        self.host.say(f"{self.wish.stack}: create")
        commands.tidy(self.host, self.wish)
        self.watch.look()
        renewed = self.plan.services(RENEW)
        if renewed:
            surplus = [each.identity for each in self.plan.leaving if each.service in renewed]
            docker.remove(self.host.run, surplus)  # else they would be made anew too
            self._renewed = True
            self.watch.look()
            compose.do(self.host.run, compose.renew(self._release, self.wish, self._scale(), renewed))
            self.watch.look()
        if self.plan.has(CREATE, RECORD):
            present = [each.service for each in self._present(self._seen())]
            more = {
                name: 0 if each.rests else each.replicas - present.count(name)
                for name, each in self.wish.services.items()
            }
            compose.do(self.host.run, compose.create(self._release, self.wish, self._scale(more)))

    def _scale(self, more: dict[str, int] | None = None) -> dict[str, int]:
        there = [each.service for each in self._seen() if each.hash]
        return {name: there.count(name) + max((more or {}).get(name, 0), 0) for name in self.wish.services}

    def _start(self, startable: Sequence[Container]) -> None:
        """Start what may start; those with commands last, which may need the others."""
        commanded = self.plan.services(BEFORE)
        for name in sorted(dict.fromkeys(each.service for each in startable), key=commanded.__contains__):
            self._start_service(name, [each for each in startable if each.service == name])

    def _start_service(self, name: str, containers: Sequence[Container]) -> None:
        """All of one service at once: until they are ready, those that were answer calls for them."""
        if name in self.plan.services(BEFORE) - self._commanded:
            for number, command in enumerate(self.wish.deploy.before):
                if command.service == name:
                    commands.run(self.host, self.wish, "before", number, command)
            self._commanded.add(name)
        beside = self.plan.lineup[name].order == START_FIRST
        if beside:
            self._calls.starting(name)
        else:
            self._stop_first(containers[0])
        for each in containers:
            if each.stack == PROXY and each.ports:  # before a start networks of others have no names yet
                finish.connect_everywhere(self.host, each, self.watch.look())
            self.host.say(f"{each.stack}: start {each.name}")
        with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
            ended = pool.map(lambda each: self.host.run(["docker", "start", each.identity]), containers)
        for each, done in zip(containers, ended, strict=True):
            if done.code and "No such container" not in done.err:
                self._not_started(each, done)
        if beside:
            self._calls.started()

    def _not_started(self, each: Container, done: Result) -> None:
        """One whose network was removed by hand never could start, and is made anew, once."""
        if "network" not in done.err or "not found" not in done.err or each.name in self._mended:
            raise StackError(f"Docker could not start it: {done.words}", each.service)
        self._mended.add(each.name)
        self._make_anew(each)

    def _make_anew(self, each: Container) -> None:
        scale = self._scale()
        if each.keeps:
            command = compose.renew(self._release, self.wish, scale, [each.service])
        else:
            docker.do(self.host.run, ["docker", "rm", each.identity])
            command = compose.create(self._release, self.wish, scale)
        compose.do(self.host.run, command)

    def _stop_first(self, successor: Container) -> None:
        """Old ones that cannot run beside the new; Docker must not bring them back at a boot."""
        there = [
            each
            for each in self._own()
            if each.identity in self._leaving
            and self.plan.lineup[each.service].exclusive
            and each.status not in ("created", "exited", "dead")
            and (each.service == successor.service or self.plan.lineup[each.service].order != BY_STANDBY)
        ]
        self._standby.take_over(successor, there)
        if there:
            self.host.say(f"{self.wish.stack}: stop what cannot run beside its successor")
            _stop(self.host, [each.identity for each in there])

    def _stay_well(self, seconds: float) -> None:
        start.stay_well(self.wish, self.watch, self._present, self._began, seconds, self._new)

    # The change, and the end of the old

    def _lead(self) -> None:
        finish.connect(self.host, [self.wish], self.watch.seen())
        present = self._present(self._seen())
        led = finish.lead(self.host, self.watch, self.wish, present)
        if not led and (self._ending or self.wish.reads_only):
            raise StackError(f"the proxy does not go by the new route after {finish.SEEN_SECONDS:.0f} s")
        finish.stand(self.host.layout, self.wish)
        self._calls.lead(self._leaving)

    def _drain(self) -> None:
        old = {each.service for each in self._seen() if each.identity in self._ending and each.running}
        closed = self.wish.reads_only and self.plan.has(ROUTE)  # requests that write may be under way
        if old or closed:
            old |= source.led(self.wish) if closed else set()
            led = routes.linger((self.wish, self.plan.facts.before), old)
            # What rests has its own time to end in.
            self._stay_well(max(self.wish.deploy.drain if self._leaving or closed else 0, led))

    def _leave(self) -> None:
        gone = [each for each in self._seen() if each.identity in self._leaving]
        if gone:
            self.host.say(f"{self.wish.stack}: remove {', '.join(each.name for each in gone)}")
            try:
                docker.remove(self.host.run, [each.identity for each in gone])
            finally:
                self._calls.end()
        self._rest()
        self._standby.end()

    def _rest(self) -> None:
        """Docker must not bring them back at a boot."""
        if self.plan.resting:
            self.host.say(f"{self.wish.stack}: stop what rests")
            _stop(self.host, sorted(self.plan.resting))


def _stop(host: Host, identities: Sequence[str]) -> None:
    docker.do(host.run, ["docker", "update", "--restart=unless-stopped", *identities])
    docker.do(host.run, ["docker", "stop", *identities], timeout=compose.LIMIT)
