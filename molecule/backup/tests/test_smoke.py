"""Smoke tests: a page, a port and a query pass on what runs, and each fails on what does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from shared.scenario import eventually, service, started
from testinfra.host import Host

from .conftest import Jobs
from .engines import LEDGER, SHOP

Asked = dict[str, Any]

PAGE: Asked = {"kind": "http", "host": "ledger.test.example", "path": "/items", "status": 200}
LEDGER_QUERY: Asked = {"kind": "sql", "service": "db", "engine": "postgres"}
SHOP_QUERY = {**LEDGER_QUERY, "engine": "mariadb"}
ESCAPE = "\\! touch /tmp/smoked"
WRONG: dict[str, list[tuple[Asked, str]]] = {
    "ledger": [
        ({**PAGE, "status": 404}, "200, not 404"),
        ({**PAGE, "contains": "Drittes"}, '200 without "Drittes"'),
        ({**PAGE, "host": "nobody.test.example"}, "the proxy has no route there"),
        ({"kind": "tcp", "service": "db", "port": 5433}, "Connection refused"),
        ({**LEDGER_QUERY, "query": "SELECT count(*) FROM bookings", "at_least": 501}, "500, not 501 or more"),
        ({**LEDGER_QUERY, "query": "DELETE FROM bookings", "answer": ""}, "read-only transaction"),
        ({**LEDGER_QUERY, "query": ESCAPE, "answer": ""}, "syntax error"),
        ({**LEDGER_QUERY, "query": "SELECT 1", "name": "nobody", "at_least": 1}, 'database "nobody"'),
    ],
    "shop": [
        ({**SHOP_QUERY, "query": "SELECT COUNT(*) FROM orders", "at_least": 501}, "500, not 501 or more"),
        ({**SHOP_QUERY, "query": "DELETE FROM orders", "answer": ""}, "ERROR 1792"),
        ({**SHOP_QUERY, "query": ESCAPE, "answer": ""}, "Unknown command"),
        ({**SHOP_QUERY, "query": "SELECT 1", "name": "nobody", "at_least": 1}, "Unknown database"),
    ],
}
LIMITS: dict[str, list[tuple[Asked, str]]] = {
    "ledger": [({**LEDGER_QUERY, "query": "SHOW statement_timeout", "answer": "30s"}, "30s")],
    "shop": [
        ({**SHOP_QUERY, "query": "SELECT @@max_statement_time", "answer": "30.000000"}, "30.000000"),
        (
            {**SHOP_QUERY, "query": "SELECT COUNT(*) FROM shop.orders", "name": "empty", "at_least": 500},
            "500",
        ),
    ],
}


@pytest.fixture(scope="module", autouse=True)
def _rows(host: Host, filled: Jobs) -> None:
    """Whatever other tests left: 500 rows in each of the two."""
    for engine in (LEDGER, SHOP):
        host.check_output(engine.fill)


def asked(host: Host, stack: str, status: int = 0) -> list[dict[str, Any]]:
    """What became of each of the stack's tests."""
    done = host.run(f"drover smoke {stack} --json")
    assert done.rc == status, done.stdout + done.stderr
    (found,) = json.loads(done.stdout)["stacks"]
    return list(found["tests"])


@contextmanager
def instead(host: Host, stack: str, tests: list[dict[str, Any]]) -> Iterator[None]:
    """The stack as one whose inventory has these tests."""
    path = f"/srv/stacks/{stack}/current/manifest.json"
    changed = json.dumps({**json.loads(host.file(path).content_string), "smoke": tests})
    host.check_output(f"cp -a {path} /root/manifest && cat >{path} <<'END'\n{changed}\nEND")
    try:
        yield
    finally:
        host.check_output(f"cp -a /root/manifest {path}")


def test_every_kind_passes_and_touches_nothing(host: Host) -> None:
    before = started(host)
    assert [(each["asked"], each["came"]) for each in asked(host, "ledger")] == [
        ("GET ledger.test.example/items", "200"),
        ("connect to db:5432", "connected"),
        ("ask db: SELECT count(*) FROM bookings", "500"),
    ]
    done = host.run("drover smoke")
    assert done.rc == 0 and done.stdout.count("passed") == 4, done.stdout
    assert "cache: no smoke tests" in done.stdout.splitlines()
    assert started(host) == before


@pytest.mark.parametrize("stack", [*WRONG])
def test_what_is_not_there_fails_and_nothing_is_carried_out(host: Host, stack: str) -> None:
    with instead(host, stack, [test for test, _ in WRONG[stack]]):
        found = asked(host, stack, status=1)
    for each, (test, expected) in zip(found, WRONG[stack], strict=True):
        assert not each["passed"] and expected in each["came"], (test, each)
    assert not host.check_output(f"docker diff {service(host, stack, 'db')} | grep smoked || true")
    assert not host.file("/tmp/smoked").exists
    assert all(each["passed"] for each in asked(host, stack)), "every row is still there"


@pytest.mark.parametrize("stack", [*LIMITS])
def test_a_query_has_a_time_limit_and_a_database(host: Host, stack: str) -> None:
    with instead(host, stack, [test for test, _ in LIMITS[stack]]):
        found = asked(host, stack)
    assert [each["came"] for each in found] == [came for _, came in LIMITS[stack]]


def test_a_page_of_a_container_that_fell(host: Host) -> None:
    name = service(host, "ledger", "web")
    host.check_output(f"docker stop -t 1 {name}")
    try:
        page, port, query = asked(host, "ledger", status=1)
        assert page["came"] in {f"{status}, not 200" for status in (502, 503, 504)}
        assert port["passed"] and query["passed"]
    finally:
        host.check_output(f"docker start {name}")
    assert eventually(lambda: host.run("drover smoke ledger").rc == 0, 20)
