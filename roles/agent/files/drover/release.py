# GPL-3.0-or-later
"""Manifests: all that the agent knows of a wish. Read strictly: parts become paths and commands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from drover.layout import Layout, link
from drover.run import DroverError

FORMAT = 1

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
SERVICE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
RELEASE = re.compile(r"[0-9a-f]{16}")
IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")
HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
FILE = re.compile(r"(?!\.\.?$)[^/\0\n]+")
FOLDER = re.compile(r"(?!/)(?!.*(?:^|/)\.\.(?:/|$))[^\0\n]+")


class Probe(NamedTuple):
    """Where a service answers when it is well."""

    port: int
    path: str


class Service(NamedTuple):
    """One service as it was wished."""

    digest: str
    image: str
    oneshot: bool
    replicas: int
    health: Probe | None
    uid: int | None
    secrets: frozenset[str] = frozenset()  # names of its secret files
    secret_env: bool = False  # whether it has a secret environment


class Route(NamedTuple):
    """One host name and path that leads to a service."""

    host: str
    path: str
    service: str
    port: int
    health: str | None


class Manifest(NamedTuple):
    """One stack as it was wished; `absent` ones have no services."""

    stack: str
    release: str = ""
    version: str = ""
    file: str = ""  # the stack's own Compose file in the release
    services: Mapping[str, Service] = {}
    routes: tuple[Route, ...] = ()
    data_folders: tuple[str, ...] = ()
    absent: bool = False
    delete: bool = False
    networks: tuple[str, ...] = ()  # those on which the proxy reaches it


def read(raw: object) -> Manifest:
    """Turn plain data into a manifest; a DroverError names the key that is not as format 1 says."""
    if not isinstance(raw, Mapping):
        raise DroverError("a manifest is not a mapping")
    stack = _text(raw, "stack", NAME, "manifest")
    if raw.get("state") == "absent":
        return Manifest(stack, absent=True, delete=raw.get("data") == "delete")
    where = f"manifest of {stack}"
    if raw.get("format") != FORMAT:
        raise DroverError(
            f"{where}: format {raw.get('format')!r}, this agent reads {FORMAT}; install the agent anew"
        )
    services = {
        name: _service(f"{where}: services.{name}", name, raw) for name in _get(raw, "services", dict, where)
    }
    return Manifest(
        stack=stack,
        release=_text(raw, "release", RELEASE, where),
        version=str(raw.get("version") or ""),
        file=_text(raw, "file", FILE, where),
        services=services,
        routes=tuple(_route(f"{where}: routes", each, services) for each in _get(raw, "routes", list, where)),
        data_folders=tuple(_folder(each, where) for each in raw.get("data_folders") or ()),
        networks=tuple(_network(each, stack, where) for each in raw.get("networks") or ()),
    )


def _service(where: str, name: str, raw: Mapping[str, Any]) -> Service:
    data = raw["services"][name]
    if not SERVICE.fullmatch(name) or not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a service")
    health = data.get("health")
    return Service(
        digest=_text(data, "digest", re.compile(r"[0-9a-f]+"), where),
        image=_text(data, "image", IMAGE, where),
        oneshot=_text(data, "kind", re.compile("service|oneshot"), where) == "oneshot",
        replicas=_number(data, "replicas", 0, 1000, where),
        health=_probe(f"{where}.health", health) if health else None,
        uid=None if data.get("uid") is None else _number(data, "uid", 0, 2**32 - 2, where),
        secrets=frozenset(_file(each, where) for each in data.get("secrets") or ()),
        secret_env=bool(data.get("secret_env")),
    )


def _probe(where: str, data: object) -> Probe:
    if not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a mapping")
    return Probe(_number(data, "port", 1, 65535, where), _text(data, "path", PATH, where))


def _route(where: str, data: object, services: Mapping[str, Service]) -> Route:
    if not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a mapping")
    route = Route(
        host=_text(data, "host", HOST, where),
        path=_text(data, "path", PATH, where),
        service=_text(data, "service", SERVICE, where),
        port=_number(data, "port", 1, 65535, where),
        health=_text(data, "health", PATH, where) if data.get("health") else None,
    )
    if route.service not in services:
        raise DroverError(f"{where}: {route.host} leads to {route.service}, which the stack does not have")
    return route


def _folder(value: object, where: str) -> str:
    if not isinstance(value, str) or not FOLDER.fullmatch(value):
        raise DroverError(f"{where}: data_folders: {value!r} is not a folder below the stack's data")
    return value


def _file(value: object, where: str) -> str:
    if not isinstance(value, str) or not FILE.fullmatch(value):
        raise DroverError(f"{where}: secrets: {value!r} is not the name of a file")
    return value


def _network(value: object, stack: str, where: str) -> str:
    if value != f"{stack}_public":
        raise DroverError(f"{where}: networks: {value!r} is not the stack's own public network")
    return str(value)


def _get(raw: Mapping[str, Any], key: str, kind: type[Any], where: str) -> Any:
    if not isinstance(raw.get(key), kind):
        raise DroverError(f"{where}: {key}: found {raw.get(key)!r:.80}, not a {kind.__name__}")
    return raw[key]


def _text(raw: Mapping[str, Any], key: str, pattern: re.Pattern[str], where: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise DroverError(f"{where}: {key}: found {value!r:.80}")
    return value


def _number(raw: Mapping[str, Any], key: str, low: int, high: int, where: str) -> int:
    value = raw.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise DroverError(f"{where}: {key}: found {value!r:.80}, not a number from {low} to {high}")
    return value


def load(layout: Layout, stack: str, identity: str) -> Manifest:
    """The manifest in a release's folder, which must be of that stack and release."""
    path = layout.release(stack, identity) / "manifest.json"
    try:
        found = read(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise DroverError(f"{path}: cannot be read: {error}") from None
    if (found.stack, found.release) != (stack, identity):
        raise DroverError(f"{path}: describes {found.stack} {found.release}, not {stack} {identity}")
    return found


class Wishes(NamedTuple):
    """What every stack should be, and what was wrong with those we could not read."""

    stacks: dict[str, Manifest]
    problems: dict[str, str]


def wanted(layout: Layout, name: str) -> Manifest | None:
    """What the controller put there last. A stack whose `wanted` was taken away shall go; its data stays."""
    identity = link(layout.stack(name) / "wanted")
    if identity:
        return load(layout, name, identity)
    return Manifest(name, absent=True) if link(layout.stack(name) / "current") else None


def standing(layout: Layout, name: str) -> Manifest | None:
    """What ran well last, whatever is wanted since; else what is wanted: the wish of a boot."""
    identity = link(layout.stack(name) / "current")
    return load(layout, name, identity) if identity else wanted(layout, name)


def wishes(layout: Layout, choose: Callable[[Layout, str], Manifest | None]) -> Wishes:
    """The wish for every stack on this host."""
    found = Wishes({}, {})
    for name in names(layout):
        try:
            manifest = choose(layout, name)
        except DroverError as failure:
            found.problems[name] = str(failure)
            continue
        if manifest:
            found.stacks[name] = manifest
    return found


def names(layout: Layout) -> list[str]:
    """Every stack that has a folder."""
    return sorted(path.name for path in _folders(layout.stacks))


def _folders(path: Path) -> Iterable[Path]:
    try:
        return [each for each in path.iterdir() if NAME.fullmatch(each.name) and each.is_dir()]
    except FileNotFoundError:
        return []


def given(text: str) -> dict[str, Manifest]:
    """Manifests from standard input: a JSON list."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise DroverError(f"manifests on standard input: {error}") from None
    if not isinstance(raw, list):
        raise DroverError("manifests on standard input: not a list")
    return {manifest.stack: manifest for manifest in map(read, raw)}
