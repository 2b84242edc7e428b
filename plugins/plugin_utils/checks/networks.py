# GPL-3.0-or-later
"""Networks that the platform can close: the stack's own bridges, and the host's two by name."""

from __future__ import annotations

from collections.abc import Iterator

from ..derive.networks import HOST_WIDE, PUBLIC, external_name
from ..problem import Path, Problem
from ..stack import Stack, inner, mapping
from ..words import listed, quoted

NEEDS: frozenset[str] = frozenset()
_GATEWAY = ("ipv6", "gateway_mode")


def problems(stack: Stack) -> Iterator[Problem]:
    """External networks other than the host's, bridges that cannot be closed, and names nobody defines."""
    for key, network in stack.view.networks.items():
        external = external_name(stack, key)
        driver = str(network.get("driver") or "bridge")
        if external and external not in HOST_WIDE:
            yield stack.view.problem(
                ("networks", key),
                f"the external network {quoted(external)} is not the host's",
                "remove external: so that the stack has its own; a route needs no shared network",
            )
        if external is None and key == PUBLIC:
            yield stack.view.problem(
                ("networks", key),
                "the name stands for the network that the proxy joins, and this is one of the stack's own",
                "write another name, and it is closed; or external: true, if the proxy's is meant",
            )
        if driver not in ("bridge", "default"):
            yield stack.view.problem(
                ("networks", key, "driver"), f"found {quoted(driver)}", "remove it: bridges only"
            )
        yield from _gateway(stack, key)
    yield from _undefined(stack)


def _gateway(stack: Stack, key: str) -> Iterator[Problem]:
    """What would give the host, or what lies behind it, an address on the network again."""
    path: Path = ("networks", key)
    network = stack.view.networks[key]
    if str(network.get("enable_ipv6") or False).lower() != "false":
        yield stack.view.problem(
            (*path, "enable_ipv6"),
            "found an IPv6 network, which Drover does not close yet",
            "remove it: services reach each other by IPv4",
        )
    for option in inner(network, "driver_opts") or ():
        if any(word in str(option).lower() for word in _GATEWAY):
            yield stack.view.problem((*path, "driver_opts", option), "it would open the network", "remove it")


def _undefined(stack: Stack) -> Iterator[Problem]:
    known = {"default", *stack.view.networks}
    for name, service in stack.view.services.items():
        for key, _ in mapping(service, "networks"):
            if key not in known:
                yield stack.view.problem(
                    ("services", name, "networks", key),
                    "nobody defines this network",
                    f"write it under networks:, or one of: {listed(sorted(known))}",
                )
