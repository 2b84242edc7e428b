# GPL-3.0-or-later
"""What Docker runs: one `docker ps` and one `docker inspect`, whatever the number of stacks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from ipaddress import ip_interface
from typing import Any, NamedTuple

from drover.layout import PROXY, PUBLIC, STANDBY
from drover.run import NOT_FOUND, DroverError, NotInstalledError, Runner

LABEL = "com.docker.compose."
HEALTHY = "service_healthy"
COMPLETED = "service_completed_successfully"
SCRATCH = "drover.scratch"
DIGEST = "drover.digest"  # of the service as the release has it
STANDS_BY = "drover.standby"  # label of a second proxy
REASON = "drover.reason."  # labels that the model gives to services with an exception
LOG_LINES = 20
STOP_SECONDS = 300.0  # containers have their own grace


NAMELESS = re.compile(r"[0-9a-f]{64}")


class Dependency(NamedTuple):
    """What a container waits for, as Compose wrote it on the container."""

    service: str
    condition: str


class Container(NamedTuple):
    """What we need to know of one container. Times are seconds since the epoch, 0 for never."""

    identity: str
    name: str
    stack: str
    service: str
    number: int
    hash: str
    image: str
    image_id: str
    status: str  # created running paused restarting removing exited dead
    code: int
    health: str  # "" (no check) starting healthy unhealthy
    note: str  # what the health check or Docker said last
    created: float
    started: float
    finished: float
    restarts: int
    networks: Mapping[str, str]  # name → address
    depends: tuple[Dependency, ...]
    reasons: Mapping[str, str] = {}  # rule that it breaks → why
    digest: str = ""  # of the service that it was made from
    restart: str = "no"  # Docker's restart policy
    pid: int = 0  # of its first process, as the host sees it
    subnets: Mapping[str, str] = {}  # network's name → its address range
    keeps: bool = False  # whether it writes to a volume that has no name, which only Compose hands on
    ports: Mapping[str, tuple[tuple[str, int], ...]] = {}  # "80/tcp" → the host's addresses and ports

    @property
    def usual_name(self) -> str:
        """The name that Compose gives; an interrupted recreate leaves a container with another one."""
        return f"{self.stack}-{self.service}-{self.number}"

    @property
    def running(self) -> bool:
        """Whether its program runs."""
        return self.status == "running"

    @property
    def succeeded(self) -> bool:
        """Whether it ran and ended well."""
        return self.status == "exited" and self.code == 0 and self.started > 0


def seconds(stamp: str) -> float:
    """Docker's time (2026-11-21T03:37:22.410897498Z, or with an offset) as seconds since the epoch.

    >>> seconds("1970-01-01T00:00:01.5Z"), seconds("0001-01-01T00:00:00Z")
    (1.5, 0.0)
    """
    if stamp.startswith("0001") or not stamp:
        return 0.0
    whole, _, rest = stamp[:19], stamp[19:20], stamp[19:]
    digits = rest[1:].rstrip("Z")
    zone = 0.0
    for sign in "+-":
        if sign in digits:
            digits, _, offset = digits.partition(sign)
            hours, minutes = offset.split(":")
            zone = (int(hours) * 3600 + int(minutes) * 60) * (1 if sign == "+" else -1)
    moment = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp()
    return moment - zone + (float(f"0.{digits}") if digits else 0.0)


def list_command() -> list[str]:
    """Identities of every container that belongs to a stack."""
    return ["docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}project"]


def inspect_command(identities: Iterable[str]) -> list[str]:
    """Everything about these containers."""
    return ["docker", "inspect", "--type", "container", *identities]


def observe(run: Runner) -> tuple[Container, ...]:
    """Every container of every stack, in a stable order."""
    listed = run(list_command())
    if listed.code == NOT_FOUND:
        raise NotInstalledError("docker is not installed on this host")
    if listed.code:
        raise DroverError(f"Docker does not answer: {listed.words}")
    if not listed.out.split():
        return ()
    shown = run(inspect_command(listed.out.split()))
    if shown.code and not shown.out.strip():
        raise DroverError(f"Docker does not answer: {shown.words}")
    try:
        return parse(shown.out)  # a container that went meanwhile is missing, and that is the truth
    except ValueError:
        raise DroverError(f"Docker does not answer: {shown.words[-200:]}") from None


def parse(text: str) -> tuple[Container, ...]:
    """Read what `docker inspect` prints; containers of `docker compose run` belong to whoever ran them.

    The standby is one of those, and stands by itself.
    """
    found = [_container(raw) for raw in json.loads(text) if not _one_off(raw) or _stands_by(raw)]
    return tuple(sorted(found, key=lambda each: (each.stack, each.service, each.number, each.name)))


def _labels(raw: Mapping[str, Any]) -> Mapping[str, str]:
    return raw["Config"].get("Labels") or {}


def _one_off(raw: Mapping[str, Any]) -> bool:
    return _labels(raw).get(f"{LABEL}oneoff", "False") == "True"


def _stands_by(raw: Mapping[str, Any]) -> bool:
    """Whether we made it so: a label alone may be of a stack's file or of an image."""
    labels = _labels(raw)
    return STANDS_BY in labels and _one_off(raw) and labels.get(f"{LABEL}project") == PROXY


