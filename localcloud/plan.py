"""What to do so that machines are as EC2 says: pure, from what is wanted and what is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

REBOOTED = 129  # the exit status of a machine in which `reboot` ran


@dataclass(frozen=True)
class Wanted:
    """An instance as EC2 describes it; `since` is when it was last told to start or to reboot."""

    identity: str
    state: str  # pending, running, stopping, stopped, shutting-down, terminated
    since: datetime
    address: str = ""
    hostname: str = ""
    vpc: str = ""


@dataclass(frozen=True)
class Found:
    """A machine as Docker has it, `ended` cut to seconds as LaunchTime is; `told`: we ended it last."""

    running: bool
    started: datetime | None = None
    ended: datetime | None = None
    code: int = 0
    told: bool = False


@dataclass(frozen=True)
class Step:
    """One thing to do with one machine: create, start, stop, restart, remove, or tell EC2 that it stopped."""

    verb: str
    identity: str


def wanted(instance: Mapping[str, Any]) -> Wanted:
    """Read an instance of DescribeInstances."""
    return Wanted(
        identity=instance["InstanceId"],
        state=instance["State"]["Name"],
        since=max(instance["LaunchTime"], _reboot(instance.get("StateTransitionReason", ""))),
        address=instance.get("PrivateIpAddress", ""),
        hostname=instance.get("PrivateDnsName", "").partition(".")[0],
        vpc=instance.get("VpcId", ""),
    )


def _reboot(reason: str) -> datetime:
    """Read the mark that the overlay leaves."""
    if not reason.startswith("Reboot ("):
        return datetime.min.replace(tzinfo=UTC)
    return datetime.fromisoformat(reason.removeprefix("Reboot (").removesuffix(")"))


def steps(instances: Mapping[str, Wanted], machines: Mapping[str, Found]) -> Iterator[Step]:
    """Yield at most one step for each machine."""
    for identity in machines.keys() - instances.keys():
        yield Step("remove", identity)
    for identity, instance in instances.items():
        verb = _verb(instance, machines.get(identity))
        if verb:
            yield Step(verb, identity)


def _verb(instance: Wanted, machine: Found | None) -> str:
    if instance.state in ("pending", "running"):
        return _up(instance, machine)
    if machine is None:
        return ""
    if instance.state in ("shutting-down", "terminated"):
        return "remove"
    return "stop" if machine.running else ""


def _up(instance: Wanted, machine: Found | None) -> str:
    if machine is None:
        return "create"
    if machine.running:
        return "restart" if machine.started and machine.started < instance.since else ""
    if machine.ended is None or machine.ended <= instance.since or machine.told or machine.code == REBOOTED:
        return "start"
    return "tell"  # it went off by itself
