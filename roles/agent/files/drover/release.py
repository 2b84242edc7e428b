# GPL-3.0-or-later
"""Manifests: all that the agent knows of a wish. Read strictly: parts become paths and commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from drover import route, smoketest
from drover.fields import NAME, PATH, SERVICE, flag, get, number, ranges, text
from drover.layout import PROXY
from drover.route import Route
from drover.run import DroverError
from drover.tls import Certificate, Tls
from drover.tls import read as read_tls

FORMAT = 1
TIMEOUT = 120.0  # seconds in which new containers must be well, unless the manifest says

RELEASE = re.compile(r"[0-9a-f]{16}")
IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")
ORDER = re.compile("start-first|stop-first|in-place")
FILE = re.compile(r"(?!\.\.?$)[^/\0\n]+")
KIND = re.compile("traefik|nginx")
FROZEN = re.compile("page|read")
ENGINE = re.compile("postgres|mariadb|mongodb|valkey|volume")
JOB = re.compile(r"(?!-)(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)*")
VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
TARGET = re.compile(r"/[^\0\n]*")
FOLDER = re.compile(r"(?!/)(?!.*(?:^|/)\.\.(?:/|$))[^\0\n]+")


class Probe(NamedTuple):
    """Where a service answers when it is well."""

    port: int
    path: str


START_FIRST, STOP_FIRST, IN_PLACE = "start-first", "stop-first", "in-place"


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
    order: str = STOP_FIRST  # how its containers are replaced
    always: bool = False  # whether it runs whatever part this host has: a database, and what it needs
    worker: bool = False  # whether it acts without being asked
    rests: bool = False  # whether it does not run, by the part that this host has now


class Proxy(NamedTuple):
    """What the host's proxy is; `users` and `certificates` are what a stack's routes can name."""

    kind: str = "traefik"
    trusted: tuple[str, ...] = ()  # address ranges of load balancers
    request_seconds: int = 60  # for a request to come whole
    idle_seconds: int = 75  # that a connection is kept without a request
    tls: Tls | None = None  # if it ends TLS itself
    users: Mapping[str, int] = {}  # ages of the files of users
    certificates: Mapping[str, Certificate] = {}  # by host name


class Command(NamedTuple):
    """What runs once with a service's image, before or after a new version takes over."""

    service: str
    words: tuple[str, ...]


class Deploy(NamedTuple):
    """How a new version takes over. Times are in seconds."""

    timeout: float = TIMEOUT  # within which new containers must be well
    soak: int = 0  # for which new containers must stay well
    drain: int = 0  # for which old containers may finish their requests
    before: tuple[Command, ...] = ()
    after: tuple[Command, ...] = ()
    backup: bool = False  # whether its data is backed up before


class Job(NamedTuple):
    """One database, or one volume or folder of data, that is backed up."""

    name: str
    engine: str  # "volume" for what is no database's
    service: str = ""  # the database's
    volume: str = ""  # what holds the data, as Docker names it, or …
    folder: str = ""  # … the folder below the stack's data
    target: str = ""  # where the database's container has it
    services: tuple[str, ...] = ()  # those that mount what is no database's
    point_in_time: bool = False  # whether its log is kept


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
    deploy: Deploy = Deploy()
    maintenance: bool = False  # whether all its routes show the page of maintenance
    down_page: bool = False  # whether it has a page of its own for when no container answers
    proxy: Proxy | None = None  # the host's; in the manifest of the proxy's own stack
    backups: tuple[Job, ...] = ()
    private: bool = False  # whether it reaches other stacks by the host's private network
    trial: bool = True  # whether it is tried without a way out
    frozen_reads: bool = False  # whether a frozen host goes on answering what only reads
    reads_only: bool = False  # whether it answers nothing else, by the part that this host has now
    smoke: tuple[smoketest.Test, ...] = ()


def read(raw: object) -> Manifest:
    """Turn plain data into a manifest; a DroverError names the key that is not as format 1 says."""
    if not isinstance(raw, Mapping):
        raise DroverError("a manifest is not a mapping")
    stack = text(raw, "stack", NAME, "manifest")
    if raw.get("state") == "absent":
        return Manifest(stack, absent=True, delete=raw.get("data") == "delete")
    where = f"manifest of {stack}"
    if raw.get("format") != FORMAT:
        raise DroverError(
            f"{where}: format {raw.get('format')!r}, this agent reads {FORMAT}; install the agent anew"
        )
    services = {
        name: _service(f"{where}: services.{name}", name, raw) for name in get(raw, "services", dict, where)
    }
    return Manifest(
        stack=stack,
        release=text(raw, "release", RELEASE, where),
        version=str(raw.get("version") or ""),
        file=text(raw, "file", FILE, where),
        services=services,
        routes=tuple(_route(f"{where}: routes", each, services) for each in get(raw, "routes", list, where)),
        data_folders=tuple(_folder(each, f"{where}: data_folders") for each in raw.get("data_folders") or ()),
        networks=tuple(_network(each, stack, where) for each in raw.get("networks") or ()),
        deploy=_deploy(f"{where}: deploy", raw.get("deploy") or {}, services),
        maintenance=flag(raw, "maintenance", where),
        down_page=flag(raw, "down_page", where),
        proxy=read_proxy(f"{where}: proxy", raw["proxy"]) if stack == PROXY and "proxy" in raw else None,
        backups=_jobs(f"{where}: backups", raw.get("backups") or (), services),
        private=flag(raw, "private", where),
        trial=raw.get("trial") is not False,
        frozen_reads="frozen" in raw and text(raw, "frozen", FROZEN, where) == "read",
        smoke=smoketest.read(f"{where}: smoke", raw.get("smoke") or (), services),
    )


