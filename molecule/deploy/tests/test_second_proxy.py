"""What deploys, bad versions, kills and rollbacks promise, with the other proxy on the same host."""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from shared.scenario import Scenario, Stacks, containers, stack
from testinfra.host import Host

from .test_deploys import to
from .test_faults import BAD
from .test_kills import KILLS, LONGEST, SEED, killed

Client = Callable[..., Path]


@pytest.fixture(scope="module")
def scenario(scenario: Scenario) -> Iterator[Scenario]:
    """The client's folder with one word changed, the host as it says, and afterwards as before."""
    folder = scenario.inventory.parent / "inventory.nginx"
    shutil.copytree(scenario.inventory, folder, dirs_exist_ok=True)
    path = folder / "group_vars" / "all" / "platform.yml"
    platform = yaml.safe_load(path.read_text())
    platform["drover_platform"]["proxy"] = {"kind": "nginx"}
    path.write_text(yaml.safe_dump(platform))
    try:
        scenario.converge("--tags", "proxy,stacks", inventory=folder)
        yield dataclasses.replace(scenario, inventory=folder)
    finally:
        shutil.rmtree(folder)
        scenario.converge("--tags", "proxy,stacks")


def test_nginx_loses_no_request_by_deploys_bad_versions_kills_and_rollbacks(
    scenario: Scenario, host: Host, changed_copy: Client, agent: Any, load: Callable[..., Any]
) -> None:
    assert host.check_output("docker ps --filter name=^proxy- --format '{{.Image}}'").startswith("nginx:")
    bad, reason = BAD["fall"]

    def change(stacks: Stacks) -> None:
        to("1.1.0", "chat", "pair")(stacks)
        stack(stacks, "fall").update(bad)

    print(f"seed {SEED}")
    chance = random.Random(SEED)
    before, old = len(containers(host)), agent.manifest("pair")
    with ExitStack() as open_loads:
        chat, pair, fall = (
            open_loads.enter_context(load(f"{name}.test.example")) for name in ("chat", "pair", "fall")
        )
        # Forced, since version 1.1.0 of chat was rolled back before.
        run = scenario.site("--tags", "stacks", "-e", "force=true", inventory=changed_copy(change))
        assert run.status != 0 and reason in run.output, run.output
        new = agent.manifest("pair")
        for turn in range(max(2, KILLS // 5)):
            killed(host, agent, (old, new)[turn % 2], chance.uniform(0.1, LONGEST), bool(turn % 2))
        host.check_output("drover rollback chat")
    for measured in (chat, pair):
        assert measured.failed == 0 and measured.requests >= 2000, measured.data
        assert set(measured.versions) == {"1.0.0", "1.1.0"}, measured.data
    assert fall.failed == 0 and set(fall.versions) == {"1.0.0"}, fall.data
    assert len(containers(host)) == before
