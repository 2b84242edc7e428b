"""A Docker network for each VPC that has something in it, with the gateway at the address of Amazon's DNS.

The registry is in it too, at the address after that, which AWS keeps for itself.
"""

from __future__ import annotations

import ipaddress
import threading
from typing import Any

from localcloud import cloud
from localcloud.cloud import GATEWAY, CloudError, moto
from testhost import registry
from testhost.docker import TesthostError, docker, inspect

GUESTS = (GATEWAY, registry.NAME)  # from the base plus two on


_one_at_a_time = threading.Lock()  # two instances of a new VPC would both make its network


def name_of(vpc: str) -> str:
    """Return a name behind the test hosts' network: an engine takes the first by name as the way out."""
    return f"drover-vpc-{vpc.removeprefix('vpc-')}"


def guests(block: str) -> list[str]:
    """Return the guests' addresses in a VPC, the gateway's first, where AWS has its DNS."""
    return [str(ipaddress.ip_network(block)[number]) for number, _ in enumerate(GUESTS, start=2)]


def ensure(vpc: str) -> str:
    """Make the VPC's network, the gateway in it; return its name."""
    block = moto("ec2").describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["CidrBlock"]
    with _one_at_a_time:
        return _ensure(vpc, block)


def _ensure(vpc: str, block: str) -> str:
    name = name_of(vpc)
    if not inspect("network", name):
        first = str(ipaddress.ip_network(block)[1])
        try:
            docker("network", "create", "--subnet", block, "--gateway", first, *cloud.labels(vpc=vpc), name)
        except TesthostError as problem:
            raise CloudError(f"{vpc}: no network {block} on this machine: {problem}") from None
    for member, address in zip(GUESTS, guests(block), strict=True):
        if member not in members(name):
            docker("network", "connect", "--ip", address, name, member)
    return name


def adopt() -> None:
    """Take a new gateway into the networks there are."""
    for network in cloud.ours("network", "vpc"):
        _ensure(cloud.mark_of(network, "vpc"), network["IPAM"]["Config"][0]["Subnet"])


def members(name: str) -> set[str]:
    found: list[dict[str, Any]] = inspect("network", name)
    return {each["Name"] for each in found[0]["Containers"].values()} if found else set()


def tidy(used: set[str]) -> None:
    """Remove the networks of VPCs in which nothing is any more."""
    for network in cloud.ours("network", "vpc"):
        if cloud.mark_of(network, "vpc") not in used and members(network["Name"]) <= set(GUESTS):
            remove(network["Name"])


def remove(name: str) -> None:
    for member in members(name):
        docker("network", "disconnect", "--force", name, member)
    docker("network", "rm", name)
