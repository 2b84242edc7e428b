# GPL-3.0-or-later
"""A smoke test asks one thing, which the stack has, and can fail."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from ..derive import backups, replicas
from ..derive.smoke import SQL, asked
from ..problem import Path, Problem
from ..stack import Data, Stack
from ..words import close_to, listed, quoted, unwritable
from .services import runs_once, unknown

NEEDS = frozenset({"smoke", "routes", "host", "port", "profiles"})
LONGEST = 10_000  # characters of a text
_BESIDE = {
    "host": ("path", "status", "contains"),
    "service": ("port",),
    "database": ("name", "query", "at_least", "answer"),
}
"""What each kind of test may say besides."""


def problems(stack: Stack) -> Iterator[Problem]:
    """Keys that do not stand together or are missing, and names that the stack does not have."""
    for index, entry in enumerate(stack.data["smoke"]):
        yield from _one(stack, ("smoke", index), asked(entry))


def _one(stack: Stack, path: Path, test: Data) -> Iterator[Problem]:
    kinds = [kind for kind in _BESIDE if kind in test]
    if not kinds:
        yield stack.problem(path, "nothing says what is asked", "write host, service or database")
    elif len(kinds) > 1:
        yield stack.problem(path, f"found {' and '.join(kinds)} in one test", "write a test for each")
    else:
        yield from _strangers(stack, path, test, kinds[0])
        yield from _texts(stack, path, test)
        yield from {"host": _host, "service": _service, "database": _database}[kinds[0]](stack, path, test)


def _strangers(stack: Stack, path: Path, test: Data, kind: str) -> Iterator[Problem]:
    for key in test:
        if key not in (kind, *_BESIDE[kind]):
            found = f"it does not stand with {kind}"
            yield stack.problem((*path, key), found, f"remove it; with {kind} stand: {listed(_BESIDE[kind])}")


def _texts(stack: Stack, path: Path, test: Data) -> Iterator[Problem]:
    """An answer may be empty; an empty `contains` would be in every page."""
    for key in ("contains", "name", "query", "answer"):
        text = str(test.get(key, "x"))
        odd = unwritable(text)
        if odd:
            yield stack.problem((*path, key), f"it holds {odd}", "write it without")
        elif not text.strip() and key != "answer":
            yield stack.problem((*path, key), "found nothing", "write text, or remove it")
        elif len(text) > LONGEST:
            yield stack.problem((*path, key), "it is too long", f"write {LONGEST} characters or less")


def _host(stack: Stack, path: Path, test: Data) -> Iterator[Problem]:
    host = test["host"].lower()
    known = sorted({route["host"].lower() for route in stack.routes})
    if host not in known:
        found = f"no route of the stack has the host name {quoted(host)}{close_to(host, known)}"
        fix = f"write one of: {listed(known)}" if known else "write a route for it"
        yield stack.problem((*path, "host"), found, fix)
        return
    led = sorted(route["path"] for route in stack.routes if route["host"].lower() == host)
    wanted = unquote(test.get("path", "/").partition("?")[0])
    if not any(_is_below(wanted, each.rstrip("/")) for each in led):
        fix = f"write a path that begins with one of: {listed(led)}"
        yield stack.problem((*path, "path"), f"no route of the stack leads to {quoted(wanted)}", fix)


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def _service(stack: Stack, path: Path, test: Data) -> Iterator[Problem]:
    yield from _runs(stack, (*path, "service"), test["service"])
    if "port" not in test:
        yield stack.problem(
            path, 'the key "port" is missing', "write port: and the port inside the container"
        )


def _database(stack: Stack, path: Path, test: Data) -> Iterator[Problem]:
    name = test["database"]
    yield from _runs(stack, (*path, "database"), name)
    if name in stack.services and backups.engine(stack, name) not in SQL:
        there = [each for each, engine in backups.databases(stack).items() if engine in SQL]
        found = f"{quoted(name)} is no service with PostgreSQL, MariaDB or MySQL"
        fix = f"write one of: {listed(there)}" if there else "remove the test"
        yield stack.problem((*path, "database"), found, fix)
    if "query" not in test:
        yield stack.problem(path, 'the key "query" is missing', "write query: and the SQL")
    wanted = [key for key in ("at_least", "answer") if key in test]
    if not wanted:
        yield stack.problem(path, "nothing says what the answer has to be", "write at_least or answer")
    elif len(wanted) > 1:
        yield stack.problem(path, "found at_least and answer", "remove one of them")


def _runs(stack: Stack, path: Path, name: str) -> Iterator[Problem]:
    """A service that ends, or has no container, is nobody to ask."""
    yield from unknown(stack, path, name)
    if name not in stack.services:
        return
    if name in stack.oneshots:
        yield from runs_once(stack, path, name)
    elif not replicas.wanted(stack.services[name]):
        found = f"{quoted(name)} runs 0 times, so that nothing would answer"
        yield stack.problem(path, found, "write another service, or a replica in its file")
