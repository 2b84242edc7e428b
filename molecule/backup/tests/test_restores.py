"""A restore replaces only what it was told to, takes the snapshot it was told, and can be interrupted."""

from __future__ import annotations

import random

import pytest
from shared.scenario import containers, eventually, fetch, service, started
from testinfra.host import Host

from .conftest import Agent, begin, ours
from .engines import ENGINES, FOLDER, LEDGER, UPLOADS, VOLUME, Engine

pytestmark = pytest.mark.usefixtures("filled")
MOMENT = f"{UPLOADS}/moment"


def state(host: Host, engine: Engine) -> tuple[object, ...]:
    return started(host), engine.content(host), host.check_output("docker volume ls -q | sort")


MISTAKES = {
    ("ledger/db",): "--replace",
    ("ledger/db", "--replace", "--snapshot", "0123456789"): "0123456789",
    ("ledger/db", "--replace", "--at", "2001-01-01"): "2001",
    ("ledger/dbb", "--replace"): "ledger/dbb",
}


def test_nothing_changes_by_a_mistake(host: Host, agent: Agent) -> None:
    before, other = state(host, LEDGER), agent.newest("shop/db")
    mistakes = {**MISTAKES, ("ledger/db", "--replace", "--snapshot", other): other[:8]}
    for words, said in mistakes.items():
        assert said in agent.refuses("restore", *words), words
    assert state(host, LEDGER) == before


def test_a_dry_run_only_says_what_would_be_done(host: Host, agent: Agent) -> None:
    before = state(host, LEDGER)
    for words, in_its_way in {("--replace",): False, (): True}.items():
        (planned,) = agent.run("restore", "ledger/db", "--check", *words)["jobs"].values()
        assert agent.newest("ledger/db")[:8] in planned["text"], planned
        assert ("say --replace" in planned["text"]) is in_its_way, planned
    assert state(host, LEDGER) == before


def test_which_snapshot_it_is(host: Host, agent: Agent) -> None:
    """The newest, the newest that was verified, the newest of a time, or one by name."""
    host.check_output(f"echo first >{MOMENT}")
    first = agent.backup(VOLUME.job)[VOLUME.job]["snapshot"]
    agent.verify(VOLUME.job)
    moment = host.check_output("sleep 1.1; date '+%Y-%m-%d %H:%M:%S'; sleep 1.1")
    host.check_output(f"echo second >{MOMENT}")
    second = agent.backup(VOLUME.job)[VOLUME.job]["snapshot"]
    for words, found in {
        (): second,
        ("--verified",): first,
        ("--at", moment): first,
        ("--snapshot", first[:8]): first,
    }.items():
        planned = agent.run("restore", VOLUME.job, "--replace", "--check", *words)
        assert found[:8] in planned["jobs"][VOLUME.job]["text"], (words, planned)
    agent.restore(VOLUME.job, "--replace", "--at", moment)
    assert host.check_output(f"cat {MOMENT}") == "first"


def test_a_database_beside_is_only_to_be_looked_at(host: Host, agent: Agent) -> None:
    before = started(host)
    remove = agent.beside("ledger/db")
    try:
        (look,) = (each for name, each in containers(host).items() if name == "look")
        assert look["HostConfig"]["NetworkMode"] == "none" and not look["HostConfig"]["PortBindings"]
        asked = "docker exec look psql -U ledger -qAtc 'SELECT count(*) FROM bookings'"
        assert host.check_output(asked) == "500"
        assert {name: each for name, each in started(host).items() if name != "look"} == before
        assert remove in agent.refuses("restore", "ledger/db", "--beside", "look")
        name = service(host, "ledger", "db")
        assert "no copy" in agent.refuses("restore", "ledger/db", "--beside", name)
    finally:
        host.check_output(remove)
    assert not host.run("docker volume ls -q --filter name=^look$").stdout
    assert started(host) == before


def test_a_folder_beside(host: Host, agent: Agent) -> None:
    before = FOLDER.content(host)
    remove = agent.beside("files/media")
    try:
        place = host.check_output("docker volume inspect -f '{{.Mountpoint}}' look")
        assert host.check_output(FOLDER.show.replace("/srv/stacks/files/data/media", place)) == before
    finally:
        host.check_output(remove)


def interrupted(host: Host, agent: Agent, engine: Engine, seconds: float) -> None:
    """Kill a restore at this moment, with what it started; run it again."""
    before = engine.content(host)
    host.check_output(engine.lose)
    running = begin(host, "restore", engine.job, "--replace")
    host.check_output(f"sleep {seconds:.2f}")
    host.run(f"kill -KILL {running.pid()}; pkill -KILL -x restic; pkill -KILL -x docker")
    agent.restore(engine.job, "--replace")
    assert engine.content(host) == before, seconds
    assert not ours(host)
    assert eventually(lambda: fetch(host, "ledger.test.example", "/items")[0] == 200)
    assert host.run("drover apply --check").rc == 0


def test_a_restore_that_is_interrupted_is_run_again(host: Host, agent: Agent) -> None:
    agent.backup(FOLDER.job)
    interrupted(host, agent, FOLDER, 2)


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES.values(), ids=lambda engine: engine.job)
def test_a_restore_that_is_interrupted_anywhere(host: Host, agent: Agent, engine: Engine) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    agent.backup(engine.job)
    for _ in range(8):
        interrupted(host, agent, engine, chance.uniform(0.2, 12))
