"""A wrong inventory is refused with a message that names the place, and nothing on the host has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from shared.scenario import Scenario, stack, started
from testinfra.host import Host

Client = Callable[..., Path]
Stacks = list[dict[str, Any]]


def state(host: Host) -> tuple[dict[str, tuple[str, str]], str]:
    """Return what runs, and every file with its time and mode."""
    files = host.check_output(
        "find /srv /etc/drover /etc/docker /opt/drover -printf '%p %T@ %m %l\\n' | sort | sha256sum"
    )
    return started(host), files


WRONG: dict[str, tuple[Callable[[Stacks], Any], list[str]]] = {
    "unknown key": (lambda s: stack(s, "alpha").update(versoin="1"), ["stacks.yml", "versoin", "version"]),
    "wrong type": (lambda s: stack(s, "alpha").update(port="eighty"), ["alpha", "port", "eighty"]),
    "unknown compose folder": (
        lambda s: s.append({"name": "ghost", "compose": "ghosts"}),
        ["ghosts", "compose"],
    ),
    "duplicate host route": (
        lambda s: stack(s, "beta").update(host="ALPHA.test.example"),
        ["alpha.test.example", "beta"],
    ),
    "port clash with the proxy": (
        lambda s: stack(s, "people").update(publish=[{"service": "web", "port": 8080, "host_port": 80}]),
        ["people", "host_port", "the proxy"],
    ),
    "port clash of two stacks": (
        lambda s: [
            stack(s, name).update(publish=[{"service": "web", "port": 8080, "host_port": 8090}])
            for name in ("jobs", "people")
        ],
        ["people", "jobs", "8090"],
    ),
    "no such service": (
        lambda s: stack(s, "jobs")["routes"].append({"host": "x.test.example", "service": "wbe", "port": 80}),
        ["wbe", "web"],
    ),
    "latest": (lambda s: stack(s, "alpha").update(version="latest"), ["latest", "allow"]),
    "empty secret": (lambda s: stack(s, "sealed")["secrets"].update(api_key=""), ["api_key", "empty"]),
    "placeholder secret": (
        lambda s: stack(s, "sealed")["secrets"].update(api_key="changeme"),
        ["api_key", "placeholder"],
    ),
    "missing secret": (lambda s: stack(s, "sealed")["secrets"].pop("api_key"), ["api_key", "sealed"]),
    "odd unicode": (lambda s: stack(s, "alpha").update(host="al\u202epha.test.example"), ["U+202E"]),
    "not supported yet": (
        lambda s: stack(s, "alpha").update(egress={"app": ["https"]}),
        ["egress", "not supported yet"],
    ),
}


# All mistakes of a run are told together; what is wrong with the same key takes another run.
SECOND = ["empty secret", "duplicate host route", "port clash with the proxy"]
THIRD = ["placeholder secret", "odd unicode"]
ROUNDS = [[each for each in WRONG if each not in (*SECOND, *THIRD)], SECOND, THIRD]


@pytest.mark.parametrize("wrongs", ROUNDS, ids=["first", "second", "third"])
def test_wrong_data(wrongs: list[str], scenario: Scenario, host: Host, changed_copy: Client) -> None:
    before = state(host)
    run = scenario.site(inventory=changed_copy(lambda stacks: [WRONG[wrong][0](stacks) for wrong in wrongs]))
    assert run.status != 0
    for wrong in wrongs:
        assert all(word in run.output for word in WRONG[wrong][1]), f"{wrong}: {run.output}"
    assert state(host) == before


def test_wrong_stack_file(scenario: Scenario, host: Host, changed_copy: Client) -> None:
    wrong = {
        "network_mode: host": ["network_mode", "host"],
        "privileged: true": ["privileged", "allow"],
        "volumes: ['/var/run/docker.sock:/var/run/docker.sock']": ["docker.sock", "docker_socket"],
        "imagee: x": ["imagee", "image"],
    }
    before = state(host)
    folder = changed_copy(lambda stacks: None)
    path = folder / "compose" / "jobs" / "compose.yaml"
    lines = "".join(f"    {line}\n" for line in wrong)
    path.write_text(path.read_text().replace("  web:\n", f"  web:\n{lines}"))
    run = scenario.site(inventory=folder)
    assert run.status != 0
    for line, words in wrong.items():
        assert all(word in run.output for word in ["jobs", *words]), f"{line}: {run.output}"
    assert state(host) == before


def test_stack_file_that_compose_rejects(scenario: Scenario, host: Host, changed_copy: Client) -> None:
    """The model does not know every key's form; Compose does, and is asked before anything lands."""

    def other(stacks: Stacks) -> None:
        stack(stacks, "alpha").update(env={"GREETING": "not yet"})
        stack(stacks, "sealed")["secrets"].update(api_key="not-yet-rotated")

    before = state(host)
    folder = changed_copy(other)
    path = folder / "compose" / "jobs" / "compose.yaml"
    path.write_text(path.read_text().replace("  web:\n", "  web:\n    mem_limit: lots\n"))
    for check in ([], ["--check", "--diff"]):
        run = scenario.site("--tags", "stacks", *check, inventory=folder)
        assert run.status != 0 and "compose/jobs: docker refuses it" in run.output, run.output
        assert "lots" in run.output and "releases/" not in run.output, run.output
        assert state(host) == before


def test_latest_with_a_reason(scenario: Scenario, changed_copy: Client) -> None:
    def latest(stacks: Stacks) -> None:
        stack(stacks, "alpha").update(
            version="latest", allow={"app": {"latest": "the vendor tags nothing else"}}
        )

    scenario.converge("--tags", "stacks", "--check", inventory=changed_copy(latest))


BOMB: list[Any] = ["x"] * 10
for _ in range(8):
    BOMB = [BOMB] * 10  # written to a file, each is an alias of the one before


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"drover_platform": {"client": "demo", "alert": {}}}, ["drover_platform", "alert", "alerts"]),
        ({"drover_platform": {"alerts": {"channels": ["changeme"]}}}, ["channels", "placeholder"]),
        ({"drover_stacks": [{"name": BOMB}]}, ["drover_stacks", "more than"]),
    ],
)
def test_wrong_variables(
    variables: dict[str, Any], words: list[str], scenario: Scenario, host: Host, changed_copy: Client
) -> None:
    folder = changed_copy(lambda stacks: None)
    (folder / "group_vars" / "all" / "zz.yml").write_text(yaml.safe_dump(variables))
    before = state(host)
    run = scenario.site(inventory=folder)
    assert run.status != 0
    for word in words:
        assert word in run.output, run.output
    assert state(host) == before


def test_yaml_bomb(scenario: Scenario, host: Host, changed_copy: Client) -> None:
    folder = changed_copy(lambda stacks: None)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    path = folder / "compose" / "jobs" / "compose.yaml"
    path.write_text(path.read_text() + "x-bomb:\n" + "".join(f"  {line}\n" for line in lines))
    before = state(host)
    run = scenario.site(inventory=folder)
    assert run.status != 0 and "jobs" in run.output and "aliases" in run.output, run.output
    assert state(host) == before
