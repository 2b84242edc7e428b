# GPL-3.0-or-later
"""Routes of a manifest: what the proxy does with requests of one host name and path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from drover.fields import HOST, PATH, SERVICE, flag, get, number, ranges, text
from drover.run import DroverError

PREFIX = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
"""Wider than what the inventory may say today: a release that stands was judged when it came."""
HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
HEADER_VALUE = re.compile(r"[ -~]{0,4000}")
OURS = ("forwarded", "x-real-ip", *(f"x-forwarded-{each}" for each in ("for", "host", "port", "proto")))
"""Headers by which the proxy itself says who asks, and for what."""
PER = re.compile("second|minute")
USERS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
LOWEST, HIGHEST = -100, 100  # of a priority
LONGEST = 999  # characters of a path that count
MOST = 1_000_000
LARGEST = 1 << 50  # bytes of a request

Headers = tuple[tuple[str, str], ...]


class Rate(NamedTuple):
    """How many requests one client address may send, and how many of them at once."""

    requests: int
    per: str
    burst: int


class Canary(NamedTuple):
    """Another service of the stack that gets a share of the requests."""

    service: str
    port: int
    percent: int


class Route(NamedTuple):
    """One host name and path that leads to a service. What comes after `health` is there if asked for."""

    host: str
    path: str
    service: str
    port: int
    health: str | None
    priority: int = 0
    redirect_from: tuple[str, ...] = ()
    https: bool = False
    request_headers: Headers = ()
    response_headers: Headers = ()
    auth: str = ""  # the name of the file of users
    allow: tuple[str, ...] = ()
    rate: Rate | None = None
    max_body: int = 0  # bytes
    timeout: int = 0  # seconds
    compress: bool = False
    sticky: bool = False
    canary: Canary | None = None
    plain: bool = False  # whether its host names have no certificate

    @property
    def names(self) -> tuple[str, ...]:
        """Every host name that a certificate is for."""
        return () if self.plain else (self.host, *self.redirect_from)

    @property
    def rank(self) -> int:
        """What is tried first is higher: by priority, then by the length of the path."""
        return (self.priority - LOWEST) * (LONGEST + 1) + min(len(self.path.rstrip("/")), LONGEST) + 10

    @property
    def guarded(self) -> bool:
        """Whether not everybody gets in, so that no other spelling of the path may lead around."""
        return bool(self.auth or self.allow)


KEYS = frozenset(Route._fields)


def read(where: str, data: object) -> Route:
    """A route of plain data; a DroverError names what is not as it has to be."""
    if not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a mapping")
    if set(data) - KEYS:
        raise DroverError(f"{where}: {sorted(set(data) - KEYS)} is not known; install the agent anew")
    return Route(
        host=text(data, "host", HOST, where),
        path=text(data, "path", PREFIX, where),
        service=text(data, "service", SERVICE, where),
        port=number(data, "port", 1, 65535, where),
        health=text(data, "health", PATH, where) if data.get("health") else None,
        priority=number(data, "priority", LOWEST, HIGHEST, where) if "priority" in data else 0,
        redirect_from=tuple(
            text({"from": each}, "from", HOST, where) for each in _list(data, "redirect_from", where)
        ),
        https=flag(data, "https", where),
        request_headers=_headers(data, "request_headers", where),
        response_headers=_headers(data, "response_headers", where),
        auth=text(data, "auth", USERS, where) if "auth" in data else "",
        allow=ranges(data, "allow", where),
        rate=_rate(f"{where}: rate", data["rate"]) if "rate" in data else None,
        max_body=number(data, "max_body", 1, LARGEST, where) if "max_body" in data else 0,
        timeout=number(data, "timeout", 1, 86_400, where) if "timeout" in data else 0,
        compress=flag(data, "compress", where),
        sticky=flag(data, "sticky", where),
        canary=_canary(f"{where}: canary", data["canary"]) if "canary" in data else None,
        plain=flag(data, "plain", where),
    )


def plain(route: Route) -> dict[str, Any]:
    """The same as `read` takes it, without what was not asked for."""
    found = {key: value for key, value in route._asdict().items() if value or key == "health"}
    for key in ("rate", "canary"):
        if found.get(key):
            found[key] = found[key]._asdict()
    for key in ("request_headers", "response_headers"):
        if key in found:
            found[key] = dict(found[key])
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def _list(data: Mapping[str, Any], key: str, where: str) -> list[Any]:
    return list(get(data, key, list, where)) if key in data else []


def _headers(data: Mapping[str, Any], key: str, where: str) -> Headers:
    given = get(data, key, dict, where) if key in data else {}
    for name in given:
        text({"name": name}, "name", HEADER, f"{where}: {key}")
        text(given, name, HEADER_VALUE, f"{where}: {key}")
        if key == "request_headers" and name.lower() in OURS:
            raise DroverError(f"{where}: {key}: {name} is the proxy's")
    return tuple(sorted(given.items()))


def _rate(where: str, data: object) -> Rate:
    if not isinstance(data, Mapping) or set(data) != set(Rate._fields):
        raise DroverError(f"{where}: found {data!r:.80}")
    return Rate(
        number(data, "requests", 1, MOST, where),
        text(data, "per", PER, where),
        number(data, "burst", 1, MOST, where),
    )


def _canary(where: str, data: object) -> Canary:
    if not isinstance(data, Mapping) or set(data) != set(Canary._fields):
        raise DroverError(f"{where}: found {data!r:.80}")
    return Canary(
        text(data, "service", SERVICE, where),
        number(data, "port", 1, 65535, where),
        number(data, "percent", 1, 99, where),
    )
