"""The host container of an instance: made, started, stopped and removed as EC2 would the machine."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from localcloud import authority, cloud, networks
from localcloud.cloud import ADDRESSES, CACHE, GATEWAY, MACHINE_IMAGE, moto
from localcloud.plan import Found, Wanted
from testhost import hosts, registry
from testhost.docker import docker, inspect

MARK = "instance"
STOPS = CACHE / "stops"  # <instance> → the start of its machine that we ended
BOOTLESS = CACHE / "bootless"  # until when what is launched never boots
HANG = "trap exit TERM; while :; do sleep 1; done"
SHUTDOWN = 60  # seconds until a machine that does not shut down loses its power


def name_of(identity: str) -> str:
    return f"drover-cloud-{identity}"


def found() -> dict[str, Found]:
    """Return our machines by instance, running or not."""
    return {cloud.mark_of(each, MARK): _found(each) for each in cloud.ours("container", MARK)}


def _found(container: dict[str, Any]) -> Found:
    state = container["State"]
    never = state["Status"] == "created"
    return Found(
        running=bool(state["Running"]),
        started=None if never else _moment(state["StartedAt"]),
        ended=None if never or state["Running"] else _moment(state["FinishedAt"]).replace(microsecond=0),
        code=int(state["ExitCode"]),
        told=_told(cloud.mark_of(container, MARK)) == state["StartedAt"],
    )


def _told(identity: str) -> str:
    """Return which start of the machine we ended, by Docker's time of it."""
    file = STOPS / identity
    return file.read_text() if file.exists() else ""


def _tell(identity: str) -> None:
    """Note that it is us who end the machine: it may need longer than EC2 waits to start it again."""
    STOPS.mkdir(exist_ok=True)
    (STOPS / identity).write_text(inspect("container", name_of(identity))[0]["State"]["StartedAt"])


def _moment(text: str) -> datetime:
    """Docker writes nanoseconds without the zeros at their end; Python reads microseconds."""
    second, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{second}.{fraction[:6]:0<6}+00:00")


def create(wanted: Wanted) -> None:
    """Make and start the machine at its address; cloud-init does the rest with what the metadata says."""
    network = networks.ensure(wanted.vpc)
    block = moto("ec2").describe_vpcs(VpcIds=[wanted.vpc])["Vpcs"][0]["CidrBlock"]
    hosts.PACKAGES.mkdir(parents=True, exist_ok=True)
    names = CACHE / f"resolv.{wanted.vpc}"
    names.write_text(f"nameserver {networks.guests(block)[0]}\n")
    hanging = ["--entrypoint=sh", "--stop-signal=TERM", MACHINE_IMAGE, "-c", HANG]
    mounts = [
        f"--volume={hosts.PACKAGES}:/var/cache/testhost/packages",
        f"--volume={names}:/etc/resolv.conf:ro",
        f"--volume={authority.AUTHORITY}:/usr/local/share/ca-certificates/localcloud.crt:ro",
    ]
    docker(
        "create", "--name", name_of(wanted.identity), "--hostname", wanted.hostname,
        *cloud.labels(instance=wanted.identity), "--network", network, "--ip", wanted.address,
        "--env", f"ROUTES={_routes(block)}", *hosts.OPTIONS, *mounts,
        *(hanging if _hangs() else [MACHINE_IMAGE]),
    )  # fmt: skip
    start(wanted)


def _hangs() -> bool:
    """Whether somebody ordered that what is launched now never boots."""
    return BOOTLESS.exists() and time.time() < float(BOOTLESS.read_text())


def _routes(block: str) -> str:
    """Return what the machine reaches by the gateway's and the registry's own addresses in its VPC."""
    gateway, store = networks.guests(block)
    ours = ["169.254.169.254", "169.254.169.253", ADDRESSES[GATEWAY]]
    return " ".join([*(f"{address}={gateway}" for address in ours), f"{registry.ADDRESS}={store}"])


def start(wanted: Wanted) -> None:
    docker("start", name_of(wanted.identity))


def stop(wanted: Wanted) -> None:
    _tell(wanted.identity)
    docker("stop", "--time", str(SHUTDOWN), name_of(wanted.identity), seconds=SHUTDOWN + 30)


def restart(wanted: Wanted) -> None:
    """Shut down and start: what a reboot is, and a stop and start that nobody saw."""
    _tell(wanted.identity)
    docker("restart", "--time", str(SHUTDOWN), name_of(wanted.identity), seconds=SHUTDOWN + 30)


def remove(identity: str) -> None:
    """Shut the machine down, as a termination does, and remove its disk."""
    docker("stop", "--time", str(SHUTDOWN), name_of(identity), seconds=SHUTDOWN + 30)
    docker("rm", "--force", "--volumes", name_of(identity))
    (STOPS / identity).unlink(missing_ok=True)


def told_to_stop(wanted: Wanted) -> None:
    """A machine went off by itself: the instance is stopped, or terminated if it was launched so."""
    ec2, name = moto("ec2"), "instanceInitiatedShutdownBehavior"
    found = ec2.describe_instance_attribute(InstanceId=wanted.identity, Attribute=name)
    if found["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate":
        ec2.terminate_instances(InstanceIds=[wanted.identity])
    else:
        ec2.stop_instances(InstanceIds=[wanted.identity])
