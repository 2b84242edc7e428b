# GPL-3.0-or-later
"""Smoke tests of a manifest: what is asked of a stack that runs, and what has to come."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from drover.fields import HOST, PATH, SERVICE, number, text
from drover.run import DroverError

KIND = re.compile("http|tcp|sql")
ENGINE = re.compile("postgres|mariadb")
TEXT = re.compile(r"[^\0]{1,10000}", re.DOTALL)
TEXT_OR_NONE = re.compile(r"[^\0]{0,10000}", re.DOTALL)
MOST = 10**15


class Page(NamedTuple):
    """One GET through the host's own proxy."""

    host: str
    path: str
    status: int
    contains: str = ""

    @property
    def asked(self) -> str:
        """For a person."""
        return f"GET {self.host}{self.path}"


class Port(NamedTuple):
    """A TCP connection to each container of a service."""

    service: str
    port: int

    @property
    def asked(self) -> str:
        """For a person."""
        return f"connect to {self.service}:{self.port}"


class Query(NamedTuple):
    """SQL with an answer of one value, which is a number of `at_least`, or the text `answer`."""

    service: str
    engine: str
    query: str
    name: str = ""  # of the database in the server; empty for the one that the image makes
    at_least: int | None = None
    answer: str | None = None

    @property
    def asked(self) -> str:
        """For a person."""
        return f"ask {self.service}: {' '.join(self.query.split())}"


Test = Page | Port | Query


def read(where: str, data: object, services: Collection[str]) -> tuple[Test, ...]:
    """The tests of plain data; a DroverError names what is not as it has to be."""
    if not isinstance(data, list | tuple):
        raise DroverError(f"{where}: not a list")
    return tuple(_test(where, each, services) for each in data)


def _test(where: str, data: object, services: Collection[str]) -> Test:
    if not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a mapping")
    kind = text(data, "kind", KIND, where)
    found = {"http": _page, "tcp": _port, "sql": _query}[kind](f"{where}.{kind}", data)
    more = set(data) - {"kind", *found._fields}
    if more:
        raise DroverError(f"{where}.{kind}: {sorted(more)} is not known; install the agent anew")
    if not isinstance(found, Page) and found.service not in services:
        raise DroverError(f"{where}.{kind}: the stack has no service {found.service}")
    return found


def _page(where: str, data: Mapping[str, Any]) -> Test:
    return Page(
        text(data, "host", HOST, where),
        text(data, "path", PATH, where),
        number(data, "status", 100, 599, where),
        text(data, "contains", TEXT, where) if "contains" in data else "",
    )


def _port(where: str, data: Mapping[str, Any]) -> Test:
    return Port(text(data, "service", SERVICE, where), number(data, "port", 1, 65535, where))


def _query(where: str, data: Mapping[str, Any]) -> Test:
    if ("at_least" in data) == ("answer" in data):
        raise DroverError(f"{where}: at_least or answer has to be there, and not both")
    return Query(
        text(data, "service", SERVICE, where),
        text(data, "engine", ENGINE, where),
        text(data, "query", TEXT, where),
        text(data, "name", TEXT, where) if "name" in data else "",
        number(data, "at_least", 1, MOST, where) if "at_least" in data else None,
        text(data, "answer", TEXT_OR_NONE, where) if "answer" in data else None,
    )
