"""A bad version never replaces a good one: it serves on, one event tells why, the host is as before."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from shared.scenario import Scenario, Stacks, containers, eventually, fetch, stack, started
from testinfra.host import Host

Client = Callable[..., Path]
LAYERS = "/var/lib/docker/tmp"  # where the engine puts what it pulls
# stack → its bad version, and what is said of it
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "crash": ({"env": {"BEHAVIOUR": "crash", "MIGRATION": ""}}, "crash: as asked"),
    "sick": ({"env": {"BEHAVIOUR": "sick", "MIGRATION": ""}}, "/up answered 503"),
    "fall": ({"env": {"BEHAVIOUR": "fall 1", "MIGRATION": ""}}, "fall/app: "),
    "moved": ({"env": {"BEHAVIOUR": "port 9999", "MIGRATION": ""}}, "port 8080: Connection refused"),
    "migration": ({"env": {"BEHAVIOUR": "", "MIGRATION": "fails"}}, "migration: as asked"),
    "missing": ({"version": "9.9.9"}, "image drover/demo-chat:9.9.9 is not here and could not be pulled"),
}


def change(stacks: Stacks) -> None:
    for name, (data, _) in BAD.items():
        wish = stack(stacks, name)
        wish.update(data, deploy={**wish["deploy"], "timeout": 8})


def host_state(host: Host) -> tuple[Any, ...]:
    files = host.check_output("find /srv/proxy /srv/stacks/*/current -printf '%p %l %T@\n' | sort")
    return started(host), files, host.check_output("docker network ls --format '{{.Name}}' | sort")


def events(host: Host) -> list[str]:
    """Return the stacks of which an event tells that a deploy failed, in the order of the events."""
    program = (
        "import sqlite3; print(*(key for key, in sqlite3.connect('/var/lib/drover/state.db')"
        ".execute('SELECT key FROM events ORDER BY rowid')))"
    )
    keys = host.check_output(f'python3 -c "{program}"').split()
    return [key.split(":")[1] for key in keys if key.startswith("apply:")]


def test_bad_versions(scenario: Scenario, host: Host, client: Client, load: Callable[..., Any]) -> None:
    before = host_state(host)
    told = events(host)
    with ExitStack() as open_loads:
        loads = {
            name: open_loads.enter_context(load(f"{name}.test.example", "--pause", "0.1")) for name in BAD
        }
        run = scenario.site("--tags", "stacks", inventory=client(change))
    assert run.status != 0
    for name, (_, reason) in BAD.items():
        assert reason in run.output, (name, run.output)
        assert run.output.count(f"{name}/app: ") or name == "missing", run.output
        assert loads[name].failed == 0 and loads[name].requests > 100, (name, loads[name].data)
        assert set(loads[name].versions) == {"1.0.0"}, (name, loads[name].data)
        assert events(host)[len(told) :].count(name) == 1
    assert run.output.count("version 1.0.0 serves on") >= len(BAD), run.output
    assert host_state(host) == before
    status = host.run("drover status")
    assert status.rc != 0 and "is wanted and not reached" in status.stdout, status.stdout


def test_disk_that_is_full_during_a_pull(
    scenario: Scenario, host: Host, client: Client, load: Callable[..., Any]
) -> None:
    """There is no room for a layer of another image; once there is, the next run finishes."""

    def other(stacks: Stacks) -> None:
        stack(stacks, "fall").update(image="drover/demo-notes", env={}, deploy={"soak": 1, "drain": 1})

    folder = client(other)
    before, told, began = host_state(host), events(host), host.check_output("date +%s")
    host.check_output(f"mount -t tmpfs -o size=1m small {LAYERS}; ! cat /dev/zero >{LAYERS}/filler")
    try:
        with load("fall.test.example", "--pause", "0.1") as old:
            full = scenario.site("--tags", "stacks", inventory=folder)
        assert full.status != 0 and "could not be pulled" in full.output, full.output
        assert "version 1.0.0 serves on" in full.output, full.output
        # The engine tries every registry it knows and quotes the last one.
        engine = host.check_output(f"journalctl -u docker --since=@{began} -o cat")
        assert f"write {LAYERS}/" in engine and "no space left on device" in engine, engine
        assert old.failed == 0 and set(old.versions) == {"1.0.0"}, old.data
        assert host_state(host) == before and events(host)[len(told) :] == ["fall"]
        host.check_output(f"rm {LAYERS}/filler")
        scenario.converge("--tags", "stacks", inventory=folder)
    finally:
        host.check_output(f"umount {LAYERS}")
    (new,) = containers(host, "fall").values()
    assert new["Config"]["Image"] == "drover/demo-notes:1.0.0"
    assert fetch(host, "fall.test.example", "/up")[0] == 200


def test_route_that_goes_while_it_is_used(
    scenario: Scenario, host: Host, client: Client, load: Callable[..., Any]
) -> None:
    def unroute(stacks: Stacks) -> None:
        unchecked = {"app": {"no_health_check": "nobody asks it"}}
        stack(stacks, "crash").update(host=None, port=None, health=None, allow=unchecked)

    with load("sick.test.example") as other:
        scenario.converge("--tags", "stacks", inventory=client(unroute))
        assert fetch(host, "crash.test.example", "/up")[0] == 404
    assert other.failed == 0, other.data


@pytest.fixture(scope="module")
def newer(scenario: Scenario, agent: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest of version 1.1.0 of `fall`, which was deployed once: its release is on the host."""
    folder = scenario.inventory.parent / "inventory.newer"
    shutil.copytree(scenario.inventory, folder, dirs_exist_ok=True)
    try:
        path = folder / "group_vars" / "all" / "stacks.yml"
        path.write_text(re.sub(r"(name: fall.*)}", r'\1, version: "1.1.0"}', path.read_text()))
        scenario.converge("--tags", "stacks", inventory=folder)
    finally:
        shutil.rmtree(folder)
    found = agent.manifest("fall")
    assert found["version"] == "1.1.0"
    scenario.converge("--tags", "stacks")
    return dict(found)


def test_engine_killed_in_the_middle(host: Host, agent: Any, newer: dict[str, Any]) -> None:
    """The deploy fails or not; containers run on, and the next run finishes."""
    old = agent.manifest("fall")
    begin = f"({agent.command(newer)}) >/root/killed.out 2>&1 &"
    host.check_output(f"{begin} sleep 1.5; kill -9 $(cat /run/docker.pid); wait")
    assert eventually(lambda: host.run("docker version").rc == 0, 60)
    agent.apply(newer)
    assert "1.1.0" in fetch(host, "fall.test.example", "/whoami")[1]
    assert len(containers(host, "fall")) == 1
    agent.apply(old)


def test_proxy_that_is_dead(host: Host, agent: Any) -> None:
    host.check_output("docker kill proxy-traefik-1")
    agent.apply(agent.manifest("fall"))
    host.check_output("drover apply")
    assert eventually(lambda: fetch(host, "fall.test.example", "/up")[0] == 200, 10)


def test_power_cut_in_the_middle(scenario: Scenario, host: Host, agent: Any, newer: dict[str, Any]) -> None:
    host.check_output(f"nohup sh -c {json.dumps(agent.command(newer))} >/dev/null 2>&1 </dev/null & sleep 2")
    scenario.testhost("power-cut", scenario.name)
    assert eventually(lambda: fetch(host, "fall.test.example", "/up")[0] == 200, 90)
    agent.apply(newer)
    assert len(containers(host, "fall")) == 1 and "1.1.0" in fetch(host, "fall.test.example", "/whoami")[1]
