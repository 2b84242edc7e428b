# GPL-3.0-or-later
"""Routes for Traefik's file provider.

The text is JSON, which is YAML too: what we validate is exactly what Traefik reads, and a person can read
it as well.
One broken file in Traefik's folder blocks every later update, so `validate` knows each key that we write, and
nothing else passes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from drover.release import HOST, PATH, Manifest, Route

SUFFIX = ".yml"
ENTRY_POINT = "web"
INTERVAL = {"interval": "5s", "unhealthyInterval": "500ms", "timeout": "3s"}

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*-\d+")
ROUTE_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")  # without a query, unlike the path of a check
SERVER = re.compile(r"http://[a-zA-Z0-9][a-zA-Z0-9._-]*:([0-9]{1,5})")
RULE = re.compile(
    r"Host\(`(?P<host>[^`]+)`\)(?: && \(Path\(`(?P<path>[^`]+)`\) \|\| PathPrefix\(`(?P=path)/`\)\))?"
)


def render(manifest: Manifest, servers: Mapping[str, Sequence[str]]) -> str:
    """The stack's routes; `servers` are the containers' names by service."""
    if not manifest.routes:
        return ""
    named = {f"{manifest.stack}-{index}": route for index, route in enumerate(manifest.routes)}
    content = {
        "http": {
            "routers": {name: _router(name, route) for name, route in named.items()},
            "services": {
                name: _service(route, servers.get(route.service, ())) for name, route in named.items()
            },
        }
    }
    return json.dumps(content, indent=2) + "\n"


def _router(name: str, route: Route) -> dict[str, Any]:
    """The longer path wins, whatever the length of its host."""
    path = route.path.rstrip("/")
    below = f" && (Path(`{path}`) || PathPrefix(`{path}/`))" if path else ""
    return {
        "entryPoints": [ENTRY_POINT],
        "rule": f"Host(`{route.host}`){below}",
        "priority": 1 + len(path),
        "service": name,
    }


def _service(route: Route, names: Sequence[str]) -> dict[str, Any]:
    servers = [{"url": f"http://{name}:{route.port}"} for name in names]
    check = (
        {"healthCheck": {"path": route.health, "hostname": route.host, **INTERVAL}} if route.health else {}
    )
    return {"loadBalancer": {"servers": servers, **check}}


def places(text: str) -> frozenset[tuple[str, str]]:
    """Host and path of each route in a file that `render` wrote; ValueError for any other."""
    validate(text)
    rules = [RULE.fullmatch(router["rule"]) for router in json.loads(text)["http"]["routers"].values()]
    return frozenset((found["host"], found["path"] or "/") for found in rules if found)


def validate(text: str) -> None:
    """Accept only what `render` can have written."""
    try:
        _check(json.loads(text))
    except (TypeError, KeyError) as error:
        raise ValueError(f"shape: {error!r}") from None


def _check(content: Any) -> None:
    _keys(content, {"http"}, "file")
    http = content["http"]
    _keys(http, {"routers", "services"}, "http")
    routers, services = http["routers"], http["services"]
    if not routers or set(routers) != set(services):
        raise ValueError("http: each router needs the service of its name, and there must be one")
    for name in routers:
        _match(NAME, name, "http: name")
        _check_router(name, routers[name])
        _check_service(name, services[name])


def _check_router(name: str, router: Any) -> None:
    _keys(router, {"entryPoints", "rule", "priority", "service"}, name)
    if (
        router["entryPoints"] != [ENTRY_POINT]
        or router["service"] != name
        or type(router["priority"]) is not int
    ):
        raise ValueError(f"{name}: entryPoints, service or priority")
    found = RULE.fullmatch(router["rule"])
    if not found:
        raise ValueError(f"{name}: rule {router['rule']!r}")
    _match(HOST, found["host"], f"{name}: host")
    if found["path"] is not None:
        _match(ROUTE_PATH, found["path"], f"{name}: path")


def _check_service(name: str, service: Any) -> None:
    _keys(service, {"loadBalancer"}, name)
    balancer = service["loadBalancer"]
    _keys(balancer, {"servers", "healthCheck"} & {"servers", *balancer}, f"{name}: loadBalancer")
    if not isinstance(balancer["servers"], list) or not balancer["servers"]:
        raise ValueError(f"{name}: no servers")
    for server in balancer["servers"]:
        _keys(server, {"url"}, f"{name}: server")
        _match(SERVER, server["url"], f"{name}: url")
        if not 0 < int(server["url"].rpartition(":")[2]) < 65536:
            raise ValueError(f"{name}: port in {server['url']!r}")
    if "healthCheck" in balancer:
        check = balancer["healthCheck"]
        _keys(check, {"path", "hostname", *INTERVAL}, f"{name}: healthCheck")
        _match(PATH, check["path"], f"{name}: health path")
        _match(HOST, check["hostname"], f"{name}: health host")
        if {key: check[key] for key in INTERVAL} != INTERVAL:
            raise ValueError(f"{name}: healthCheck times")


def _keys(value: Any, allowed: set[str], where: str) -> None:
    if not isinstance(value, dict) or set(value) != allowed:
        found = sorted(value) if isinstance(value, dict) else value
        raise ValueError(f"{where}: found {found!r}, not the keys {sorted(allowed)}")


def _match(pattern: re.Pattern[str], value: Any, where: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{where}: {value!r}")
