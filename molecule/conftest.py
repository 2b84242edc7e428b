"""Fixtures of every scenario: the scenario, its host over SSH, and changed copies of its client's folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from shared.scenario import Scenario, Stacks
from testinfra.host import Host


@pytest.fixture(scope="module")
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return Scenario.of(request.path.parent)


@pytest.fixture(scope="module")
def host(scenario: Scenario) -> Host:
    return scenario.host()


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
