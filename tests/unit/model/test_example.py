"""The example inventory is right as it stands, but for the secrets that its user brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.drover.platform.plugins.plugin_utils import aws
from ansible_collections.drover.platform.plugins.plugin_utils import model as models
from ansible_collections.drover.platform.plugins.plugin_utils.schema import ALLOW

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "inventories/example"
ROOTS = [EXAMPLE / "compose", ROOT / "compose"]
Variables = dict[str, Any]


def given(value: Any) -> Any:
    """The value as Ansible would make it, a stand-in for whatever it would look up."""
    if isinstance(value, dict):
        return {key: given(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [given(inner) for inner in value]
    if isinstance(value, str) and "{{" in value:
        return "mailto://k4nary@acme.example" if "ALERT_URL" in value else "k4nary-6b1f"
    return value


@pytest.fixture
def variables() -> Variables:
    """Both variables of the example."""
    files = [yaml.safe_load(file.read_text()) for file in sorted(EXAMPLE.glob("group_vars/all/*.yml"))]
    return {name: given(value) for file in files for name, value in file.items()}


def said(variables: Variables) -> str:
    return "\n".join(
        map(str, models.validate(variables["drover_stacks"], variables["drover_platform"], ROOTS))
    )


def test_it_has_no_problem(variables: Variables) -> None:
    assert (
        sorted(variables) == ["drover_aws", "drover_platform", "drover_stacks"] and variables["drover_stacks"]
    )
    assert said(variables) == ""
    assert aws.load(variables["drover_aws"])[1] == []


def test_a_mistake_in_it_is_found(variables: Variables) -> None:
    variables["drover_stacks"][0]["routes"][0]["service"] = "fronted"
    assert 'there is no service "fronted"' in said(variables)


def test_its_exceptions_fit_too(variables: Variables) -> None:
    """`allow` is commented out in the sample: nobody should start with exceptions."""
    variables["drover_stacks"][0]["allow"] = {
        "cache": {name: key.example for name, key in ALLOW.keys.items()}
    }
    assert said(variables) == ""


def test_only_its_secrets_are_left_to_fill_in() -> None:
    empty = yaml.safe_load((EXAMPLE / "group_vars/all/stacks.yml").read_text())["drover_stacks"]
    platform = yaml.safe_load((EXAMPLE / "group_vars/all/platform.yml").read_text())["drover_platform"]
    found = models.validate(empty, platform, ROOTS)
    paths = {problem.path for problem in found}
    assert paths == {
        ("drover_stacks", 0, "secrets", "db_password"),
        ("drover_platform", "alerts", "channels", 0),
        ("drover_platform", "backup", "password"),
    }, "\n".join(map(str, found))
