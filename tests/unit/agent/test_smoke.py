"""Smoke tests: what is asked of a stack that runs, by whom, and what counts as an answer."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from docker_model import Box, Place, runs_by
from drover import cli, proxy, smoke, smoketest
from drover.backups.engines import ENGINES
from drover.docker import parse
from drover.release import Manifest, Proxy, read
from drover.route import Route
from drover.run import DroverError, Result, runner
from drover.smoketest import Page, Port, Query
from drover.tls import Certificate, Tls

HOST = "shop.example.com"
SHOP = {"web": {"image": "web:1", "public": True}, "queue": {"image": "rabbitmq:4"}, "db": {"image": "pg:17"}}
UP = {"kind": "http", "host": HOST, "path": "/up?x=1", "status": 200}
QUEUE = {"kind": "tcp", "service": "queue", "port": 5672}
COUNT = {"kind": "sql", "service": "db", "engine": "postgres", "query": "SELECT 1", "at_least": 2}
LESS = {key: value for key, value in COUNT.items() if key != "at_least"}
BALANCER = ("10.20.0.0/24",)
(CONTAINER,) = parse(json.dumps([Box("a" * 64, "shop-db-1", "shop", "db", "", "pg:17", False).inspect()]))


class Site(ThreadingHTTPServer):
    """Answers `status` and `body`, and remembers who was asked for what."""

    def __init__(self) -> None:
        self.status, self.body = 200, "Welcome, Käse"
        self.asked: list[tuple[str, str]] = []
        self.protocols: list[str | None] = []
        super().__init__(("127.0.0.1", 0), Answers)


class Answers(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append((self.headers["Host"], self.path))
        self.server.protocols.append(self.headers["X-Forwarded-Proto"])
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body.encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[Site]:
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()


@pytest.fixture
def front() -> Iterator[Site]:
    """The proxy."""
    with serving() as site:
        yield site


@pytest.fixture
def back() -> Iterator[Site]:
    """The container."""
    with serving() as site:
        yield site


class Machine:
    """A host with a stack whose proxy is `front`; containers answer queries with `said`."""

    def __init__(self, here: Place, front: Site, back: Site) -> None:
        self.here, self.back = here, back
        self.said = Result(0, "2\n", "")
        self.queries: list[tuple[list[str], Mapping[str, str]]] = []
        here.docker.named("proxy-traefik-1").ports = {"80/tcp": f"0.0.0.0:{front.server_port}"}

    def __call__(
        self, command: Sequence[str], *, more: Mapping[str, str] | None = None, **how: Any
    ) -> Result:
        if command[:2] == ["docker", "exec"]:
            self.queries.append((list(command), more or {}))
            return self.said
        if command[0] == "nsenter":
            return runner()(command[2:])
        return self.here.docker(command, **how)

    @property
    def route(self) -> dict[str, Any]:
        return {"host": HOST, "path": "/", "service": "web", "port": self.back.server_port, "health": None}

    def runs(self, *tests: dict[str, Any], **more: Any) -> None:
        """The stack with these tests."""
        self.here.write("shop", SHOP, routes=[self.route], smoke=list(tests), **more)
        assert not self.here.apply().errors
        for box in self.here.docker.boxes.values():
            box.addresses = {"shop_public": "127.0.0.1", "shop_default": "127.0.0.1"}

    def led(self, settings: Proxy, *, maintenance: bool = False, https: bool = False) -> None:
        """The proxy as it is set, and what it goes by."""
        asked = Route(HOST, "/", "web", self.back.server_port, None, https=https)
        wish = Manifest("shop", routes=(asked,), proxy=settings, maintenance=maintenance)
        (self.here.layout.routes / "shop.yml").write_text(proxy.render(wish, {"web": ["shop-web-1"]}))

    def tests(self) -> list[dict[str, Any]]:
        """What became of each of the stack's tests."""
        (shop,) = smoke.smoke(self.here.layout, self, "shop")["stacks"]
        return list(shop["tests"])

    def one(self) -> tuple[bool, str]:
        """The same of its only one."""
        (test,) = self.tests()
        return test["passed"], test["came"]


