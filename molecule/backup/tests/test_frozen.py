"""Stacks that are read while their host is frozen: their databases take no writes, and then again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shared.scenario import Scenario, Stacks, eventually, fetch, service, stack
from testinfra.host import Host

from .conftest import Agent, behind
from .engines import LEDGER as DATABASE
from .engines import SHOP as OTHER
from .engines import inside

pytestmark = pytest.mark.usefixtures("filled", "read")
LEDGER = "ledger.test.example"
PSQL = inside("ledger", "db", "psql -U ledger -v ON_ERROR_STOP=1 -qAt")
MARIADB = inside(
    "shop", "db", "sh -c 'MYSQL_PWD=$(cat /run/secrets/db_password) exec mariadb -ushop -N shop'"
)
ORDER = f"{MARIADB}INSERT INTO orders (note) VALUES ('one more');\nEND"
SECRET = "/srv/stacks/shop/secrets/db/root_password"


@pytest.fixture(scope="module", autouse=True)
def _as_before(host: Host, agent: Agent) -> Iterator[None]:
    """Tests that come later find the data that they know, and in the newest snapshots too."""
    yield
    for engine in (DATABASE, OTHER):
        host.check_output(engine.fill)
    agent.backup("ledger", "shop")


@pytest.fixture
def read(scenario: Scenario, client: Callable[..., Path], host: Host) -> Iterator[None]:
    """Both databases' stacks say so; whatever a test left, the host is active before they say otherwise."""

    def change(stacks: Stacks) -> None:
        for name in ("ledger", "shop"):
            stack(stacks, name)["frozen"] = "read"

    scenario.converge("--tags", "stacks", inventory=client(change))
    yield
    host.check_output("drover lifecycle active")


def add(host: Host, name: str) -> tuple[int, str]:
    return fetch(host, LEDGER, "/items", f"""-d '{{"name": "{name}"}}'""")


def items(host: Host, like: str) -> int:
    return int(host.check_output(f"{PSQL}SELECT count(*) FROM items WHERE name LIKE '{like}';\nEND"))


def test_it_is_read_and_takes_no_writes_until_it_is_active_again(host: Host, agent: Agent) -> None:
    known = {name: agent.newest(name) for name in ("ledger/db", "shop/db")}
    agent.run("lifecycle", "frozen")
    status, body = fetch(host, LEDGER, "/items")
    assert status == 200 and "Zweites" in body
    status, body = add(host, "refused")
    assert status == 503 and "Back soon" in body
    refused = host.run(f"{PSQL}INSERT INTO items (name) VALUES ('refused');\nEND")
    assert refused.rc and "read-only transaction" in refused.stderr, refused
    refused = host.run(ORDER)
    assert refused.rc and "read-only" in refused.stderr, refused
    assert not host.run("drover apply --check --json").stdout.count('"changed": true')
    assert agent.run("smoke", "ledger")["passed"]
    agent.run("backup", "--last", "ledger", "shop")
    assert not {agent.newest(name) for name in known} & {*known.values()}
    agent.run("lifecycle", "active")
    assert add(host, "taken")[0] == 201 and items(host, "refused") == 0
    host.check_output(ORDER)
    assert json.loads(host.run("drover status --json").stdout)["lifecycle_problem"] == ""


def test_a_copy_of_what_was_held_takes_writes(host: Host, agent: Agent) -> None:
    agent.run("lifecycle", "frozen")
    agent.run("backup", "--last", "ledger/db")
    agent.run("lifecycle", "active")
    remove = agent.beside("ledger/db")
    host.check_output("docker exec look psql -U ledger -c 'CREATE TABLE fresh ()'")
    host.check_output(remove)


def test_what_was_acknowledged_is_there(host: Host, agent: Agent) -> None:
    """One writes all the time by the proxy, and one has begun a transaction that it never ends."""
    ask = (
        f"curl -s -m 9 -o /dev/null -w '%{{http_code}}\\n' -H 'Host: {LEDGER}' "
        """-d '{"name": "loop"}' http://127.0.0.1/items"""
    )
    host.check_output("rm -f /root/asking /root/asked; touch /root/asking")
    host.check_output(behind(f"while [ -e /root/asking ]; do {ask}; sleep 0.05; done", "/root/asked"))
    open_one = "BEGIN; INSERT INTO items (name) VALUES ('never'); SELECT pg_sleep(600);"
    host.check_output(behind(f"{PSQL}{open_one}\nEND"))
    try:
        assert eventually(lambda: host.check_output("grep -c 201 /root/asked || true") not in ("", "0"))
        agent.run("lifecycle", "frozen")
        known = items(host, "loop")
        sleeping = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid();"
        )
        assert host.check_output(f"{PSQL}{sleeping}\nEND") == "0" and items(host, "never") == 0
    finally:
        host.check_output("rm -f /root/asking; sleep 1")
    said = host.check_output("cat /root/asked").split()
    assert {*said} == {"201", "503"} and said.count("201") == known == items(host, "loop"), said[-20:]


def test_a_server_that_forgets_it_is_held_again(host: Host, agent: Agent) -> None:
    agent.run("lifecycle", "frozen")
    host.check_output("systemctl restart docker")
    host.check_output(f"docker restart {service(host, 'shop', 'db')}")
    assert "this host is not frozen: shop/db takes writes still" in agent.refuses("lifecycle")
    host.check_output("drover boot")
    assert agent.run("lifecycle") == {"part": "frozen"}
    assert host.run(ORDER).rc and host.run(f"{PSQL}CREATE TABLE fresh ();\nEND").rc


def test_a_server_that_lets_nobody_in_fails_the_freeze(host: Host, agent: Agent) -> None:
    host.check_output(f"cp -a {SECRET} /root/secret && echo wrong >{SECRET}")
    try:
        errors = agent.run("lifecycle", "frozen", fails=True)["errors"]
        assert any(each.startswith("shop") for each in errors), errors
        assert "this host is not frozen: shop/db takes writes still" in agent.refuses("lifecycle")
    finally:
        host.check_output(f"cp -a /root/secret {SECRET}")
    agent.run("lifecycle", "active")
    host.check_output(ORDER)
    assert add(host, "taken")[0] == 201
