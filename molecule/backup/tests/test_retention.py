"""Old snapshots go only while new ones are good; a person has a key of their own."""

from __future__ import annotations

import json
import re

import pytest
from testinfra.host import Host

from .conftest import REPOSITORY, ROT, Agent, restic, snapshots, taken
from .engines import CACHE, ENGINES, FOLDER, VOLUME

pytestmark = pytest.mark.usefixtures("filled")


def retention(host: Host, job: str) -> tuple[str, str]:
    """What became of this job, whatever of the others."""
    done = json.loads(host.run("drover retention --json").stdout)["jobs"][job]
    return done["result"], done["text"]


def test_nothing_is_forgotten_while_a_verification_failed(host: Host, agent: Agent) -> None:
    """Bits that rotted, and are healed again."""
    for _ in range(2):
        agent.backup(CACHE.job)
    data = f"{REPOSITORY}/data"
    host.check_output(f"cp -a {data} /root/data && cd {REPOSITORY} && {ROT}")
    agent.fails("verify", CACHE.job)
    # What was written meanwhile stays: the verdict.
    host.check_output(f"cp -a /root/data/. {data} && rm -r /root/data")
    before = taken(host, CACHE.job)
    result, text = retention(host, CACHE.job)
    assert result == "refused" and "nothing is forgotten" in text
    assert taken(host, CACHE.job) == before


def test_what_is_newest_and_what_was_seen_to_come_back_stay(host: Host, agent: Agent) -> None:
    agent.backup(CACHE.job)
    agent.verify(CACHE.job)
    proven, before = agent.newest(CACHE.job), taken(host, CACHE.job)
    agent.backup(CACHE.job)
    assert retention(host, CACHE.job) == ("ok", "")
    left = taken(host, CACHE.job)
    assert {proven, agent.newest(CACHE.job)} <= left and len(left) < len(before)
    newest = {agent.newest(job) for job in ENGINES}
    assert newest <= {each["id"] for each in snapshots(host)}
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


def test_what_is_here_does_not_hide_what_was_before_this_host(host: Host, agent: Agent) -> None:
    """As a new machine, whose empty databases would be the newest snapshots."""
    host.check_output("mv /var/lib/drover/state.db /root/state.db; touch -h /srv/stacks/*/current")
    try:
        assert "entries were read" in host.check_output("drover backup --init")
        said = agent.fails("backup", FOLDER.job)
        assert "from before this host was made" in said and "--accept" in said
        assert "not restored" in agent.listed()[FOLDER.job]["problem"]
        host.check_output(agent.beside(FOLDER.job))
        agent.fails("backup", FOLDER.job)
        agent.restore(FOLDER.job, "--replace")
        agent.backup(FOLDER.job)
        agent.fails("backup", VOLUME.job)
        agent.run("backup", VOLUME.job, "--accept")
    finally:
        host.check_output("mv /root/state.db /var/lib/drover/state.db")
