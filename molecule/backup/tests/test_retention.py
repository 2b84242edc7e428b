"""Old snapshots go only while new ones are good; a person has a key of their own."""

from __future__ import annotations

import re

import pytest
from testinfra.host import Host

from .conftest import REPOSITORY, ROT, Agent, restic, snapshots
from .engines import ENGINES

pytestmark = pytest.mark.usefixtures("filled")


def test_nothing_is_forgotten_while_a_verification_failed(host: Host, agent: Agent) -> None:
    """Bits that rotted, and are healed again."""
    for _ in range(2):
        agent.backup("cache/cache")
    data = f"{REPOSITORY}/data"
    host.check_output(f"cp -a {data} /root/data && cd {REPOSITORY} && {ROT}")
    agent.fails("verify", "cache/cache")
    # What was written meanwhile stays: the verdict.
    host.check_output(f"cp -a /root/data/. {data} && rm -r /root/data")
    before = {each["id"] for each in snapshots(host)}
    assert "cache/cache: refused: nothing is forgotten" in agent.refuses("retention")
    assert {each["id"] for each in snapshots(host)} <= before
    agent.backup("cache/cache")
    agent.verify("cache/cache")
    host.check_output("drover retention")
    left = {each["id"] for each in snapshots(host)}
    assert len(left) < len(before)
    assert {agent.newest(job) for job in ENGINES} <= left
    restic(host, "check")


def test_a_key_for_a_person_is_shown_once_and_at_a_terminal_alone(host: Host, agent: Agent) -> None:
    before = restic(host, "key list")
    assert "terminal" in agent.refuses("escrow")
    assert restic(host, "key list") == before
    shown = host.check_output("script -qec 'drover escrow' /dev/null </dev/null")
    words = re.findall(r"[A-Za-z0-9+/=_-]{20,}", shown)
    opens = [each for each in words if opens_with(host, each)]
    assert opens, shown
    places = "(journalctl -o cat --no-pager; cat /var/lib/drover/state.db) | tr -cd '[:print:]'"
    assert opens[0] not in host.check_output(places)


def opens_with(host: Host, password: str) -> bool:
    command = f"RESTIC_PASSWORD='{password}' /opt/drover/bin/restic -r {REPOSITORY} --no-lock cat config"
    return bool(host.run(command).rc == 0)
