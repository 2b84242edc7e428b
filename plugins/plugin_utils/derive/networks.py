# GPL-3.0-or-later
"""Closes the stack's networks, and joins what is routed or published to its own public one.

A public network of the stack's own, rather than one for all: Docker resolves a service's name on every
network of the container, and on a shared one a neighbour's service of the same name may answer.
"""

from __future__ import annotations

from ..compose.normal import Plain
from ..dump import Override
from ..stack import PROXY, Stack, inner, mapping

PUBLIC = "public"
"""The key in the override, where the file has none for it; a file's own network has another name."""

FIRST = "first"
FIRST_NAME = "0.proxy"
"""Docker publishes a container's ports on the network whose name sorts first, and moves them when one comes
that sorts before it: for a moment nobody answers, and connections are cut. This one is before any stack's.
"""

PRIVATE = "private"
HOST_WIDE = (PUBLIC, PRIVATE)
CLOSED: Plain = {"internal": True, "driver_opts": {"com.docker.network.bridge.inhibit_ipv4": "true"}}


def override(stack: Stack, name: str) -> Plain:
    """Joins the public network where the proxy or a published port leads to the service."""
    service = stack.view.services[name]
    if service.get("network_mode") or not stack.routed(name):
        return {}
    joined = [key for key, _ in mapping(service, "networks")] or ["default"]
    wanted = [public_key(stack), *([FIRST] if stack.name == PROXY else [])]
    return {"networks": dict.fromkeys([*joined, *wanted])} if set(wanted) - set(joined) else {}


def definitions(stack: Stack) -> Plain:
    """Every network of the stack: internal and out of the host's reach, but for the public one."""
    public = public_key(stack)
    closed = {
        name: CLOSED
        for name in {"default", *stack.view.networks}
        if name != public and external_name(stack, name) is None
    }
    return {
        **closed,
        **(
            _public(stack)
            if any(map(stack.routed, stack.view.services)) or public in stack.view.networks
            else {}
        ),
    }


def _public(stack: Stack) -> Plain:
    """The proxy's public network is the host's, every other stack has one of its own."""
    if stack.name == PROXY:
        shared = Override({"name": PUBLIC, "external": True})
        return {public_key(stack): shared, FIRST: Override({"name": FIRST_NAME})}
    return {public_key(stack): Override({"name": public_name(stack)})}


def public_key(stack: Stack) -> str:
    """The key that stands for the public network: the one of the file's that means it, else `public`."""
    return next((key for key in stack.view.networks if external_name(stack, key) == PUBLIC), PUBLIC)


def public_name(stack: Stack) -> str:
    """The stack's public network as Docker names it; the agent connects the proxy to it."""
    return f"{stack.name}_public"


def external_name(stack: Stack, key: str) -> str | None:
    """The name of a network that the file takes from outside; None for its own."""
    network = stack.view.networks.get(key, {})
    external = network.get("external")
    if not external:
        return None
    return str(network.get("name") or inner(external, "name") or key)


def joined_public(stack: Stack) -> list[str]:
    """The public networks that the agent connects the proxy to."""
    joined = any(
        stack.routed(name) or public_key(stack) in dict(mapping(service, "networks"))
        for name, service in stack.services.items()
    )
    return [public_name(stack)] if joined and stack.name != PROXY else []
