# GPL-3.0-or-later
"""`drover smoke`: asks what the stacks' smoke tests say. It changes nothing, and needs no lock for it."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, NamedTuple
from urllib.parse import unquote

from drover import health, record, routes
from drover.backups import servers
from drover.backups.engines import ENGINES
from drover.docker import Container, observe, of_stack
from drover.layout import PROXY, PROXY_PORT, Layout
from drover.proxy import source
from drover.proxy.source import Source
from drover.release import Manifest
from drover.route import Route
from drover.run import DroverError, Runner
from drover.smoketest import Page, Port, Query, Test
from drover.table import aligned
from drover.wishes import every, standing

LOOPBACK = "127.0.0.1"
TLS_PORT = 443  # in the proxy's container
SECONDS = 10.0  # for a connection, and for each silence of whoever answers
LIMIT = 30  # seconds for a query
LARGEST = 4 << 20  # bytes of a page that are looked through
SHOWN = 100  # characters of an answer
MAINTENANCE, TO_TLS = "maintenance", "a redirect to https"
ITSELF = {MAINTENANCE: (503,), TO_TLS: (301, 308)}
"""What the proxy answers by itself, and with which status."""
CONNECT = f"import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), {SECONDS})"

Came = tuple[str, bool]
"""What came, and whether it is what has to come."""


class Here(NamedTuple):
    """One stack that runs, and how to ask it."""

    run: Runner
    containers: tuple[Container, ...]  # of all stacks
    wish: Manifest
    led: Source | None  # what the proxy goes by


class Outcome(NamedTuple):
    """One test: what was asked, what came, how long it took."""

    asked: str
    came: str
    passed: bool
    seconds: float


def smoke(layout: Layout, run: Runner, only: str = "") -> dict[str, Any]:
    """Every test of the stacks as they stand, as plain data; `passed` says whether all did."""
    wishes = every(layout, standing)
    own = [wish for wish in wishes.stacks.values() if not wish.absent and _is_meant(wish.stack, only)]
    odd = {name: text for name, text in wishes.problems.items() if _is_meant(name, only)}
    if not own and not odd:
        raise DroverError(f"there is no stack{f' {only}' if only else ''} on this host")
    containers = observe(run) if any(wish.smoke for wish in own) else ()
    found = [_stack(layout, Here(run, containers, wish, _led(layout, wish.stack))) for wish in own]
    found += [
        {"name": name, "maintenance": False, "problem": text, "tests": []} for name, text in odd.items()
    ]
    passed = not odd and all(test["passed"] for each in found for test in each["tests"])
    return {"passed": passed, "stacks": sorted(found, key=lambda each: str(each["name"]))}


def _is_meant(stack: str, only: str) -> bool:
    return stack == only if only else stack != PROXY


def _stack(layout: Layout, here: Here) -> dict[str, Any]:
    hide = record.redactor(layout) if here.wish.smoke else str
    return {
        "name": here.wish.stack,
        "maintenance": here.led is not None and here.led.maintenance,
        "problem": "",
        "tests": [_outcome(here, test, hide)._asdict() for test in here.wish.smoke],
    }


def _outcome(here: Here, test: Test, hide: Callable[[str], str]) -> Outcome:
    began = time.monotonic()
    if isinstance(test, Page):
        came, passed = _page(here, test)
    elif isinstance(test, Port):
        came, passed = _each(here, test.service, lambda each: _port(here.run, each, test.port))
    else:
        came, passed = _each(here, test.service, lambda each: _query(here.run, each, test))
    return Outcome(test.asked, hide(came), passed, round(time.monotonic() - began, 3))


def _each(here: Here, service: str, ask: Callable[[Container], Came]) -> Came:
    """All running containers of the service have to answer so."""
    own = [each for each in of_stack(here.containers, here.wish.stack) if each.service == service]
    answers = [(each.name, *ask(each)) for each in own if each.running]
    wrong = [f"{name}: {came}" for name, came, passed in answers if not passed]
    if wrong or not answers:
        return "; ".join(wrong) or f"no container of {service} runs", False
    return ", ".join(dict.fromkeys(came for _, came, _ in answers)), True


# A page


def _led(layout: Layout, stack: str) -> Source | None:
    """What the stack's route file is made of; None without one that can be read."""
    try:
        return source.read(routes.read(layout, stack))
    except (DroverError, ValueError):
        return None


def _page(here: Here, page: Page) -> Came:
    """As a client would ask; where the proxy answers by itself, the containers behind it are asked too."""
    led = here.led
    route = _route(led, page) if led else None
    if not led or not route:
        return "the proxy has no route there", False
    secure = bool(led.certificate(route.host))
    port = _published(here.containers, TLS_PORT if secure else PROXY_PORT)
    if not port:
        return "there is no proxy", False
    status, body = _get(LOOPBACK, port, page, secure=secure)
    itself = _itself(led, route, secure)
    if not itself:
        return _judged(page, status, body)
    if status not in ITSELF[itself]:
        return f"{status} from the proxy, not {itself}" if status else body, False
    headers = {"X-Forwarded-Proto": "https" if secure or route.https else "http"}
    came, passed = _each(here, route.service, lambda each: _behind(here, route, page, each, headers))
    return f"{came} ({itself} from the proxy)", passed


