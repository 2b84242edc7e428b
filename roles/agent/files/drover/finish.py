# GPL-3.0-or-later
"""A stack is well: connect the proxy, write its route, call its release current."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import product

from drover import disk, docker, health, routes, secrets
from drover.docker import Container, observe, of_stack
from drover.host import Host
from drover.layout import PROXY, PROXY_PORT, link
from drover.plan import Plan
from drover.release import Manifest, Probe
from drover.state import Seen

SERVED_SECONDS = 5.0


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


def connect(host: Host, wishes: Iterable[Manifest], containers: Sequence[Container]) -> None:
    """Connect the proxy to the public network of each stack that has one."""
    proxies = [each for each in of_stack(containers, PROXY) if each.running]
    for wish in wishes:
        own = of_stack(containers, wish.stack)
        there = [network for network in wish.networks if any(network in each.networks for each in own)]
        for network, each in product(there, proxies):
            if network not in each.networks:
                command = ["docker", "network", "connect", network, each.identity]
                docker.do(host.run, command, allowed="already exists")


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