def _route(where: str, data: object, services: Mapping[str, Service]) -> Route:
    found = route.read(where, data)
    for name in (found.service, *([found.canary.service] if found.canary else [])):
        if name not in services:
            raise DroverError(f"{where}: {found.host} leads to {name}, which the stack does not have")
    return found


def _service(where: str, name: str, raw: Mapping[str, Any]) -> Service:
    data = raw["services"][name]
    if not SERVICE.fullmatch(name) or not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a service")
    health = data.get("health")
    return Service(
        digest=text(data, "digest", re.compile(r"[0-9a-f]+"), where),
        image=text(data, "image", IMAGE, where),
        oneshot=text(data, "kind", re.compile("service|oneshot"), where) == "oneshot",
        replicas=number(data, "replicas", 0, 1000, where),
        health=_probe(f"{where}.health", health) if health else None,
        uid=None if data.get("uid") is None else number(data, "uid", 0, 2**32 - 2, where),
        secrets=frozenset(_file(each, where) for each in data.get("secrets") or ()),
        secret_env=bool(data.get("secret_env")),
        order=text(data, "order", ORDER, where) if "order" in data else STOP_FIRST,
        always=flag(data, "always", where),
        worker=flag(data, "worker", where),
    )


def _deploy(where: str, data: object, services: Mapping[str, Service]) -> Deploy:
    if not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a mapping")
    return Deploy(
        timeout=number(data, "timeout", 1, 3600, where) if "timeout" in data else TIMEOUT,
        soak=number(data, "soak", 0, 3600, where) if "soak" in data else 0,
        drain=number(data, "drain", 0, 3600, where) if "drain" in data else 0,
        before=tuple(_command(f"{where}.before", each, services) for each in data.get("before") or ()),
        after=tuple(_command(f"{where}.after", each, services) for each in data.get("after") or ()),
        backup=flag(data, "backup", where),
    )


def _command(where: str, data: object, services: Mapping[str, Service]) -> Command:
    if not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a mapping")
    name, words = text(data, "service", SERVICE, where), get(data, "command", list, where)
    if name not in services:
        raise DroverError(f"{where}: the stack has no service {name}")
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words):
        raise DroverError(f"{where}: command: not a list of words")
    return Command(name, tuple(words))


def _jobs(where: str, data: object, services: Mapping[str, Service]) -> tuple[Job, ...]:
    if not isinstance(data, list | tuple):
        raise DroverError(f"{where}: not a list")
    found = tuple(_job(where, each, services) for each in data)
    if len({job.name for job in found}) < len(found):
        raise DroverError(f"{where}: two of them have the same name")
    return found


def _job(where: str, data: object, services: Mapping[str, Service]) -> Job:
    if not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a mapping")
    name, engine = text(data, "name", JOB, where), text(data, "engine", ENGINE, where)
    where = f"{where}.{name}"
    volume, folder = _holder(f"{where}.data", data.get("data"))
    if engine == "volume":
        users = tuple(_of_stack(each, services, where) for each in get(data, "services", list, where))
        return Job(name, engine, volume=volume, folder=folder, services=users)
    service = _of_stack(data.get("service"), services, where)
    target, log = text(data, "target", TARGET, where), flag(data, "point_in_time", where)
    return Job(name, engine, service, volume, folder, target, point_in_time=log)


def _holder(where: str, data: object) -> tuple[str, str]:
    """(volume, folder), of which one is empty."""
    if not isinstance(data, Mapping) or len(data) != 1:
        raise DroverError(f"{where}: not a volume or a folder")
    if "folder" in data:
        return "", _folder(data["folder"], where)
    return text(data, "volume", VOLUME, where), ""


def _of_stack(value: object, services: Mapping[str, Service], where: str) -> str:
    if not isinstance(value, str) or value not in services:
        raise DroverError(f"{where}: the stack has no service {value!r:.80}")
    return value


def _probe(where: str, data: object) -> Probe:
    if not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a mapping")
    return Probe(number(data, "port", 1, 65535, where), text(data, "path", PATH, where))


def read_proxy(where: str, data: object) -> Proxy:
    """What the manifest of the proxy's own stack says of it."""
    if not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a mapping")
    return Proxy(
        kind=text(data, "kind", KIND, where),
        trusted=ranges(data, "trusted", where),
        request_seconds=number(data, "request_seconds", 1, 3600, where),
        idle_seconds=number(data, "idle_seconds", 1, 3600, where),
        tls=read_tls(f"{where}.tls", data["tls"]) if data.get("tls") else None,
    )


def _folder(value: object, where: str) -> str:
    if not isinstance(value, str) or not FOLDER.fullmatch(value):
        raise DroverError(f"{where}: {value!r} is not a folder below the stack's data")
    return value


def _file(value: object, where: str) -> str:
    if not isinstance(value, str) or not FILE.fullmatch(value):
        raise DroverError(f"{where}: secrets: {value!r} is not the name of a file")
    return value


def _network(value: object, stack: str, where: str) -> str:
    if value != f"{stack}_public":
        raise DroverError(f"{where}: networks: {value!r} is not the stack's own public network")
    return str(value)
