# GPL-3.0-or-later
"""New connections to the host's ports go elsewhere, by a table of nftables that comes before Docker's rules.

Those that exist stay where they are, and are counted here: by the sockets that the kernel knows of.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network
from typing import NamedTuple

from drover import health
from drover.docker import Container, of_stack
from drover.layout import PROXY, STANDBY, Layout
from drover.run import NOT_FOUND, DroverError, Runner

TABLE = "drover_standby"
PRIORITY = -110  # before Docker's own, which is -100
EVERYWHERE = ("", "0.0.0.0")  # noqa: S104
ABSENT = ("No such file", "not supported")  # the table, or all of nftables
LITTLE = -1 if sys.byteorder == "little" else 1
OPEN = {"01", "03", "08", "04", "09", "0B"}  # established, begun, half closed, sending its last answer


class Lead(NamedTuple):
    """A port of the host, and where what comes there goes."""

    protocol: str
    address: str  # of the host; empty for all of them
    port: int
    to: int  # in the standby
    loopback: int  # of the host, to the standby too


def leads(ports: Mapping[str, Sequence[tuple[str, int]]], standby: Container) -> list[Lead]:
    """From the ports that the successor will publish; none where the standby listens on no such port."""
    found = []
    for inside, ends in ports.items():
        number, _, protocol = inside.partition("/")
        for address, port in ends if standby.ports.get(inside) else ():
            if ":" not in address:
                to = standby.ports[inside][0][1]
                found.append(Lead(protocol, "" if address in EVERYWHERE else address, port, int(number), to))
    return found


def rules(address: str, subnet: str, found: Iterable[Lead], *, routed: bool) -> str:
    """The table's text. `address` is the standby's, in its network `subnet`.

    `routed` says whether packets of the loopback get there; else Docker's program listens for the standby.
    """
    outside, host = [], []
    for each in found:
        ours = f"ip daddr {each.address}" if each.address else "fib daddr type local"
        port = f"{each.protocol} dport {each.port}"
        outside.append(f"{ours} {port} dnat to {address}:{each.to};")
        if not (each.address or routed):
            host.append(f"ip daddr 127.0.0.0/8 {port} redirect to :{each.loopback};")
    lines = [
        f"table ip {TABLE}",
        f"delete table ip {TABLE}",
        f"table ip {TABLE} {{",
        f" chain outside {{ type nat hook prerouting priority {PRIORITY}; {' '.join(outside)} }}",
        f" chain host {{ type nat hook output priority {PRIORITY}; {' '.join([*host, *outside])} }}",
        # A neighbour on its network would get the answer from an address that it did not ask.
        f" chain neighbours {{ type nat hook postrouting priority {PRIORITY + 200};"
        f" ip saddr {subnet} ip daddr {address} ct status dnat masquerade; }}",
        "}",
    ]
    return "\n".join([*lines, ""])


def there(run: Runner) -> bool:
    """Whether connections are led now; where nftables does not answer at all nobody knows."""
    done = run(["nft", "list", "table", "ip", TABLE])
    if done.code not in (0, NOT_FOUND) and not any(word in done.err for word in ABSENT):
        raise DroverError(f"nftables does not say whether there is a table {TABLE}: {done.words}")
    return done.code == 0


def left(run: Runner, containers: Sequence[Container]) -> bool:
    """Whether an interrupted change left a standby, or a table that leads to one."""
    return bool(of_stack(containers, STANDBY)) or there(run)


def lead(run: Runner, layout: Layout, ports: Mapping[str, Sequence[tuple[str, int]]], to: Container) -> str:
    """Lead what comes to these ports of the host to this container; return why that does not work."""
    address, subnet = reached(layout, to)
    found = leads(ports, to)
    if not found:
        return f"{to.name} has no port for them"
    done = run(["nft", "-f", "-"], stdin=rules(address, subnet, found, routed=routed(layout, subnet)))
    return done.words if done.code else ""


def end(run: Runner) -> None:
    """Docker's own rules count again."""
    if there(run):
        done = run(["nft", "delete", "table", "ip", TABLE])
        if done.code:
            raise DroverError(f"the table {TABLE} of nftables could not be removed: {done.words}")


# What the kernel says


def reached(layout: Layout, each: Container) -> tuple[str, str]:
    """Its address and network on the way that Docker lets packets of the outside go: its default route."""
    gateways = [gateway for _, to, gateway in _routes(layout, each.pid) if to == ip_network("0.0.0.0/0")]
    for name, subnet in each.subnets.items():
        if any(gateway in ip_network(subnet) for gateway in gateways):
            return each.networks[name], subnet
    address = health.address(PROXY, each)
    return address, next((net for name, net in each.subnets.items() if each.networks[name] == address), "")


def uplinks(layout: Layout) -> set[str]:
    """The interfaces that lead out of the host."""
    return {interface for interface, to, _ in _routes(layout, 1) if to == ip_network("0.0.0.0/0")}


def routed(layout: Layout, subnet: str) -> bool:
    """Whether the loopback reaches containers there: Docker sees to it, or runs a program for each port."""
    for interface, to, _ in _routes(layout, 1):
        with suppress(OSError):
            if str(to) == subnet:
                return (layout.interfaces / interface / "route_localnet").read_text("ascii").strip() == "1"
    return False


def _routes(layout: Layout, pid: int) -> Iterator[tuple[str, IPv4Network, IPv4Address]]:
    """Interface, network and gateway of each route of a process."""
    for line in _lines(layout, pid, "route"):
        interface, to, gateway, _, _, _, _, mask = line.split()[:8]
        numbers = [".".join(map(str, bytes.fromhex(each)[::LITTLE])) for each in (to, gateway, mask)]
        yield interface, IPv4Network((numbers[0], numbers[2])), IPv4Address(numbers[1])


def _lines(layout: Layout, pid: int, name: str) -> list[str]:
    """A table of the kernel's without its head; nothing of a process that has ended."""
    with suppress(OSError):
        return (layout.network(pid) / name).read_text("ascii").splitlines()[1:]
    return []


def connections(layout: Layout, each: Container) -> int:
    """How many clients are still connected to the ports that it publishes; its own checks are none."""
    ports = {inside.partition("/")[0] for inside in each.ports}
    return sum(
        state in OPEN and port in ports and not peer.is_loopback
        for name in ("tcp", "tcp6")
        for port, peer, state in _sockets(layout, each.pid, name)
    )


def _sockets(layout: Layout, pid: int, name: str) -> Iterator[tuple[str, IPv4Address | IPv6Address, str]]:
    """Local port, peer and state of each socket in a process's network."""
    for line in _lines(layout, pid, name):
        _, local, peer, state = line.split()[:4]
        yield str(int(local.partition(":")[2], 16)), _address(peer.partition(":")[0]), state


def _address(digits: str) -> IPv4Address | IPv6Address:
    """The kernel writes each four bytes in its own order.

    >>> _address("0100007F"), _address("0000000000000000FFFF00000100007F")
    (IPv4Address('127.0.0.1'), IPv4Address('127.0.0.1'))
    """
    words = (bytes.fromhex(digits[at : at + 8])[::LITTLE] for at in range(0, len(digits), 8))
    found = ip_address(b"".join(words))
    return getattr(found, "ipv4_mapped", None) or found
