"""The same host, first with one proxy and then with the other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml
from shared.issuer import Issuer, pair
from shared.scenario import Scenario
from testinfra.host import Host

from .wire import Balancer, Kept, Talk

IDLE = 65  # seconds: a load balancer's 60 and five more


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    return Scenario.of(Path(__file__).parent)


@pytest.fixture(scope="session")
def host(scenario: Scenario) -> Host:
    return scenario.host()


@pytest.fixture(scope="session", params=["traefik", "nginx"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def issuer(host: Host, scenario: Scenario) -> Issuer:
    return Issuer.start(host, scenario.address)


@pytest.fixture(scope="session")
def brought() -> dict[str, Any]:
    """A certificate that the client has, for most of the host names."""
    return {"certificates": [pair("*.test.example")]}


@pytest.fixture(scope="session")
def folder(scenario: Scenario, kind: str, issuer: Issuer, brought: dict[str, Any]) -> Iterator[Path]:
    """The client's folder with one word changed, and TLS that ends at the proxy."""
    copy = scenario.inventory.parent / f"inventory.{kind}"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(scenario.inventory, copy)
    path = copy / "group_vars" / "all" / "platform.yml"
    settings = yaml.safe_load(path.read_text())
    settings["drover_platform"]["proxy"] |= {"kind": kind, "tls": {**issuer.settings, **brought}}
    path.write_text(yaml.safe_dump(settings))
    yield copy
    shutil.rmtree(copy)


@pytest.fixture(scope="session")
def proxy(scenario: Scenario, host: Host, folder: Path, kind: str) -> str:
    """The name of the proxy's container."""
    scenario.converge("--tags", "agent,proxy,stacks", inventory=folder)
    names = host.check_output("docker ps --format '{{.Names}}' --filter name=proxy-" + kind).split()
    return str(names[0])


@pytest.fixture(scope="session")
def balancer(scenario: Scenario, proxy: str) -> Balancer:
    return Balancer(scenario.address)


@pytest.fixture(scope="session", autouse=True)
def idle(balancer: Balancer) -> Iterator[list[Future[None]]]:
    """Two connections that say something, and again after a long time, unless the tests end before."""
    ended = Event()
    with ThreadPoolExecutor() as pool:
        yield [pool.submit(_kept, balancer, ended), pool.submit(_talk, balancer, ended)]
        ended.set()


def _kept(balancer: Balancer, ended: Event) -> None:
    kept = Kept(balancer)
    assert kept.ask() == 200
    if not ended.wait(IDLE):
        assert not kept.closed and kept.ask() == 200


def _talk(balancer: Balancer, ended: Event) -> None:
    talk = Talk(balancer)
    talk.say("before")
    if not ended.wait(IDLE):
        talk.say("after")
