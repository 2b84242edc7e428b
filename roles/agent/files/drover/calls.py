# GPL-3.0-or-later
"""Calls from service to service while old and new containers run side by side.

Docker's DNS answers with a container as soon as it runs, ready or not, and with the old one until it stops.
Meanwhile a table of nftables in the network namespace of each caller leads new connections where they find
somebody who answers: to those that were ready before, and once the new ones lead, to them. Connections that
exist stay where they are. The elements time out, so that a killed agent leaves nothing for long; nothing of
it is on the host or seen by Compose. The proxy is no caller: it goes by its routes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network

from drover.docker import Container, of_stack
from drover.host import Host
from drover.layout import PROXY, STANDBY
from drover.watch import Watch

AT_ONCE = 4  # callers that are told
START_SECONDS = 60  # for which an address that nobody knows yet counts as one that starts
SECONDS = 60  # for which a led address is led, beyond the times of the deploy


def rules(
    table: str, led: Mapping[str, str], ranges: Mapping[str, tuple[str, Sequence[str]]], seconds: int
) -> str:
    """The table's text. `led`: address → where to; `ranges`: range → where to, and who is known there."""
    maps = "".join(f"{old} timeout {seconds}s : {new}, " for old, new in sorted(led.items()))
    lines = [f"table ip {table}", f"delete table ip {table}", f"table ip {table} {{"]
    lines.append(f" map led {{ type ipv4_addr : ipv4_addr; flags timeout; {_elements(maps)}}}")
    chain = ["dnat to ip daddr map @led;"]
    for number, (subnet, (to, known)) in enumerate(sorted(ranges.items())):
        lines.append(
            f" set starting{number} {{ type ipv4_addr; flags interval, timeout; "
            f"elements = {{ {subnet} timeout {START_SECONDS}s }}; }}"
        )
        others = ", ".join(sorted(set(known)))
        chain.append(f"ip daddr @starting{number} ip daddr != {{ {others} }} dnat to {to};")
    lines.append(f" chain calls {{ type nat hook output priority -100; {' '.join(chain)} }}")
    return "\n".join([*lines, "}", ""])


def _elements(text: str) -> str:
    return f"elements = {{ {text.rstrip(', ')} }}; " if text else ""


def pairs(caller: Container, old: Container, new: Container) -> Iterator[tuple[str, str]]:
    """The addresses of both on the networks that the caller shares with them."""
    for network in caller.networks:
        if old.networks.get(network) and new.networks.get(network):
            yield old.networks[network], new.networks[network]


def ranges(
    caller: Container, instead: Container, containers: Iterable[Container]
) -> dict[str, tuple[str, list[str]]]:
    """Networks on which a container is about to start: where unknown addresses lead, and who is known."""
    containers = list(containers)
    return {
        subnet: (
            instead.networks[network],
            [
                str(next(ip_network(subnet).hosts())),
                *(each.networks[network] for each in containers if each.networks.get(network)),
            ],
        )
        for network, subnet in caller.subnets.items()
        if instead.networks.get(network)
    }


class Calls:
    """The callers of one stack during one deploy. `there` is what ran before it, all of one stack."""

    def __init__(
        self, host: Host, watch: Watch, stack: str, there: Collection[Container], seconds: float
    ) -> None:
        self._host, self._watch, self._stack = host, watch, stack
        self._table = f"drover_{stack.replace('-', '_')}"  # two stacks may have callers in common
        self._known = {each.identity for each in there if each.running}
        self._networks = {network for each in there for network in each.networks}
        self._seconds = int(seconds) + SECONDS
        self._used = False

    def starting(self, service: str) -> None:
        """A container of the service is about to start; those that are ready answer for it."""
        if self._known:
            self._hold(self._watch.seen(), service)

    def started(self) -> None:
        """It has an address now."""
        if self._known:
            self._hold(self._watch.look())

    def lead(self, leaving: frozenset[str]) -> None:
        """New containers are well: what goes to those that leave goes to them."""
        if not self._used and not self._known & leaving:
            return
        containers = self._watch.seen()
        own = [each for each in of_stack(containers, self._stack) if each.running]
        gone = [each for each in own if each.identity in leaving]
        matched = _matched(gone, [each for each in own if each.identity not in leaving])
        self._each(self._callers(containers), lambda caller: self._write(caller, matched, {}))

    def back(self) -> None:
        """The new ones are about to go again."""
        if self._used:
            self._hold(self._watch.look())

    def end(self) -> None:
        """Nobody is led any more: addresses of those that went may be given to others."""
        if self._used:
            text = f"table ip {self._table}\ndelete table ip {self._table}\n"
            self._each(self._callers(self._watch.look()), lambda caller: self._nft(caller, text))

    def _each(self, callers: Sequence[Container], work: Callable[[Container], None]) -> None:
        """Some at a time: each is a process of its own that waits for the kernel."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(work, callers))

    def _hold(self, containers: Sequence[Container], starting: str = "") -> None:
        """Who was there calls what is ready of it; who is new calls what is new with it."""
        own = [each for each in of_stack(containers, self._stack) if each.running]
        ready = [each for each in own if each.identity in self._known]
        new = [each for each in own if each.identity not in self._known]
        held = _matched(new, ready)
        instead = next((each for each in ready if each.service == starting), None)

        def write(caller: Container) -> None:
            if caller in new:
                self._write(caller, [(old, each) for each, old in held], {})
            else:
                known = self._own_networks(caller) if instead else caller
                self._write(caller, held, ranges(known, instead, containers) if instead else {})

        self._each(self._callers(containers), write)

    def _own_networks(self, caller: Container) -> Container:
        """The caller without networks on which other stacks start containers too."""
        own = {name: each for name, each in caller.subnets.items() if name.startswith(f"{self._stack}_")}
        return caller._replace(subnets=own)

    def _callers(self, containers: Sequence[Container]) -> list[Container]:
        running = [each for each in containers if each.running and each.stack not in (PROXY, STANDBY)]
        return [each for each in running if self._networks & {*each.networks}]

    def _write(
        self,
        caller: Container,
        matched: Sequence[tuple[Container, Container]],
        unknown: Mapping[str, tuple[str, Sequence[str]]],
    ) -> None:
        led = {here: there for old, new in matched for here, there in pairs(caller, old, new)}
        if led or unknown or self._used:
            self._nft(caller, rules(self._table, led, unknown, self._seconds))

    def _nft(self, caller: Container, text: str) -> None:
        """Without it, a deploy is still a deploy: calls may meet a container that is not ready."""
        done = self._host.run(["nsenter", f"--net=/proc/{caller.pid}/ns/net", "nft", "-f", "-"], stdin=text)
        self._used = True
        if done.code:
            self._host.say(f"{caller.name}: its calls are not led: {done.words}")


def _matched(old: Sequence[Container], new: Sequence[Container]) -> list[tuple[Container, Container]]:
    """Each of the old with one of the same service among the new."""
    return [
        (each, others[number % len(others)])
        for number, each in enumerate(old)
        if (others := [other for other in new if other.service == each.service])
    ]
