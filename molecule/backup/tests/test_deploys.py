"""A backup is part of a deploy where a stack asks for it, and a rollback names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from shared.scenario import Scenario, Stacks, stack, started
from testinfra.host import Host

from .conftest import REPOSITORY, Agent

pytestmark = pytest.mark.usefixtures("filled")
Client = Callable[..., Path]


def saved_first(stacks: Stacks) -> None:
    """A new version of the stack, which asks for a backup before it comes."""
    wish = stack(stacks, "ledger")
    wish.update(limits={"web": {"memory": "200m"}}, deploy={**wish["deploy"], "backup": "before"})


def test_a_deploy_begins_with_a_backup_or_not_at_all(
    scenario: Scenario, host: Host, agent: Agent, changed_copy: Client
) -> None:
    folder, before = changed_copy(saved_first), started(host)
    host.check_output(f"mv {REPOSITORY} {REPOSITORY}.away")
    try:
        run = scenario.site("--tags", "stacks", inventory=folder)
    finally:
        host.check_output(f"mv {REPOSITORY}.away {REPOSITORY}")
    assert run.status != 0 and "the backup before the deploy failed" in run.output, run.output
    assert started(host) == before
    known = agent.newest("ledger/db")
    scenario.converge("--tags", "stacks", inventory=folder)
    taken = agent.newest("ledger/db")
    assert taken != known
    assert started(host) != before
    back = host.check_output("drover rollback ledger")
    assert f"drover restore ledger/db --snapshot {taken[:8]} --replace" in back, back
    scenario.converge("--tags", "stacks")
