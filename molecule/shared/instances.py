"""The inventory of the scenario `ec2`, as the published plugin answers it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import testinfra
from shared.scenario import KEY, ROOT, Scenario
from testinfra.host import Host

INVENTORY = ROOT / "molecule" / "ec2" / "inventory"


def listed() -> dict[str, Any]:
    """Return what `ansible-inventory --list` says."""
    command = ["ansible-inventory", "-i", str(INVENTORY), "--list"]
    done = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    answer: dict[str, Any] = json.loads(done.stdout, object_hook=_plain)
    return answer


def found() -> Scenario:
    """The scenario with its only instance."""
    ((name, variables),) = listed()["_meta"]["hostvars"].items()
    return Scenario(INVENTORY, name, str(variables["aws_private_ip_address"]))


def over_ssh(scenario: Scenario) -> Host:
    """The instance as its administrator."""
    extra = "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR"
    return testinfra.get_host(
        f"ssh://admin@{scenario.address}?sudo=true", ssh_identity_file=str(KEY), ssh_extra_args=extra
    )


def _plain(found: dict[str, Any]) -> Any:
    """What came from outside is marked so that nobody takes it for a template."""
    return found.get("__ansible_unsafe", found)
