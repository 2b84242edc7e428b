# GPL-3.0-or-later
"""No container begins anything with the outside: a table of nftables that comes before Docker's rules.

Answers to what came from there still leave. Not held back: a container with the host's own network, and names
that Docker's own name service asks for from the host.
"""

from __future__ import annotations

from collections.abc import Iterable

from drover import lifecycle
from drover.detour import uplinks
from drover.host import Host
from drover.run import DroverError, Runner

TABLE = "drover_outside"
PRIORITY = -10  # before Docker's own, which is 0
ABSENT = ("No such file", "not supported")  # the table, or all of nftables


def rules(ways: Iterable[str]) -> str:
    """The table's text. `ways` are the interfaces that lead out; one of them may be a bridge itself."""
    names = ", ".join(f'"{each}"' for each in sorted(ways))
    by_name = f"iifname != {{ {names} }} oifname {{ {names} }} ct state new counter drop;" if names else ""
    return f"""\
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
 chain forward {{ type filter hook forward priority {PRIORITY};
  meta iifkind "bridge" meta oifkind != "bridge" ct state new counter drop; {by_name} }}
}}
"""


def close(host: Host) -> None:
    """From now on; what is open stays open."""
    done = host.run(["nft", "-f", "-"], stdin=rules(uplinks(host.layout)))
    if done.code:
        raise DroverError(f"the way out of containers could not be closed: {done.words}")


def release(run: Runner) -> None:
    """They reach what Docker lets them reach."""
    done = run(["nft", "delete", "table", "inet", TABLE])
    if done.code and not any(word in done.err for word in ABSENT):
        raise DroverError(f"the table {TABLE} of nftables could not be removed: {done.words}")


def enforce(host: Host) -> None:
    """Close it where this host's part says so, whoever opened it: before Docker starts, and at each apply."""
    if not lifecycle.of(host.layout).outside:
        close(host)


def wrong(host: Host) -> str:
    """Why it is not closed and should be; empty if all is well."""
    if lifecycle.of(host.layout).outside:
        return ""
    done = host.run(["nft", "list", "table", "inet", TABLE])
    return f"containers may reach the outside: {done.words}; run `drover apply`" if done.code else ""
