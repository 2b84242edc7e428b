"""A disk that is too small, ten thousand tables, a host whose power goes."""

from __future__ import annotations

import pytest
from shared.scenario import Scenario, eventually
from testinfra.host import Host

from .conftest import TIMERS, Agent, begin, events, forget_events, ours, taken, told
from .engines import LEDGER, VOLUME, inside
from .test_restores import state

pytestmark = pytest.mark.usefixtures("filled")
LOOP = "DO $$ BEGIN FOR n IN 1..10000 LOOP {}; IF n % 500 = 0 THEN COMMIT; END IF; END LOOP; END $$;"


def test_a_disk_without_room_for_a_copy(host: Host, agent: Agent) -> None:
    """Nothing is restored on it, and nothing verified; afterwards it is well again."""
    before, job = state(host, LEDGER), LEDGER.job
    forget_events(host)
    with told(host, reserve_bytes=2**58):
        assert "no room: " in agent.refuses("restore", job, "--replace")
        assert "no room: " in agent.refuses("restore", job, "--beside", "look")
        said = agent.run("verify", job, fails=True)["jobs"][job]
        assert said["result"] == "unverified" and "no room: " in said["text"]
        assert "no room: " in agent.listed()[job]["problem"] and events(host) == [f"verify:{job}"]
    assert state(host, LEDGER) == before and not ours(host)
    agent.verify(job)
    assert not agent.listed()[job]["problem"]


@pytest.mark.long
def test_ten_thousand_tables(host: Host, agent: Agent) -> None:
    psql = inside("ledger", "db", "psql -U ledger -qAt -v ON_ERROR_STOP=1")
    make = "EXECUTE format('CREATE TABLE many.t%s AS SELECT %s AS n', n, n)"
    host.check_output(f"{psql}CREATE SCHEMA many;\n{LOOP.format(make)}\nEND")
    try:
        agent.backup(LEDGER.job)
        agent.verify(LEDGER.job)
        host.check_output(f"{psql}UPDATE many.t4711 SET n = 0;\nEND")
        agent.restore(LEDGER.job, "--replace")
        asked = "SELECT n FROM many.t4711; SELECT count(*) FROM pg_tables WHERE schemaname = 'many';"
        assert host.check_output(f"{psql}{asked}\nEND").split() == ["4711", "10000"]
    finally:
        drop = "EXECUTE format('DROP TABLE many.t%s', n)"
        host.check_output(f"{psql}{LOOP.format(drop)}\nDROP SCHEMA many;\nEND")


@pytest.mark.long
@pytest.mark.parametrize("verb", ["backup", "verify", "restore"])
def test_a_power_cut(scenario: Scenario, host: Host, agent: Agent, verb: str) -> None:
    """What was cut off is gone with the next run; the data is the one or the other."""
    agent.backup(VOLUME.job)
    known, whole = taken(host, VOLUME.job), VOLUME.content(host)
    if verb == "restore":
        host.check_output(VOLUME.lose)
    before = VOLUME.content(host)
    begin(host, verb, VOLUME.job, *(["--replace"] if verb == "restore" else []))
    host.check_output("sleep 0.8")
    scenario.testhost("power-cut", scenario.name)
    assert eventually(lambda: host.run("drover status --json").rc in (0, 1), 90)
    host.check_output(f"systemctl stop {TIMERS}")
    assert eventually(lambda: host.run(VOLUME.show).stdout.rstrip() in (before.rstrip(), whole.rstrip()), 90)
    assert known <= taken(host, VOLUME.job)
    agent.backup(VOLUME.job)
    agent.verify(VOLUME.job)
    assert not ours(host)
    host.check_output(VOLUME.fill)
