"""The boundary to Ansible: plain values, places in files, both actions, and no secret anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.drover.platform.plugins.action import stacks as stacks_action
from ansible_collections.drover.platform.plugins.plugin_utils import boundary, origin, size

ROOT = Path(__file__).resolve().parents[3]
CANARY = "k4nary-7c1e-in-the-inventory"
COMPOSE = "services:\n  web:\n    image: web:1\n    secrets: [db]\n    healthcheck: {test: [CMD, x]}\n"
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - drover.platform.validate:
        stacks: "{{ drover_stacks }}"
        platform: "{{ drover_platform | default({}) }}"
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """An inventory with one right stack; `stacks.yml` may be written anew."""
    (tmp_path / "hosts.yml").write_text("all: {hosts: {h: {ansible_connection: local}}}\n")
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    for folder in ("group_vars/all", "compose/shop"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "compose/shop/compose.yaml").write_text(COMPOSE)
    (tmp_path / "group_vars/all/stacks.yml").write_text(
        f"drover_stacks:\n  - name: shop\n    secrets: {{db: {CANARY}}}\n"
    )
    return tmp_path


def play(folder: Path, *options: str) -> tuple[int, str]:
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_HOME": str(folder / ".ansible"),
    }
    found = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.yml", "play.yml", *options],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return found.returncode, found.stdout + found.stderr


def test_a_right_inventory(inventory: Path) -> None:
    code, said = play(inventory, "-vvvv", "--check", "--diff")
    assert code == 0, said
    assert CANARY not in said


def test_a_wrong_one_names_file_and_line(inventory: Path) -> None:
    with (inventory / "group_vars/all/stacks.yml").open("a") as file:
        file.write("    rotes: []\n    routes:\n      - {host: shop..x, service: web, port: 80}\n")
    code, said = play(inventory, "-vvvv")
    assert code == 2 and CANARY not in said
    assert "The inventory has 2 problems; nothing was changed." in said
    assert "group_vars/all/stacks.yml:4  shop.rotes: no such key" in said
    assert (
        'group_vars/all/stacks.yml:6  shop.routes[0].host: "shop..x" is not a host name; write one such as'
        in said
    )


def test_a_bomb_in_the_inventory_is_not_written_out(inventory: Path) -> None:
    levels = "".join(f"x{n}: &x{n} [{','.join([f'*x{n - 1}'] * 10)}]\n" for n in range(1, 12))
    text = f"x0: &x0 [1, 1]\n{levels}drover_stacks: *x11\n"
    (inventory / "group_vars/all/stacks.yml").write_text(text)
    code, said = play(inventory)
    assert code == 2 and "found more than 100000 values in x" in said and "stacks.yml:" in said


def test_values_lose_ansible_s_types() -> None:
    class Lazy(dict[str, Any]):
        pass

    class Tagged(str):
        pass

    value, places = origin.plain(Lazy(a=[Tagged("x"), 1, None, True, 1.5], b=Lazy()), "v")
    assert value == {"a": ["x", 1, None, True, 1.5], "b": {}} and places == {}
    assert type(value) is dict and type(value["a"][0]) is str and type(value["b"]) is dict


def test_a_value_inside_itself() -> None:
    value: list[Any] = []
    value.append(value)
    assert size.too_large(value) and origin.plain(value, "v")[0] == size.TOO_LARGE


def acted(
    answers: dict[str, dict[str, Any]], folder: Path, **arguments: Any
) -> tuple[dict[str, Any], list[Any]]:
    """The action's result, and what it sent to which module."""
    task = SimpleNamespace(
        args=arguments, async_val=0, check_mode=arguments.pop("check", False), diff=True, environment=None
    )
    action = stacks_action.ActionModule(task, MagicMock(), MagicMock(), MagicMock(), MagicMock(), MagicMock())
    sent: list[Any] = []

    def execute(name: str, module_args: Any, task_vars: Any) -> dict[str, Any]:
        sent.append((name.rpartition(".")[2], module_args))
        return dict(answers[sent[-1][0]])

    action._execute_module = execute
    return action._carry_out(boundary.model(arguments, {"inventory_dir": str(folder)}), {}), sent


TREE = {
    "changed": False,
    "changed_paths": [],
    "invocation": {"module_args": CANARY},
    "diff": [{"after": "x"}],
}
APPLY = {
    "changed": True,
    "stacks": {"shop": {"steps": ["start web"]}},
    "invocation": {},
    "diff": {"after": "y"},
}


def test_two_modules_whatever_the_number_of_stacks(inventory: Path) -> None:
    data = [
        {"name": "shop", "secrets": {"db": CANARY}},
        {"name": "gone", "state": "absent", "data": "delete"},
    ]
    result, sent = acted({"tree": TREE, "apply": APPLY}, inventory, stacks=data)
    assert [name for name, _ in sent] == ["tree", "apply"]
    assert result["changed"] is True and result["diff"] == [{"after": "x"}, {"after": "y"}]
    assert "invocation" not in result and CANARY not in str(result)
    tree, applied = sent[0][1], sent[1][1]
    assert tree["secrets"] == [{"path": "/srv/stacks/shop/secrets/web/db", "content": CANARY}]
    assert sorted(tree) == ["files", "folders", "secrets"] and "/wanted" not in str(tree)
    assert [(entry["stack"], entry.get("state")) for entry in applied["manifests"]] == [
        ("shop", None),
        ("gone", "absent"),
    ]
    assert CANARY not in str({**tree, "secrets": []}) and CANARY not in str(applied)
    assert f"/srv/stacks/shop/releases/{applied['manifests'][0]['release']}" in [
        folder["path"] for folder in tree["folders"]
    ]


def test_a_tree_that_failed_ends_it(inventory: Path) -> None:
    failed = {"failed": True, "msg": "no room", "invocation": {}}
    stacks = [{"name": "shop", "secrets": {"db": CANARY}}]
    with pytest.raises(AnsibleActionFail, match="no room"):
        acted({"tree": failed, "apply": APPLY}, inventory, stacks=stacks)


def test_the_proxy_is_a_stack(inventory: Path) -> None:
    _, sent = acted(
        {"tree": TREE, "apply": APPLY}, inventory, what="proxy", platform={"proxy": {"http_port": 8080}}
    )
    folders = [entry["path"] for entry in sent[0][1]["folders"]]
    assert "/srv/proxy/routes" in folders and "/srv/stacks/proxy" in folders
    [manifest] = sent[1][1]["manifests"]
    assert manifest["stack"] == "proxy" and manifest["services"]["traefik"]["image"] == "traefik:v3.7.15"


def test_what_is_generated_is_up_to_date() -> None:
    found = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(("check", "expected"), [(True, ["/srv/stacks/shop/secrets/web/db"]), (False, [])])
def test_check_mode_tells_the_agent_of_secrets(inventory: Path, check: bool, expected: list[str]) -> None:
    tree = {**TREE, "changed_paths": ["/srv/stacks/shop/secrets/web/db", "/srv/stacks/shop/data"]}
    data = [{"name": "shop", "secrets": {"db": CANARY}}]
    _, sent = acted({"tree": tree, "apply": APPLY}, inventory, stacks=data, check=check)
    assert sent[1][1]["touched"] == expected