@pytest.fixture
def machine(here: Place, front: Site, back: Site, fast: None) -> Machine:
    del fast
    return Machine(here, front, back)


@contextmanager
def listening() -> Iterator[int]:
    """A port of the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


# Pages


def test_a_page_is_asked_for_through_the_proxy(machine: Machine, front: Site, back: Site) -> None:
    machine.runs({**UP, "contains": "Käse"})
    (test,) = machine.tests()
    assert (test["asked"], test["came"], test["passed"]) == (f"GET {HOST}/up?x=1", "200", True)
    assert 0 <= test["seconds"] < 5
    assert front.asked == [(HOST, "/up?x=1")] and not back.asked
    assert front.protocols == [None], "nobody but a load balancer may say so"


@pytest.mark.parametrize(
    ("test", "status", "came"),
    [
        (UP, 503, "503, not 200"),
        ({**UP, "status": 404}, 200, "200, not 404"),
        ({**UP, "contains": "Goodbye"}, 200, '200 without "Goodbye"'),
    ],
)
def test_another_page_fails(
    machine: Machine, front: Site, test: dict[str, Any], status: int, came: str
) -> None:
    front.status = status
    machine.runs(test)
    assert machine.one() == (False, came)


def test_another_status_may_be_what_is_meant(machine: Machine, front: Site) -> None:
    front.status = 401
    machine.runs({**UP, "status": 401})
    assert machine.one() == (True, "401")


def test_a_proxy_that_is_not_there_fails(machine: Machine) -> None:
    machine.runs(UP)
    box = machine.here.docker.named("proxy-traefik-1")
    with listening() as port:
        box.ports = {"80/tcp": f"0.0.0.0:{port}"}
    passed, came = machine.one()
    assert not passed and came == f"127.0.0.1:{port}: Connection refused"
    box.ports = {}
    assert machine.one() == (False, "there is no proxy")


def test_where_no_route_leads_there_is_no_page(machine: Machine) -> None:
    machine.runs(UP, {**UP, "host": "www.example.com"})
    (machine.here.layout.routes / "shop.yml").unlink()
    assert [test["came"] for test in machine.tests()] == ["the proxy has no route there"] * 2


def test_the_longest_route_leads() -> None:
    def route(path: str, **more: Any) -> Route:
        return Route(HOST, path, path.strip("/") or "web", 80, None, **more)

    wish = Manifest(
        "shop", routes=(route("/"), route("/api/"), route("/%61"), route("/b"), route("/b/c", priority=-1))
    )
    led = proxy.source.of(wish, {})
    asked = {"/apix": "web", "/api": "api", "/%61pi/v1?q=/b": "api", "/b/c": "b"}
    assert {path: smoke._route(led, Page(HOST, path, 200)).service for path in asked} == asked  # type: ignore[union-attr]


# What the proxy answers by itself


def test_in_maintenance_the_containers_are_asked(machine: Machine, front: Site, back: Site) -> None:
    machine.runs({**UP, "contains": "Welcome"})
    machine.led(Proxy(), maintenance=True)
    front.status = 503
    assert machine.one() == (True, "200 (maintenance from the proxy)")
    assert back.asked == [(HOST, "/up?x=1")] and back.protocols == ["http"]
    assert smoke.smoke(machine.here.layout, machine)["stacks"][0]["maintenance"] is True
    back.status = 500
    assert machine.one() == (False, "shop-web-1: 500, not 200 (maintenance from the proxy)")
    front.status = 404
    assert machine.one() == (False, "404 from the proxy, not maintenance")


def test_a_redirect_to_tls_that_ends_before_the_host(machine: Machine, front: Site, back: Site) -> None:
    machine.runs(UP)
    machine.led(Proxy(trusted=BALANCER), https=True)
    front.status = 301
    assert machine.one() == (True, "200 (a redirect to https from the proxy)")
    assert back.protocols == ["https"]
    front.status = 200
    assert machine.one() == (False, "200 from the proxy, not a redirect to https")


def test_containers_without_an_address_or_a_life(machine: Machine, front: Site) -> None:
    machine.runs(UP)
    machine.led(Proxy(), maintenance=True)
    front.status = 503
    box = machine.here.docker.named("shop-web-1")
    box.addresses = {}
    assert "shop-web-1: it has no address on its public network" in machine.one()[1]
    box.status = "exited"
    assert machine.one() == (False, "no container of web runs (maintenance from the proxy)")


def test_with_a_certificate_it_is_asked_by_tls(machine: Machine, front: Site, tmp_path: Path) -> None:
    """Whoever signed it: the name counts, by which the proxy finds it."""
    file = tmp_path / "shop.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*made, "-subj", "/CN=x", "-keyout", file, "-out", file], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)  # type: ignore[assignment, func-returns-value]
    front.socket = context.wrap_socket(front.socket, server_side=True)
    machine.runs({**UP, "contains": "Welcome"})
    machine.led(Proxy(tls=Tls(), certificates={HOST: Certificate("given/shop.pem", 1)}), https=True)
    machine.here.docker.named("proxy-traefik-1").ports = {"443/tcp": f"0.0.0.0:{front.server_port}"}
    assert machine.one() == (True, "200")
    assert names == [HOST] and front.asked == [(HOST, "/up?x=1")]


# Ports


def test_a_port_is_tried_from_inside_each_container(machine: Machine) -> None:
    with listening() as port:
        machine.runs({**QUEUE, "port": port})
        (test,) = machine.tests()
        assert (test["asked"], test["came"]) == (f"connect to queue:{port}", "connected") and test["passed"]
    passed, came = machine.one()
    assert not passed and came.startswith("shop-queue-1: ") and came.endswith("Connection refused")


def test_one_container_of_several_is_enough_to_fail(machine: Machine) -> None:
    with listening() as port:
        services = {**SHOP, "queue": {**SHOP["queue"], "replicas": 2}}
        machine.here.write("shop", services, smoke=[{**QUEUE, "port": port}])
        machine.here.apply()
        for number in (1, 2):
            machine.here.docker.named(f"shop-queue-{number}").addresses = {"shop_default": "127.0.0.1"}
        assert machine.one() == (True, "connected")
        machine.here.docker.named("shop-queue-2").addresses = {}
        assert machine.one() == (False, "shop-queue-2: it has no address")


def test_nobody_is_no_connection(machine: Machine) -> None:
    machine.runs(QUEUE)
    machine.here.docker.named("shop-queue-1").status = "exited"
    assert machine.one() == (False, "no container of queue runs")


# Queries


@pytest.mark.parametrize(
    ("test", "said", "expected"),
    [
        (COUNT, "2\n", (True, "2")),
        (COUNT, "1\n", (False, "1, not 2 or more")),
        (COUNT, "2.5", (True, "2.5")),
        (COUNT, "NaN", (False, "NaN, which is no number")),
        (COUNT, "", (False, "nothing, which is no number")),
        (COUNT, "2|3\n4|5\n", (False, "2|3 4|5, which is no number")),
        ({"answer": "yes"}, "yes\n", (True, "yes")),
        ({"answer": "yes\n"}, "yes\n", (True, "yes")),
        ({"answer": "yes"}, "yes or no\n", (False, "yes or no, not yes")),
        ({"answer": "yes"}, "", (False, "nothing, not yes")),
        ({"answer": ""}, "\n", (True, "nothing")),
        ({"answer": ""}, "x\n", (False, "x, not nothing")),
    ],
)
def test_answers_of_a_query(test: dict[str, Any], said: str, expected: tuple[bool, str]) -> None:
    (query,) = smoketest.read("x", [{**LESS, **test}], SHOP)
    assert isinstance(query, Query)
    came = smoke._query(lambda *_, **__: Result(0, said, ""), CONTAINER, query)
    assert came[::-1] == expected


def test_a_query_is_asked_in_the_server_s_own_container(machine: Machine) -> None:
    machine.runs(COUNT)
    (test,) = machine.tests()
    assert (test["asked"], test["came"], test["passed"]) == ("ask db: SELECT 1", "2", True)
    machine.said = Result(0, "1\n", "")
    assert machine.one() == (False, "shop-db-1: 1, not 2 or more")


def test_a_query_that_fails_says_why(machine: Machine) -> None:
    machine.said = Result(1, "", 'ERROR:  relation "x" does not exist\nLINE 1: SELECT x\n')
    machine.runs(COUNT)
    came = 'ERROR: relation "x" does not exist LINE 1: SELECT x'
    assert machine.one() == (False, f"shop-db-1: {came}")


def test_a_query_is_a_variable_and_no_word_of_the_shell(machine: Machine) -> None:
    odd = "SELECT '$(reboot)'; \"`reboot`\" \\! reboot"
    machine.runs({**COUNT, "query": odd, "name": "the books"})
    machine.tests()
    [(command, variables)] = machine.queries
    assert variables == {"QUERY": odd, "BASE": "the books", "LIMIT": "30"}
    db = machine.here.docker.named("shop-db-1").identity
    assert command[2:-3] == ["--env=QUERY", "--env=BASE", "--env=LIMIT", db]
    assert not any("reboot" in word or "books" in word for word in command)


def test_no_secret_is_shown(machine: Machine) -> None:
    machine.said = Result(1, "", "the password k4nary-6b1f is wrong")
    machine.runs(COUNT, secrets={"db/password": "k4nary-6b1f"})
    assert "k4nary" not in machine.one()[1] and "is wrong" in machine.one()[1]


# The shell beside the engines

CLIENT = """#!/bin/sh
env | grep -E '^(PG|MYSQL_PWD)' | sort
for word in "$@"; do printf '[%s]\\n' "$word"; done
[ -t 0 ] || cat
"""
ODD = "SELECT '$(touch pwned)'; \"`touch pwned`\" \\! touch pwned"


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., str]:
    """asked(engine, client, **variables) → what the client was called with, and its standard input."""

    def ask(engine: str, client: str, **variables: str) -> str:
        path = tmp_path / "bin" / client
        path.parent.mkdir()
        path.write_text(CLIENT)
        path.chmod(0o755)
        done = subprocess.run(
            ["sh", "-c", f"{ENGINES[engine].SCRIPT}\nask"],
            env={"PATH": f"{path.parent}:/usr/bin:/bin", "QUERY": ODD, "LIMIT": "30", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=True,
        )
        assert os.listdir(tmp_path) == ["bin"], "nothing was carried out"  # noqa: PTH208
        return done.stdout

    return ask


@pytest.mark.parametrize(
    ("variables", "base", "user"),
    [
        ({}, "postgres", "postgres"),
        ({"POSTGRES_USER": "shop"}, "shop", "shop"),
        ({"POSTGRES_USER": "shop", "POSTGRES_DB": "books"}, "books", "shop"),
        ({"POSTGRES_DB": "books", "BASE": "host=x odd"}, "host=x odd", "postgres"),
    ],
)
def test_postgres_reads_only_and_not_for_ever(
    asked: Callable[..., str], variables: dict[str, str], base: str, user: str
) -> None:
    said = asked("postgres", "psql", POSTGRES_PASSWORD="k4nary", **variables)
    assert f"PGDATABASE={base}\n" in said and f"PGUSER={user}\n" in said and "PGPASSWORD=k4nary\n" in said
    options = "-c default_transaction_read_only=on -c statement_timeout=30s"
    assert f"PGOPTIONS={options}\n" in said
    assert f"[-c]\n[ {ODD}]\n" in said, "a space before it: psql's own commands begin with a backslash"


@pytest.mark.parametrize("client", ["mariadb", "mysql"])
def test_mariadb_reads_only_and_not_for_ever(asked: Callable[..., str], client: str) -> None:
    said = asked("mariadb", client, MYSQL_ROOT_PASSWORD="k4nary", MYSQL_DATABASE="books")
    assert "[--binary-mode]\n" in said, "without it \\! is a command of the client"
    assert "[--database=books]\n" in said and "MYSQL_PWD=k4nary\n" in said
    limit = "max_statement_time=30" if client == "mariadb" else "max_execution_time=30000"
    assert said.endswith(f"SET SESSION TRANSACTION READ ONLY;\nSET SESSION {limit};\n{ODD};\n")


def test_a_database_of_another_name(asked: Callable[..., str]) -> None:
    assert "[--database=odd `name`]\n" in asked("mariadb", "mariadb", BASE="odd `name`")


# The manifest


def test_what_a_manifest_says() -> None:
    found = smoketest.read("x", [UP, QUEUE, COUNT, {**UP, "contains": "x\ny"}], SHOP)
    assert found == (
        Page(HOST, "/up?x=1", 200),
        Port("queue", 5672),
        Query("db", "postgres", "SELECT 1", at_least=2),
        Page(HOST, "/up?x=1", 200, "x\ny"),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "x",
        {},
        {**UP, "kind": "udp"},
        {**UP, "host": "a b"},
        {**UP, "path": "up"},
        {**UP, "path": "/a\r\nX: y"},
        {**UP, "status": "200"},
        {**UP, "status": 600},
        {**UP, "contains": ""},
        {**UP, "port": 80},
        {**QUEUE, "service": "other"},
        {**QUEUE, "port": 0},
        {**COUNT, "service": "other"},
        {**COUNT, "engine": "valkey"},
        {**COUNT, "query": "SELECT\0"},
        {**COUNT, "query": ""},
        {**COUNT, "at_least": True},
        {**COUNT, "answer": "x"},
        LESS,
        {**COUNT, "name": 5},
    ],
)
def test_a_manifest_that_says_something_else_is_refused(wrong: Any) -> None:
    with pytest.raises(DroverError, match="manifest of shop: smoke"):
        smoketest.read("manifest of shop: smoke", [UP, wrong], SHOP)


def test_the_tests_of_a_manifest_are_read_with_it(here: Place) -> None:
    assert read(here.told("shop", here.write("shop", SHOP))).smoke == ()
    assert read(here.told("shop", here.write("shop", SHOP, smoke=[QUEUE]))).smoke == (Port("queue", 5672),)
    with pytest.raises(DroverError, match="manifest of shop: smoke: not a list"):
        read(here.told("shop", here.write("shop", SHOP, smoke="x")))


# The verb


def said(machine: Machine, *words: str) -> int:
    return cli.main(["--root", str(machine.here.layout.root), "smoke", *words])


def test_the_verb_tells_every_test(
    machine: Machine, front: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs_by(monkeypatch, machine)
    machine.here.write("bare", {"web": {"image": "web:1"}})
    machine.runs(UP, COUNT)
    changes = machine.here.docker.changes
    assert said(machine) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["passed", "shop", "GET", f"{HOST}/up?x=1", "200", lines[0].split()[-2], "s"]
    assert lines[1].startswith("passed  shop  ask db: SELECT 1 ") and lines[1].endswith(" s")
    assert lines[2:] == ["bare: no smoke tests"]
    front.status = 500
    assert said(machine) == 1
    assert "FAILED  shop  GET" in capsys.readouterr().out
    assert said(machine, "bare", "--json") == 0
    none = {"name": "bare", "maintenance": False, "problem": "", "tests": []}
    assert json.loads(capsys.readouterr().out) == {"passed": True, "stacks": [none]}
    assert said(machine, "shop", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["passed"] is False and len(answer["stacks"][0]["tests"]) == 2
    assert said(machine, "other") == 1
    assert "there is no stack other" in capsys.readouterr().err
    assert machine.here.docker.changes == changes and not machine.here.docker.table


def test_without_tests_nobody_is_asked(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.runs()
    runs_by(monkeypatch, machine)
    machine.here.docker.commands.clear()
    machine.led(Proxy(), maintenance=True)
    assert said(machine, "shop") == 0
    assert capsys.readouterr().out.splitlines() == [
        "shop: in maintenance",
        "shop: no smoke tests",
    ]
    assert not machine.here.docker.commands


def test_a_stack_that_cannot_be_read_has_not_passed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.runs(UP)
    runs_by(monkeypatch, machine)
    release = machine.here.link("shop", "current")
    (machine.here.layout.release("shop", release) / "manifest.json").write_text("{")
    assert said(machine) == 1
    assert "shop: " in (out := capsys.readouterr().out) and "cannot be read" in out


def test_what_stands_is_asked_and_not_what_is_wanted(machine: Machine) -> None:
    machine.runs(UP)
    machine.here.write("shop", SHOP, smoke=[QUEUE, COUNT])
    assert [test["asked"] for test in machine.tests()] == [f"GET {HOST}/up?x=1"]
