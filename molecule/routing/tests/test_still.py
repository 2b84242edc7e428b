"""What reaches a stack that is read while its host is frozen; after test_running, since it changes routes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from testinfra.host import Host

from .wire import CLIENT, Balancer, Talk, elsewhere

SHELF = "shelf.test.example"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


@pytest.fixture(scope="module")
def talk(balancer: Balancer) -> Talk:
    """A WebSocket of before."""
    assert balancer.status(SHELF, "/messages", body=b"x=1") == 201
    talk = Talk(balancer, SHELF)
    talk.say("before")
    return talk


@pytest.fixture(scope="module", autouse=True)
def _frozen(host: Host, balancer: Balancer, talk: Talk) -> Iterator[None]:
    host.check_output("drover lifecycle frozen")
    yield
    host.check_output("drover lifecycle active")
    assert balancer.status(SHELF, "/messages", body=b"x=1") == 201


def test_what_reads_is_answered(host: Host, balancer: Balancer) -> None:
    for path in ("/", "/x/y?z", "/paced"):
        assert balancer.ask(SHELF, path).seen["path"] == path
        assert balancer.status(SHELF, path, client=CLIENT) == 200
    assert elsewhere(host, SHELF, "/", "--head")[0] == 200
    assert elsewhere(host, SHELF, "/", "-X OPTIONS")[0] == 405, "the service's own answer"
    assert balancer.status(SHELF, "/staff") == 403


def test_all_else_gets_the_page(host: Host, balancer: Balancer) -> None:
    for path in ("/messages", "/paced", "/staff"):
        found = balancer.ask(SHELF, path, body=b"x=1")
        assert found.status == 503 and b"Back soon" in found.body
        assert found.headers["Retry-After"] == "120" and found.headers["Cache-Control"] == "no-store"
        assert balancer.status(SHELF, path, body=b"x=1", client=CLIENT) == 503
    for method in ("PUT", "DELETE", "PATCH", "PROPFIND"):
        status, body = elsewhere(host, SHELF, "/messages", f"-X {method}")
        assert status == 503 and "Back soon" in body, method


def test_no_new_websocket_and_those_of_before_go_on(balancer: Balancer, talk: Talk) -> None:
    assert balancer.status(SHELF, "/ws", headers=UPGRADE) == 503
    assert balancer.status("plain.test.example", "/messages", body=b"x=1") == 201, "it keeps no data"
    talk.say("still here")


def test_nothing_is_wrong_with_it(host: Host) -> None:
    assert host.run("drover apply --check --json").stdout.count('"changed": true') == 0
    found = {each["name"]: each for each in json.loads(host.run("drover status --json").stdout)["stacks"]}
    assert found["shelf"]["state"] == "fine", found["shelf"]
    assert host.check_output("drover lifecycle") == "this host is frozen: another one takes over from it"
