"""A converged host that makes backups stays as it is when it is converged again."""

from __future__ import annotations

from shared.scenario import Scenario, started
from testinfra.host import Host

from .conftest import TIMERS, Agent


def test_second_converge_changes_nothing(scenario: Scenario, host: Host, agent: Agent) -> None:
    agent.backup()
    before = started(host)
    again = scenario.site()
    assert again.changed == 0, again.output
    assert started(host) == before


def test_timers_wait_for_their_time(host: Host) -> None:
    assert set(host.check_output(f"systemctl is-active {TIMERS}").split()) == {"active"}
