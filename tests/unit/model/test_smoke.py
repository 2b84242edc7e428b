# GPL-3.0-or-later
"""Smoke tests of a stack: what the agent is told, and what is refused: nobody to ask, nothing to fail by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.drover.platform.plugins.plugin_utils import release
from drover.release import read
from drover.smoketest import Page, Port, Query

COMPOSE = """
services:
  web: {image: 'web:1', healthcheck: {test: [CMD, x]}}
  queue: {image: 'rabbitmq:4.1'}
  db: {image: 'postgres:17.5', volumes: ['db:/var/lib/postgresql/data']}
  shop: {image: 'acme/sql:3', labels: {drover.engine: mariadb}, volumes: ['shop:/var/lib/mysql'], HEALTH}
  cache: {image: 'valkey/valkey:8.1.1'}
  job: {image: 'web:1', restart: 'no'}
  none: {image: 'web:1', scale: 0, HEALTH}
  tools: {image: 'web:1', profiles: [tools], HEALTH}
volumes: {db: , shop: }
""".replace("HEALTH", "healthcheck: {test: [CMD, x]}")
ROUTES = [
    {"host": "Shop.example.com", "service": "web", "port": 80, "redirect_from": ["www.example.com"]},
    {"host": "api.example.com", "path": "/v1/", "service": "web", "port": 80},
]
UP = {"host": "shop.example.com"}
QUEUE = {"service": "queue", "port": 5672}
COUNT = {"database": "db", "query": "SELECT count(*) FROM bookings", "at_least": 1}


@pytest.fixture
def said(wrong: Callable[..., str]) -> Callable[..., str]:
    """said(test) → the problems of the stack with this test."""
    return lambda *tests, **data: wrong(COMPOSE, **{"routes": ROUTES, "smoke": [*tests], **data})


def test_what_the_agent_is_told(released: Callable[..., release.Release]) -> None:
    tests = [
        UP,
        {"host": "API.example.com", "path": "/v1?page=2", "status": 401, "contains": "Käse"},
        QUEUE,
        COUNT,
        {"database": "shop", "name": "the books", "query": "SELECT 'x'\n", "answer": ""},
    ]
    made = released(COMPOSE, routes=ROUTES, smoke=tests)
    assert read(made.manifest).smoke == (
        Page("shop.example.com", "/", 200),
        Page("api.example.com", "/v1?page=2", 401, "Käse"),
        Port("queue", 5672),
        Query("db", "postgres", "SELECT count(*) FROM bookings", at_least=1),
        Query("shop", "mariadb", "SELECT 'x'\n", "the books", answer=""),
    )


def test_a_stack_without_any_keeps_its_release(released: Callable[..., release.Release]) -> None:
    """Its name is the hash of what the manifest says."""
    assert "smoke" not in released(COMPOSE, routes=ROUTES).manifest
    assert "smoke" not in released(COMPOSE, routes=ROUTES, smoke=[]).manifest


def test_the_short_form_has_a_host_name_too(released: Callable[..., release.Release]) -> None:
    test = {"host": "a.example.com", "path": "/up"}
    text = "services: {app: {image: 'a:1'}}"
    made = released(text, host="a.example.com", port=80, health="/up", smoke=[test])
    assert made.manifest["smoke"] == [{"kind": "http", "host": "a.example.com", "path": "/up", "status": 200}]


def test_a_database_that_is_not_backed_up(released: Callable[..., release.Release]) -> None:
    made = released(COMPOSE, routes=ROUTES, smoke=[COUNT], backup={"db": False})
    assert [job["name"] for job in made.manifest["backups"]] == ["shop"] and made.manifest["smoke"]


def without(test: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in test.items() if name != key}


MISTAKES = [
    # which keys stand together
    ({}, "smoke[0]: nothing says what is asked; write host, service or database"),
    ({"path": "/up"}, "smoke[0]: nothing says what is asked; write host, service or database"),
    ({**UP, **QUEUE}, "smoke[0]: found host and service in one test; write a test for each"),
    ({**UP, **COUNT}, "smoke[0]: found host and database in one test; write a test for each"),
    ({**UP, "port": 80}, "smoke[0].port: it does not stand with host; remove it; with host stand: path,"),
    ({**QUEUE, "query": "SELECT 1"}, "smoke[0].query: it does not stand with service; remove it"),
    ({**COUNT, "status": 200}, "smoke[0].status: it does not stand with database; remove it"),
    (without(QUEUE, "port"), 'smoke[0]: the key "port" is missing; write port: and the port inside'),
    (without(COUNT, "query"), 'smoke[0]: the key "query" is missing; write query: and the SQL'),
    (without(COUNT, "at_least"), "smoke[0]: nothing says what the answer has to be; write at_least or"),
    ({**COUNT, "answer": "1"}, "smoke[0]: found at_least and answer; remove one of them"),
    ({"rote": "x"}, "smoke[0].rote: no such key"),
    # host names and paths
    ({"host": "shpo.example.com"}, 'has the host name "shpo.example.com"; did you mean "shop.example.com"?'),
    ({"host": "www.example.com"}, "write one of: api.example.com, shop.example.com"),
    ({"host": "a b"}, 'smoke[0].host: "a b" is not a host name'),
    ({"host": "api.example.com"}, 'smoke[0].path: no route of the stack leads to "/"; write a path that'),
    (
        {"host": "api.example.com", "path": "/v1x"},
        'leads to "/v1x"; write a path that begins with one of: /v1',
    ),
    ({**UP, "path": "up"}, 'smoke[0].path: "up" is not a path'),
    ({**UP, "status": "200"}, 'smoke[0].status: found text ("200") instead of a number'),
    ({**UP, "status": 20}, "smoke[0].status: 20 is too small"),
    ({**UP, "contains": " "}, "smoke[0].contains: found nothing; write text, or remove it"),
    ({**UP, "contains": "a\0"}, "smoke[0].contains: it holds U+0000"),
    # services
    ({**QUEUE, "service": "que"}, 'smoke[0].service: there is no service "que"'),
    ({**QUEUE, "service": "tools"}, 'smoke[0].service: "tools" starts only with a profile'),
    ({**QUEUE, "service": "job"}, 'smoke[0].service: "job" runs once'),
    ({**QUEUE, "service": "none"}, 'smoke[0].service: "none" runs 0 times, so that nothing would answer'),
    ({**QUEUE, "port": 0}, "smoke[0].port: 0 is not a port"),
    # databases
    ({**COUNT, "database": "dbb"}, 'smoke[0].database: there is no service "dbb"'),
    (
        {**COUNT, "database": "cache"},
        '"cache" is no service with PostgreSQL, MariaDB or MySQL; write one of: db',
    ),
    ({**COUNT, "query": "\n"}, "smoke[0].query: found nothing"),
    ({**COUNT, "query": "x" * 10_001}, "smoke[0].query: it is too long; write 10000 characters or less"),
    ({**COUNT, "name": "a\x1bb"}, "smoke[0].name: it holds U+001B"),
    ({**COUNT, "at_least": 0}, "smoke[0].at_least: 0 is too small"),
    ({**without(COUNT, "at_least"), "answer": 1}, "smoke[0].answer: found a number (1) instead of text; put"),
]


@pytest.mark.parametrize(("test", "expected"), MISTAKES)
def test_each_mistake_is_one_problem_that_names_the_key(
    said: Callable[..., str], test: dict[str, Any], expected: str
) -> None:
    [problem] = said(test).splitlines()
    assert expected in problem


def test_the_second_test_is_named(said: Callable[..., str]) -> None:
    assert "drover_stacks[0].smoke[1].port: it does not stand" in said(UP, {**UP, "port": 1})


def test_a_stack_without_routes_or_databases(wrong: Callable[..., str]) -> None:
    text = "services: {web: {image: 'web:1', healthcheck: {test: [CMD, x]}}}"
    told = wrong(text, smoke=[UP, {**COUNT, "database": "web"}])
    assert 'host name "shop.example.com"; write a route for it' in told
    assert '"web" is no service with PostgreSQL, MariaDB or MySQL; remove the test' in told


def test_a_broken_route_is_told_alone(said: Callable[..., str]) -> None:
    [problem] = said(UP, routes=[{**ROUTES[0], "port": "80"}]).splitlines()
    assert "routes[0].port" in problem
