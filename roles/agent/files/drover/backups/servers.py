# GPL-3.0-or-later
"""The database's container, as a client and a copy of it have to know it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from drover import docker
from drover.backups.jobs import Job
from drover.docker import Container, of_stack
from drover.host import Host
from drover.layout import Layout
from drover.run import DroverError, Result, Runner

NOBODY = 65534
INIT = "/docker-entrypoint-initdb.d"
CLOSED = ("--cap-drop=ALL", "--security-opt=no-new-privileges")
FILE = "_FILE"  # end of a variable's name
PASSWORD = re.compile("PASS|PWD|AUTH$|SECRET|TOKEN")  # in a variable's name
SECRETS = "/run/secrets/"
OURS = "/opt/pgbackrest-spool"  # by which a log is kept, and a copy keeps none


class Mount(NamedTuple):
    """A file or folder of the host that a container only reads."""

    source: str
    target: str

    @property
    def option(self) -> str:
        """Of `docker run`."""
        return f"--mount=type=bind,source={self.source},target={self.target},readonly"


class Server(NamedTuple):
    """What there is of it."""

    identity: str
    name: str
    running: bool
    image: str
    image_id: str
    variables: Mapping[str, str]
    mounts: tuple[Mount, ...]  # of what it only reads
    options: tuple[str, ...]  # limits and rights: options of `docker run`
    words: tuple[str, ...]  # entry point and command
    uid: int  # who reads its secret files
    grace: int  # seconds that it may take to stop
    pid: int = 0  # of its first process, as the host sees it


def container(host: Host, job: Job) -> Container | None:
    """The job's, if it was ever made."""
    own = of_stack(docker.observe(host.run), job.wish.stack)
    return next((each for each in own if each.hash and each.service == job.wanted.service), None)


def of(host: Host, job: Job, engine: ModuleType) -> Server:
    """The job's container; an expected database that is absent is an error."""
    found = container(host, job)
    if found is None:
        raise DroverError(
            f"{job.name}: there is no container of {job.wanted.service}; drover apply makes it, if it can"
        )
    shown = host.run(docker.inspect_command([found.identity]))
    if shown.code:
        raise DroverError(f"{job.name}: {shown.words}")
    return _server(json.loads(shown.out)[0], engine, _uid(host.layout, job))


def ask(
    run: Runner, identity: str, engine: ModuleType, words: str, seconds: float, **variables: str
) -> Result:
    """One of the engine's functions by the client in the server's own container, which needs no other.

    What is asked is a variable there, no part of the script.
    """
    named = [f"--env={name}" for name in variables]
    command = ["docker", "exec", *named, identity, "sh", "-c", f"{engine.SCRIPT}\n{words}"]
    return run(command, more=variables, timeout=seconds)


def _server(raw: Mapping[str, Any], engine: ModuleType, uid: int) -> Server:
    config, wish = raw["Config"], raw.get("HostConfig") or {}
    pairs = (each.partition("=") for each in config.get("Env") or ())
    return Server(
        identity=raw["Id"],
        name=raw["Name"].lstrip("/"),
        running=raw["State"]["Status"] == "running",
        image=config.get("Image", ""),
        image_id=raw["Image"],
        variables={name: value for name, _, value in pairs if name.startswith(engine.VARIABLES)},
        mounts=tuple(_mounts(raw)),
        options=(*CLOSED, *_options(config, wish)),
        words=(*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())),
        uid=uid,
        grace=int(config.get("StopTimeout") or 30),
        pid=int(raw["State"].get("Pid") or 0),
    )


def _uid(layout: Layout, job: Job) -> int:
    try:
        return (layout.secrets(job.wish.stack) / job.wanted.service).stat().st_uid
    except FileNotFoundError:
        return NOBODY


def _mounts(raw: Mapping[str, Any]) -> Iterator[Mount]:
    """What it only reads, such as its secrets and its configuration; not what it runs at its first start."""
    for each in raw.get("Mounts") or ():
        target = str(each.get("Destination"))
        if each.get("Type") == "bind" and not each.get("RW") and not target.startswith(INIT):
            yield Mount(str(each["Source"]), target)


def _options(config: Mapping[str, Any], wish: Mapping[str, Any]) -> Iterator[str]:
    for each in wish.get("CapAdd") or ():
        yield f"--cap-add={each}"
    for path, how in (wish.get("Tmpfs") or {}).items():
        yield f"--tmpfs={path}:{how}" if how else f"--tmpfs={path}"
    if wish.get("Memory"):
        yield f"--memory={wish['Memory']}"
    if wish.get("PidsLimit"):
        yield f"--pids-limit={wish['PidsLimit']}"
    if wish.get("ShmSize"):
        yield f"--shm-size={wish['ShmSize']}"
    if wish.get("ReadonlyRootfs"):
        yield "--read-only"
    if config.get("User"):
        yield f"--user={config['User']}"


def own(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """An entry point of one word, and the words after it."""
    return ([f"--entrypoint={words[0]}"] if words else []), [*words[1:]]


# For another host


def described(host: Host, job: Job, which: Server, engine: ModuleType) -> dict[str, Any]:
    """Of a server, what another host has to know; no password, since a copy has its own."""
    shown = host.run(["docker", "image", "inspect", "--format", "{{json .RepoDigests}}", which.image_id])
    needed = reads(which, engine)
    return {
        "target": job.wanted.target,
        "digests": [] if shown.code else json.loads(shown.out) or [],
        "variables": {
            name: "" if is_password(name) else value for name, value in sorted(which.variables.items())
        },
        "reads": needed,
        "options": [*which.options[len(CLOSED) :]],
        "words": [] if needed else [*which.words],
        "uid": which.uid,
        "grace": which.grace,
    }


def is_password(name: str) -> bool:
    """Whether a variable of this name has one as its value; those that name a file do not."""
    return bool(PASSWORD.search(name)) and not name.endswith(FILE)


def reads(which: Server, engine: ModuleType) -> list[str]:
    """What it needs that only its own host has: configuration, names in files, a password that stays."""
    named = {value: name for name, value in which.variables.items() if name.endswith(FILE)}
    secret = {value for value, name in named.items() if PASSWORD.search(name)}
    mounted = {each.target for each in which.mounts} - secret
    own = {each for each in mounted if not f"{each}/".startswith((SECRETS, OURS))}
    told = ["a password in its command"] if any("requirepass" in word for word in which.words) else []
    if engine.BRINGS_PASSWORD:
        told.append("the password that comes back with its users")
    return [*sorted(own | (named.keys() - secret)), *told]
