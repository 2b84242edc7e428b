# GPL-3.0-or-later
"""New containers are well: connect the proxy, lead requests to them, call their release current."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import product

from drover import disk, docker, health, routes
from drover.docker import Container, of_stack, proxies
from drover.host import Host
from drover.layout import PROXY, PROXY_PORT, STANDBY, Layout, link
from drover.release import Manifest, Probe
from drover.run import DroverError
from drover.state import Seen
from drover.watch import Watch

SEEN_SECONDS = 15.0


def servers(wish: Manifest, present: Sequence[Container]) -> dict[str, list[str]]:
    """The names of each service's containers."""
    return {name: [each.name for each in present if each.service == name] for name in wish.services}


def connect(host: Host, wishes: Iterable[Manifest], containers: Sequence[Container]) -> None:
    """Connect the proxy to the public network of each stack that has one; lead a new kind of proxy there."""
    for wish in wishes:
        own = of_stack(containers, wish.stack)
        there = [network for network in wish.networks if any(network in each.networks for each in own)]
        for network, each in product(there, proxies(containers)):
            if network not in each.networks:
                command = ["docker", "network", "connect", network, each.identity]
                docker.do(host.run, command, allowed="already exists")
        if routes.outdated(host.layout, wish.stack):
            _lead_again(host, wish, own)


def _lead_again(host: Host, wish: Manifest, own: Sequence[Container]) -> None:
    """To whom it led; where nobody can read that, to those that run."""
    try:
        text = routes.again(host.layout, wish.stack)
    except DroverError:
        text = routes.text(wish, servers(wish, [each for each in own if each.running]))
    routes.write(host.layout, wish.stack, text, host.run)


def connect_everywhere(host: Host, proxy: Container, containers: Sequence[Container]) -> None:
    """Connect a proxy that is about to start to every stack's public network, so that it serves at once."""
    public = {f"{each.stack}_public" for each in containers if each.stack not in (PROXY, STANDBY)}
    there = {network for each in containers for network in each.networks if network in public}
    for network in sorted(there - set(proxy.networks)):
        command = ["docker", "network", "connect", network, proxy.identity]
        docker.do(host.run, command, allowed="already exists")


def lead(host: Host, watch: Watch, wish: Manifest, present: Sequence[Container]) -> bool:
    """Lead requests to these containers; whether the proxy goes by it."""
    text = routes.text(wish, servers(wish, present))
    if text != routes.read(host.layout, wish.stack):
        routes.write(host.layout, wish.stack, text, host.run)
    return await_proxy(host, watch, wish.stack, text)


def await_proxy(host: Host, watch: Watch, stack: str, text: str) -> bool:
    """Wait until every proxy that runs goes by this text; tell whether they do."""
    if not text:
        return True
    if not go_by(watch, proxies(watch.seen()), [routes.mark(text)]):
        return True
    host.say(f"{stack}: the proxy does not go by the new route yet")
    return False


def go_by(watch: Watch, asked: Iterable[Container], marks: Iterable[str]) -> list[str]:
    """Wait until each of these proxies goes by all texts with these marks; tell which ones one lacks."""
    until = time.monotonic() + SEEN_SECONDS
    addresses = {health.address(PROXY, each) for each in asked} - {""}
    probe = Probe(PROXY_PORT, "/")
    waiting = [health.Question(each, each, probe, mark) for each, mark in product(sorted(addresses), marks)]
    while True:
        waiting = [each for each in waiting if not health.goes_by(each)]
        if not waiting or time.monotonic() > until:
            return sorted({each.host for each in waiting})
        watch.pause(0.05)


def stand(layout: Layout, wish: Manifest) -> None:
    """Call this release current: what a boot brings back."""
    path = layout.stack(wish.stack) / "current"
    if link(path) != wish.release:
        disk.point(path, f"releases/{wish.release}")


def seen(wish: Manifest, present: Sequence[Container]) -> dict[str, Seen]:
    """What is recorded of the containers, so that a later look sees whether they are still the same."""
    return {
        each.service: Seen(each.hash, networks(each)) for each in present if each.service in wish.services
    }


def networks(each: Container) -> frozenset[str]:
    """Networks that Compose gave it; the stacks' public ones are connected to the proxy by us."""
    return frozenset(name for name in each.networks if each.stack != PROXY or not name.endswith("_public"))
