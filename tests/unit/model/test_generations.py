"""Which instance of a host serves, and which number comes next."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.drover.platform.plugins.plugin_utils import generations


def instance(number: int, part: str = "", state: str = "running") -> dict[str, Any]:
    tags = {"drover:generation": str(number), **({"drover:lifecycle": part} if part else {})}
    return {"instance_id": f"i-{number}", "state": {"name": state}, "tags": tags}


def by_part(*instances: dict[str, Any], generation: int | None = None) -> dict[str, Any]:
    found = generations.sort(instances, generation)
    return {key: [each["instance_id"] for each in found[key]] for key in ("active", "standby", "retired")}


def test_instances_are_known_by_their_tag() -> None:
    found = by_part(instance(1, "retired", "stopped"), instance(2), instance(3, "standby"))
    assert found == {"active": ["i-2"], "standby": ["i-3"], "retired": ["i-1"]}
    assert by_part(instance(1, "something else"))["active"] == ["i-1"]


@pytest.mark.parametrize("state", ["terminated", "shutting-down"])
def test_terminated_ones_serve_no_more_and_their_number_is_not_given_again(state: str) -> None:
    found = [instance(4, state=state), instance(2, "retired")]
    assert by_part(*found)["active"] == []
    assert generations.sort(found)["next"] == 5


def test_the_first_is_the_first() -> None:
    assert generations.sort([])["next"] == 1
    assert generations.sort([{"instance_id": "i-0", "state": {"name": "running"}, "tags": {}}])["next"] == 1


def test_one_generation_alone() -> None:
    found = [instance(1), instance(2)]
    assert by_part(*found, generation=2)["active"] == ["i-2"]
    assert generations.sort(found, 2)["next"] == 3
