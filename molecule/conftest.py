"""Fixtures of every scenario: the scenario, its host over SSH, and changed copies of its client's folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml
from shared.scenario import KEY, KNOWN_HOSTS, Scenario, Stacks
from testinfra.host import Host


@pytest.fixture(scope="module")
def scenario(request: pytest.FixtureRequest) -> Scenario:
    folder = request.path.parents[1] / "inventory"
    hosts = yaml.safe_load((folder / "hosts.yml").read_text())["all"]["hosts"]
    ((name, variables),) = hosts.items()
    return Scenario(folder, name, variables["ansible_host"])


@pytest.fixture(scope="module")
def host(scenario: Scenario) -> Host:
    return testinfra.get_host(
        f"ssh://root@{scenario.address}",
        ssh_identity_file=str(KEY),
        ssh_extra_args=f"-o UserKnownHostsFile={KNOWN_HOSTS}",
    )


@pytest.fixture
def changed_copy(scenario: Scenario, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Make a copy of the client's folder with its stacks changed; for inventories that no host ever sees."""

    def copy(change: Callable[[Stacks], Any]) -> Path:
        # beside the real one, so that relative paths such as the SSH key's still lead somewhere
        folder = scenario.inventory.parent / f"inventory.{tmp_path.name}.{len(made)}"
        shutil.copytree(scenario.inventory, folder)
        made.append(folder)
        path = folder / "group_vars" / "all" / "stacks.yml"
        variables = yaml.safe_load(path.read_text())
        change(variables["drover_stacks"])
        path.write_text(yaml.safe_dump(variables))
        return folder

    made: list[Path] = []
    yield copy
    for folder in made:
        shutil.rmtree(folder)


@pytest.fixture
def client(scenario: Scenario, changed_copy: Callable[..., Path]) -> Iterator[Callable[..., Path]]:
    """The same for inventories that are converged; afterwards the scenario's own is converged again."""
    yield changed_copy
    scenario.converge("--tags", "stacks")
