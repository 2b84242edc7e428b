# GPL-3.0-or-later
"""Published ports: each host port has one owner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..derive import replicas
from ..problem import Path, Problem
from ..stack import PROXY, Stack
from ..words import quoted
from .services import runs_once, unknown

NEEDS = frozenset({"publish", "profiles"})
_EVERY = {"0.0.0.0", "::"}  # noqa: S104
_TAKEN = {(22, "tcp"): "the host's SSH"}


class _Claim(NamedTuple):
    port: int
    protocol: str
    address: str
    path: Path
    owner: str


def problems(stack: Stack) -> Iterator[Problem]:
    """The service is there, has a network, and runs once."""
    for index, entry in enumerate(stack.data["publish"]):
        path = ("publish", index, "service")
        name = entry["service"]
        service = stack.view.services.get(name, {})
        yield from unknown(stack, path, name)
        yield from runs_once(stack, path, name)
        if service.get("network_mode"):
            yield stack.problem(
                path, f"{quoted(name)} has a network_mode of its own", "remove it from the file"
            )
        if replicas.wanted(service) > 1:
            yield stack.problem(
                path, f"{quoted(name)} runs {replicas.wanted(service)} times", "write a route, or one replica"
            )


def clashes(stacks: Sequence[Stack]) -> Iterator[Problem]:
    """Two owners of one port, protocol and address; the proxy's and SSH's included."""
    seen: list[_Claim] = []
    for claim in sorted((claim for stack in stacks for claim in _claims(stack)), key=_proxy_first):
        owner = _TAKEN.get((claim.port, claim.protocol)) or next(
            (other.owner for other in seen if _overlap(claim, other)), None
        )
        if owner:
            yield Problem(
                claim.path, f"port {claim.port}/{claim.protocol} belongs to {owner} too", "write another port"
            )
        seen.append(claim)


def _proxy_first(claim: _Claim) -> bool:
    return claim.owner != "the proxy"


def _claims(stack: Stack) -> Iterator[_Claim]:
    for index, entry in enumerate(stack.data["publish"]):
        path: Path = (
            (*stack.path, "http_port")
            if stack.name == PROXY
            else (*stack.path, "publish", index, "host_port")
        )
        owner = "the proxy" if stack.name == PROXY else stack.shown(path)
        yield _Claim(int(entry["host_port"]), entry["protocol"], entry["address"], path, owner)


def _overlap(one: _Claim, other: _Claim) -> bool:
    same_address = one.address == other.address or bool({one.address, other.address} & _EVERY)
    return (one.port, one.protocol) == (other.port, other.protocol) and same_address
