"""Backups are nothing that the next run would put right. The first file: later ones stop the timers."""

from __future__ import annotations

from shared.scenario import Scenario, started
from testinfra.host import Host

from .conftest import TIMERS, Agent


def test_converge_after_a_backup_changes_nothing(scenario: Scenario, host: Host, agent: Agent) -> None:
    agent.backup("files")
    before = started(host)
    again = scenario.site("--tags", "backup")
    assert again.changed == 0, again.output
    assert started(host) == before


def test_timers_wait_for_their_time(host: Host) -> None:
    assert set(host.check_output(f"systemctl is-active {TIMERS}").split()) == {"active"}
