"""What was lost comes back to the last row or key; a copy that differs by one is not verified."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from backup.tests.conftest import Agent, ours
from backup.tests.engines import Engine
from shared.scenario import Scenario, Stacks, stack
from testinfra.host import Host

from .engines import ENGINES, SHOP, with_root_password

ALL = pytest.mark.parametrize("engine", ENGINES.values(), ids=lambda engine: engine.job)
ROTATED = "canary-rotated-'b82"
TIMERS = "drover-backup.timer drover-verify.timer drover-retention.timer"


@pytest.fixture(scope="module")
def agent(host: Host) -> Agent:
    """Data in every job, and a snapshot of it; no timer makes another one."""
    host.check_output(f"systemctl stop {TIMERS}")
    for engine in ENGINES.values():
        host.check_output(engine.fill)
    agent = Agent(host)
    agent.backup(*ENGINES)
    return agent


@ALL
def test_a_backup_is_verified(agent: Agent, engine: Engine) -> None:
    agent.verify(engine.job)


@ALL
def test_one_altered_row_is_seen(host: Host, agent: Agent, engine: Engine) -> None:
    assert "in the copy" in agent.fails("verify", engine.job, "--spoil", engine.spoil)
    assert not agent.listed()[engine.job]["problem"] and not ours(host)


@ALL
def test_what_was_lost_comes_back(host: Host, agent: Agent, engine: Engine) -> None:
    before = engine.content(host)
    host.check_output(engine.lose)
    assert engine.content(host) != before
    agent.restore(engine.job, "--replace")
    assert engine.content(host) == before
    assert not ours(host)


def test_the_superuser_keeps_todays_password(
    scenario: Scenario, host: Host, agent: Agent, changed_copy: Callable[..., Path]
) -> None:
    """The snapshot is from before it was changed, in the database and then in the inventory."""

    def rotated(stacks: Stacks) -> None:
        stack(stacks, "shop")["secrets"]["root_password"] = ROTATED

    snapshot, before = agent.newest(SHOP.job), SHOP.content(host)
    host.check_output(with_root_password(ROTATED.replace("'", "''")))
    scenario.converge("--tags", "stacks", inventory=changed_copy(rotated))
    agent.restore(SHOP.job, "--replace", "--snapshot", snapshot)
    assert SHOP.content(host) == before
    host.check_output(with_root_password("canary-root-4a9f"))
    scenario.converge("--tags", "stacks")
