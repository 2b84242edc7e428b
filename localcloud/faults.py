"""Faults to order: a service that is slow, errs or is silent, an instance without network or power."""

from __future__ import annotations

import re
import time

from localcloud import cloud, machines
from localcloud.cloud import RUN, CloudError
from testhost.docker import docker, inspect, say

SERVICE_FAULTS = {
    "slow": "each answer of a service comes late",
    "error": "a service answers 503",
    "absent": "a service does not answer at all",
}
INSTANCE_FAULTS = {"network": "cut an instance's network", "power": "pull an instance's power"}
LAUNCH_FAULTS = {"boot": "whatever is launched meanwhile never boots"}
MAP = RUN / "faults.map"


def inject(kind: str, target: str, seconds: int, milliseconds: int) -> None:
    """Do it; a fault of a service or a network ends by itself after the seconds."""
    if kind in SERVICE_FAULTS:
        _service(kind, target, seconds, milliseconds)
    elif kind in LAUNCH_FAULTS:
        machines.BOOTLESS.write_text(str(time.time() + seconds))
        say(f"what is launched in the next {seconds} s never boots")
    elif not inspect("container", machines.name_of(target)):
        raise CloudError(f"{target} has no machine: localcloud status shows those there are")
    elif kind == "power":
        docker("kill", "--signal", "KILL", machines.name_of(target))
        say(f"{target} has no power; EC2 will show it as stopped")
    else:
        _cut(target, seconds)


def _service(kind: str, service: str, seconds: int, milliseconds: int) -> None:
    if not re.fullmatch(r"[a-z0-9-]+", service):
        raise CloudError(f"{service} is no service: ec2, elasticloadbalancing, s3, ssm, sts …")
    until = int(time.time()) + seconds
    _tell(service, f"{kind}:{until}:{milliseconds}")
    say(f"{service}: {kind} for {seconds} s")


def _tell(service: str, value: str) -> None:
    """Change the gateway's map while it runs."""
    command = (
        f"del map /run/localcloud/faults.map {service}; add map /run/localcloud/faults.map {service} {value}"
    )
    cloud.ask(RUN / "gateway.sock", command)


def _cut(instance: str, seconds: int) -> None:
    """Take the cable out: the machine's end of the link goes down, so that nothing inside is changed."""
    index = docker("exec", machines.name_of(instance), "cat", "/sys/class/net/eth0/iflink")
    say(f"{instance}: no network for {seconds} s")
    link = f"$(ip -o link | sed -n 's/^{index}: \\([^@:]*\\).*/\\1/p')"
    script = f'link={link}; ip link set "$link" down; sleep {seconds}; ip link set "$link" up'
    options = ["--rm", "--network=host", "--cap-add=NET_ADMIN", *cloud.labels(fault=instance)]
    docker("run", *options, cloud.IMAGE, "sh", "-c", script, seconds=seconds + 60)
