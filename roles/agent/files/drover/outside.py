# GPL-3.0-or-later
"""No container begins anything with the outside: a table of nftables that comes before Docker's rules.

Answers to what came from there still leave. A container with the host's own network is none of its.
"""

from __future__ import annotations

from drover.run import DroverError, Runner

TABLE = "drover_outside"
PRIORITY = -10  # before Docker's own, which is 0
RULES = f"""\
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
 chain forward {{ type filter hook forward priority {PRIORITY};
  meta iifkind "bridge" meta oifkind != "bridge" ct state new counter drop; }}
}}
"""
ABSENT = ("No such file", "not supported")  # the table, or all of nftables


def close(run: Runner) -> None:
    """From now on; what is open stays open."""
    done = run(["nft", "-f", "-"], stdin=RULES)
    if done.code:
        raise DroverError(f"the way out of containers could not be closed: {done.words}")


def release(run: Runner) -> None:
    """They reach what Docker lets them reach."""
    done = run(["nft", "delete", "table", "inet", TABLE])
    if done.code and not any(word in done.err for word in ABSENT):
        raise DroverError(f"the table {TABLE} of nftables could not be removed: {done.words}")
