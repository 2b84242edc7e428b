"""A host that another generation takes over from: its data stays as it is, and all of it comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from shared.scenario import containers, fetch, service, started
from testinfra.host import Host

from .conftest import Agent

pytestmark = pytest.mark.usefixtures("filled")
LEDGER, FILES = "ledger.test.example", "files.test.example"
OUT = "import socket; socket.create_connection(('10.77.0.5', 5000), 3)"  # the test network's registry


@pytest.fixture
def frozen(host: Host, agent: Agent) -> Iterator[dict[str, tuple[str, str]]]:
    """A host that is frozen; what ran before."""
    before = started(host)
    agent.run("lifecycle", "frozen")
    yield before
    agent.run("lifecycle", "active")


def running(host: Host) -> set[str]:
    return {name for name, each in containers(host).items() if each["State"]["Running"]}


def test_a_frozen_host_changes_none_of_its_data(
    host: Host, agent: Agent, frozen: dict[str, tuple[str, str]]
) -> None:
    databases = {service(host, stack, "db") for stack in ("ledger", "shop")} | {
        service(host, "cache", "cache")
    }
    rests = {service(host, "ledger", "web"), service(host, "files", "app")}
    assert databases <= running(host) and not rests & running(host)
    for name in (LEDGER, FILES):
        status, page = fetch(host, name, "/items")
        assert status == 503 and "maintenance" in page.lower(), page
    assert not host.run("drover apply --check --json").stdout.count('"changed": true')
    assert "this host is frozen" in host.check_output("drover status || true")
    assert "this host is frozen" in agent.refuses("backup", "ledger")
    assert "its data stays as it is" in agent.refuses("restore", "ledger/db", "--replace")
    known = agent.newest("ledger/db")
    host.check_output("systemctl start drover-backup.service drover-verify.service")
    assert agent.newest("ledger/db") == known
    agent.run("backup", "--last", "ledger")
    assert agent.newest("ledger/db") != known


def test_a_frozen_host_stays_so_when_docker_comes_back(
    host: Host, frozen: dict[str, tuple[str, str]]
) -> None:
    before = running(host)
    host.check_output("systemctl restart docker && drover boot")
    assert running(host) == before


def test_what_was_frozen_serves_again_and_no_container_was_made_anew(host: Host, agent: Agent) -> None:
    before = started(host)
    agent.run("lifecycle", "frozen")
    agent.run("lifecycle", "active")
    assert fetch(host, LEDGER, "/items")[0] == 200
    assert {name: identity for name, (identity, _) in started(host).items()} == {
        name: identity for name, (identity, _) in before.items()
    }
    assert not host.run("drover apply --check --json").stdout.count('"changed": true')
    assert "has stacks: only a new one begins as a standby" in agent.refuses("lifecycle", "standby")


def test_a_closed_way_out_lets_requests_in(host: Host) -> None:
    """A standby's; this host only borrows the table."""
    web = service(host, "ledger", "web")
    host.check_output(f'docker exec {web} python3 -c "{OUT}"')
    path = "import sys; sys.path.insert(0, '/opt/drover')"
    table = f"{path}; from drover.outside import rules; print(rules({{'eth0'}}))"
    host.check_output(f'python3 -IS -c "{table}" | nft -f -')
    try:
        assert host.run(f'docker exec {web} python3 -c "{OUT}"').rc == 1
        assert fetch(host, LEDGER, "/items")[0] == 200
        address = host.check_output("hostname -I").split()[0]
        assert host.run(f"curl -sSm 10 -H 'Host: {LEDGER}' http://{address}/items").rc == 0
    finally:
        host.check_output("nft delete table inet drover_outside")
    host.check_output(f'docker exec {web} python3 -c "{OUT}"')