def _container(raw: Mapping[str, Any]) -> Container:
    labels, state = _labels(raw), raw["State"]
    health = state.get("Health") or {}
    number = labels.get(f"{LABEL}container-number", "1")
    networks = raw.get("NetworkSettings", {}).get("Networks") or {}
    policy = raw.get("HostConfig", {}).get("RestartPolicy") or {}
    return Container(
        identity=raw["Id"],
        name=raw["Name"].lstrip("/"),
        stack=STANDBY if _stands_by(raw) else labels.get(f"{LABEL}project", ""),
        service=labels.get(f"{LABEL}service", ""),
        number=int(number) if number.isdigit() else 1,
        hash=labels.get(f"{LABEL}config-hash", ""),
        image=raw["Config"].get("Image", ""),
        image_id=raw.get("Image", ""),
        status=state["Status"],
        code=int(state.get("ExitCode", 0)),
        health="" if health.get("Status") in (None, "none") else health["Status"],
        note=_note(state, health),
        created=seconds(raw.get("Created", "")),
        started=seconds(state.get("StartedAt", "")),
        finished=seconds(state.get("FinishedAt", "")),
        restarts=int(raw.get("RestartCount", 0)),
        networks={name: end.get("IPAddress") or "" for name, end in sorted(networks.items())},
        depends=dependencies(labels.get(f"{LABEL}depends_on", "")),
        reasons={
            label.removeprefix(REASON): " ".join(why.split())
            for label, why in sorted(labels.items())
            if label.startswith(REASON)
        },
        digest=labels.get(DIGEST, ""),
        restart=_policy(policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0),
        pid=int(state.get("Pid") or 0),
        subnets={name: _subnet(end) for name, end in sorted(networks.items()) if end.get("IPAddress")},
        keeps=any(map(_nameless, raw.get("Mounts") or ())),
        ports=_ports(raw),
    )


def _ports(raw: Mapping[str, Any]) -> dict[str, tuple[tuple[str, int], ...]]:
    """As they are, of a container that runs; else as they are wished."""
    wished = raw.get("HostConfig", {}).get("PortBindings") or {}
    given = raw.get("NetworkSettings", {}).get("Ports") or {}
    return {
        inside: tuple((end.get("HostIp") or "", int(end["HostPort"])) for end in ends if end.get("HostPort"))
        for inside, ends in sorted({**wished, **given}.items())
        if ends
    }


def _policy(name: str, most: int) -> str:
    return f"{name}:{most}" if most else name


def _subnet(end: Mapping[str, Any]) -> str:
    return str(ip_interface(f"{end['IPAddress']}/{end.get('IPPrefixLen') or 32}").network)


def _nameless(mount: Mapping[str, Any]) -> bool:
    """Whether Docker made up the volume's name, and the container may write to it."""
    name = str(mount.get("Name") or "")
    return mount.get("Type") == "volume" and bool(mount.get("RW")) and bool(NAMELESS.fullmatch(name))


def _note(state: Mapping[str, Any], health: Mapping[str, Any]) -> str:
    """The last words about the container: the failed probe's output, or why Docker could not start it."""
    if state.get("OOMKilled"):
        return "out of memory"
    if state.get("Error"):
        return str(state["Error"])
    log = health.get("Log") or []
    return " ".join(str(log[-1].get("Output", "")).split())[:300] if log and log[-1].get("ExitCode") else ""


def dependencies(label: str) -> tuple[Dependency, ...]:
    """Read `db:service_healthy:false,migrate:service_completed_successfully:false`."""
    fields = [part.split(":") for part in label.split(",") if part]
    return tuple(Dependency(part[0], part[1] if len(part) > 1 else "service_started") for part in fields)


def of_stack(containers: Sequence[Container], stack: str) -> tuple[Container, ...]:
    """The containers of one stack."""
    return tuple(each for each in containers if each.stack == stack)


def proxies(containers: Sequence[Container]) -> list[Container]:
    """All that lead requests: the proxy, and its standby while it is there; not who shows pages for them."""
    own = [*of_stack(containers, PROXY), *of_stack(containers, STANDBY)]
    return [each for each in own if each.running and PUBLIC in each.networks]


def do(run: Runner, command: list[str], allowed: str = "", timeout: float = 120.0) -> None:
    """Run a command of Docker's; `allowed` is what it may say when there is nothing left to do."""
    done = run(command, timeout=timeout)
    if done.code and not (allowed and allowed in done.err):
        raise DroverError(f"Docker: {done.words}")


def remove(run: Runner, identities: Sequence[str]) -> None:
    """Stop containers with their grace, and remove them."""
    if identities:
        do(run, ["docker", "stop", *identities], allowed="No such container", timeout=STOP_SECONDS)
        do(run, ["docker", "rm", "--force", *identities], allowed="No such container")


def last_words(run: Runner, container: str) -> str:
    """The last lines that a container wrote."""
    if not container:
        return ""
    said = run(["docker", "logs", "--tail", str(LOG_LINES), container], merged=True)
    return said.out.rstrip() if not said.code else ""