def _itself(led: Source, route: Route, secure: bool) -> str:
    """What the proxy answers in the stack's place. Only a load balancer is believed that TLS ended before."""
    if led.maintenance:
        return MAINTENANCE
    return TO_TLS if led.forced(route) and not secure else ""


def _route(led: Source, page: Page) -> Route | None:
    """The route by which the proxy leads there."""
    path = unquote(page.path.partition("?")[0])
    found = [each for each in led.routes if each.host == page.host and _is_below(path, each.path.rstrip("/"))]
    return max(found, key=lambda each: each.rank, default=None)


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def _published(containers: tuple[Container, ...], inside: int) -> int:
    """The port of the host that leads to this one of the proxy's; 0 without."""
    ends = [end for each in of_stack(containers, PROXY) for end in each.ports.get(f"{inside}/tcp", ())]
    return next((port for address, port in ends if ":" not in address), 0)


def _behind(here: Here, route: Route, page: Page, each: Container, headers: Mapping[str, str]) -> Came:
    address = health.address(here.wish.stack, each)
    if not address:
        return "it has no address on its public network", False
    return _judged(page, *_get(address, route.port, page, headers))


def _judged(page: Page, status: int, body: str) -> Came:
    """A status of 0 is no answer, and the body says why."""
    if not status:
        return body, False
    if status != page.status:
        return f"{status}, not {page.status}", False
    if page.contains not in body:
        return f'{status} without "{_short(page.contains)}"', False
    return str(status), True


def _get(
    address: str, port: int, page: Page, headers: Mapping[str, str] | None = None, *, secure: bool = False
) -> tuple[int, str]:
    """One GET of the page; status and body, or 0 and why there is none."""
    try:
        with socket.create_connection((address, port), SECONDS) as plain:
            connection = HTTPConnection(page.host)
            connection.sock = _tls().wrap_socket(plain, server_hostname=page.host) if secure else plain
            told = {"User-Agent": "drover", "Accept": "*/*", "Connection": "close", **(headers or {})}
            connection.request("GET", page.path, headers=told)
            answer = connection.getresponse()
            return answer.status, _body(answer) if page.contains else ""
    except (OSError, HTTPException) as error:
        why = getattr(error, "strerror", "") or str(error) or type(error).__name__
        return 0, f"{address}:{port}: {why}"


def _tls() -> ssl.SSLContext:
    """Whoever asks for certificates judges them; here the page counts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _body(answer: HTTPResponse) -> str:
    """As much as comes in time."""
    found, until = b"", time.monotonic() + SECONDS
    while len(found) < LARGEST and time.monotonic() < until and (more := answer.read1(1 << 16)):
        found += more
    return found.decode("utf-8", "replace")


# A port


def _port(run: Runner, each: Container, port: int) -> Came:
    """From inside its own network, since the host has no way into a stack's."""
    address = next(filter(None, each.networks.values()), "")
    if not address:
        return "it has no address", False
    enter = ["nsenter", f"--net=/proc/{each.pid}/ns/net"]
    done = run([*enter, sys.executable, "-I", "-c", CONNECT, address, str(port)], timeout=SECONDS + 5)
    return (done.words.splitlines()[-1], False) if done.code else ("connected", True)


# A query


def _query(run: Runner, each: Container, query: Query) -> Came:
    engine, variables = ENGINES[query.engine], {"QUERY": query.query, "BASE": query.name, "LIMIT": str(LIMIT)}
    done = servers.ask(run, each.identity, engine, "ask", LIMIT + SECONDS, **variables)
    return (_short(done.words), False) if done.code else _answered(query, done.out.rstrip("\n"))


def _answered(query: Query, said: str) -> Came:
    shown = _short(said) or "nothing"
    if query.answer is not None:
        same = said == query.answer.rstrip("\n")
        return (shown, True) if same else (f"{shown}, not {_short(query.answer) or 'nothing'}", False)
    try:
        enough = Decimal(said) >= (query.at_least or 0)
    except InvalidOperation:
        return f"{shown}, which is no number", False
    return (shown, True) if enough else (f"{shown}, not {query.at_least} or more", False)


def _short(text: str) -> str:
    """On one line, and not longer than a person wants to read."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


# The table


def table(found: Mapping[str, Any]) -> str:
    """The same for a person: a line for each test, and what else there is to say of a stack."""
    tests = [(each["name"], test) for each in found["stacks"] for test in each["tests"]]
    rows = [
        ("passed" if test["passed"] else "FAILED", name, _short(test["asked"]), test["came"], _took(test))
        for name, test in tests
    ]
    notes = [f"{each['name']}: {note}" for each in found["stacks"] for note in _notes(each)]
    return "\n".join([*(aligned(rows) if rows else ()), *notes]) or "no stack is on this host"


def _took(test: Mapping[str, Any]) -> str:
    return f"{test['seconds']:.2f} s"


def _notes(stack: Mapping[str, Any]) -> list[str]:
    if stack["problem"]:
        return [stack["problem"]]
    shows = ["in maintenance"] if stack["maintenance"] else []
    return [*shows, *([] if stack["tests"] else ["no smoke tests"])]
