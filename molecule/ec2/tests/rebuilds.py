"""Runs of the playbook that rebuilds, killed where a test says; its journal; which instances there are."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from shared.instances import INVENTORY, found, over_ssh
from shared.scenario import ROOT, Run, Scenario, eventually
from testinfra.host import Host

from localcloud import cloud

STEPS = [
    "launch",
    "converge",
    "backup",
    "restore",
    "try",
    "freeze",
    "save",
    "bring",
    "serve",
    "switch",
    "activate",
    "retire",
]
PARAMETER = "/acme/staging/rebuild/web"


def journal() -> dict[str, Any]:
    """What the journal says; empty where there is none."""
    ssm = cloud.client("ssm")
    try:
        told = ssm.get_parameter(Name=PARAMETER)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        return {}
    return dict(json.loads(told))


def owner() -> str:
    """Which run has the journal."""
    return str(journal().get("owner", {}).get("token", ""))


def begun(step: str, before: str = "") -> bool:
    """Whether a run after `before` has begun this step, or one that comes after it."""
    told = journal()
    if told.get("ended", "x") or owner() == before or told["owner"]["clock"] is None:
        return False
    last = told["steps"][-1][0]
    return last in STEPS and STEPS.index(last) >= STEPS.index(step)


def start(
    *arguments: str, playbook: str = "rebuild", root: Path = ROOT, inventory: Path = INVENTORY
) -> subprocess.Popen[str]:
    """The playbook, as a process group of its own, without a terminal."""
    inventory = root / inventory.relative_to(ROOT)
    return subprocess.Popen(
        ["ansible-playbook", "-i", str(inventory), f"playbooks/{playbook}.yml", "-e", "host=web", *arguments],
        cwd=root,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str], seconds: float = 600) -> Run:
    """Wait for its end."""
    output, _ = process.communicate(timeout=seconds)
    return Run(process.returncode, output)


def rebuild(*arguments: str, playbook: str = "rebuild", root: Path = ROOT) -> Run:
    """Run it to its end."""
    return ended(start(*arguments, playbook=playbook, root=root))


def killed(step: str, delay: float, *arguments: str, root: Path = ROOT) -> Run | None:
    """Kill it `delay` seconds after the step has begun; its end, if it came to one before."""
    before = owner()
    process = start(*arguments, root=root)
    try:
        eventually(lambda: process.poll() is not None or begun(step, before), 400)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return ended(process, delay)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return None


def instances() -> dict[str, tuple[str, str]]:
    """State and part of each of this client's by its id."""
    own = [{"Name": "tag:drover:client", "Values": ["acme"]}]
    groups = cloud.client("ec2").describe_instances(Filters=own)["Reservations"]
    return {
        each["InstanceId"]: (
            each["State"]["Name"],
            {tag["Key"]: tag["Value"] for tag in each.get("Tags", [])}.get("drover:lifecycle", ""),
        )
        for group in groups
        for each in group["Instances"]
    }


def serving() -> tuple[str, Host]:
    """Id of the only instance that runs, and the instance."""
    scenario = found()
    return scenario.name.removeprefix("web-"), over_ssh(scenario)


def running() -> set[str]:
    """Ids of the instances that run, or will in a moment."""
    return {name for name, (state, _) in instances().items() if state in ("pending", "running")}


def reached(identity: str) -> Scenario:
    """One of several instances, as a scenario of its own."""
    (group,) = cloud.client("ec2").describe_instances(InstanceIds=[identity])["Reservations"]
    return Scenario(INVENTORY, f"web-{identity}", str(group["Instances"][0]["PrivateIpAddress"]))


def settled(identity: str, host: Host) -> None:
    """It serves alone, is well, and a dry run has nothing to do."""
    assert running() == {identity} and instances()[identity][1] == "active"
    assert "this host is active" in host.check_output("drover lifecycle")
    assert host.run("drover apply --check").rc == 0
    assert journal()["ended"]
