"""Back to what ran well before, without argument, registry or controller; and what keeps a change away."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from shared.scenario import ROOT, Scenario, Stacks, containers, fetch, stack
from testinfra.host import Host

Client = Callable[..., Path]
DEPLOY, ROLLBACK = (ROOT / "playbooks" / f"{name}.yml" for name in ("deploy", "rollback"))


def newer(stacks: Stacks) -> None:
    stack(stacks, "chat").update(version="1.1.0")


def version(host: Host) -> str:
    return str(json.loads(fetch(host, "chat.test.example", "/whoami")[1])["version"])


def test_back_under_load(
    scenario: Scenario, host: Host, changed_copy: Client, load: Callable[..., Any]
) -> None:
    folder = changed_copy(newer)
    deployed = scenario.site("-e", "stack=chat", inventory=folder, playbook=DEPLOY)
    assert deployed.status == 0 and version(host) == "1.1.0", deployed.output
    host.check_output("docker image prune -a -f && iptables -I OUTPUT -d 10.77.0.5 -j REJECT")
    try:
        with load("chat.test.example") as chat:
            host.check_output("drover rollback chat --who anna")
            assert version(host) == "1.0.0"
    finally:
        host.check_output("iptables -D OUTPUT -d 10.77.0.5 -j REJECT")
    assert chat.failed == 0 and set(chat.versions) == {"1.0.0", "1.1.0"}, chat.data
    assert len(containers(host, "chat")) == 1
    (row,) = json.loads(host.check_output("drover history chat --lines 1 --json"))
    assert (row["action"], row["who"], row["result"]) == ("rollback", "anna", "ok")
    assert row["seconds"] < 30


def test_what_was_left_stays_away(scenario: Scenario, host: Host, changed_copy: Client) -> None:
    folder = changed_copy(newer)
    for playbook in (None, DEPLOY):
        refused = scenario.site("-e", "stack=chat", "--tags", "all", inventory=folder, playbook=playbook)
        assert refused.status != 0 and "version 1.1.0 was rolled back by anna" in refused.output, (
            refused.output
        )
    host.check_output("systemctl restart drover-boot")
    assert version(host) == "1.0.0"
    forced = scenario.site("-e", "stack=chat", "-e", "force=true", inventory=folder, playbook=DEPLOY)
    assert forced.status == 0 and version(host) == "1.1.0", forced.output
    assert scenario.site("-e", "stack=chat", "--check", playbook=ROLLBACK).changed == 1
    assert scenario.site("-e", "stack=chat", playbook=ROLLBACK).changed == 1
    assert version(host) == "1.0.0"
    stands = host.check_output("readlink /srv/stacks/chat/current").removeprefix("releases/")
    assert scenario.site("-e", "stack=chat", "-e", f"to={stands}", playbook=ROLLBACK).changed == 0


def test_windows_and_lock(scenario: Scenario, host: Host, changed_copy: Client) -> None:
    def never(stacks: Stacks) -> None:
        stack(stacks, "fall").update(version="1.1.0")

    folder = changed_copy(never)
    variables = folder / "group_vars" / "all" / "platform.yml"
    windows = {"windows": ["mon 00:00-00:01"], "timezone": "Pacific/Auckland"}
    variables.write_text(
        yaml.safe_dump({"drover_platform": {"environment": "production", "deploy": windows}})
    )
    closed = scenario.site("--tags", "agent,stacks", inventory=folder)
    assert closed.status != 0 and "and deploys are for mon 00:00-00:01" in closed.output, closed.output
    host.check_output("drover lock take --who bert --reason 'the fair is on'")
    why = ("-e", "reason='it cannot wait'")
    locked = scenario.site("--tags", "stacks", *why, inventory=folder)
    assert locked.status != 0 and "locked by bert since" in locked.output, locked.output
    host.check_output("drover lock release --who bert")
    opened = scenario.site("--tags", "stacks", *why, inventory=folder)
    assert opened.status == 0, opened.output
    assert "because: it cannot wait" in host.check_output("drover history fall --lines 1")
    scenario.converge("--tags", "agent,stacks")


@pytest.mark.parametrize(
    ("playbook", "arguments", "said"),
    [
        (DEPLOY, (), "say which stack: -e stack=NAME"),
        (DEPLOY, ("-e", "stack=caht"), 'there is no stack "caht" in drover_stacks'),
        (ROLLBACK, (), "say which stack: -e stack=NAME"),
        (ROLLBACK, ("-e", "stack=caht"), "caht: nothing ran well on this host yet"),
    ],
)
def test_mistakes(scenario: Scenario, playbook: Path, arguments: tuple[str, ...], said: str) -> None:
    run = scenario.site(*arguments, playbook=playbook)
    assert run.status != 0 and said in run.output, run.output
