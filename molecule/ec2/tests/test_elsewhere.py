"""A second instance that runs none of the first one's stacks, and verifies its backups."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from shared.instances import INVENTORY, listed, over_ssh
from shared.scenario import ROOT, Scenario
from testinfra.host import Host

from .s3 import JOB, drover, psql

CHECK = "aws_ec2_tags['drover:host'] == 'check'"
PARTS = {
    "backup_verifies": f"{{{{ ['web'] if {CHECK} else [] }}}}",
    "backup_verified_by": f"{{{{ '' if {CHECK} else 'check' }}}}",
    "stacks_stacks": f"{{{{ [] if {CHECK} else drover_stacks }}}}",
    "backup_stacks": "{{ stacks_stacks }}",
}


@pytest.fixture
def both(scenario: Scenario, host: Host, ec2: Any) -> Iterator[Host]:
    """The second instance, converged; afterwards there is one again, which verifies for itself."""
    folder = INVENTORY.with_name("inventory.elsewhere")
    shutil.copytree(INVENTORY, folder, dirs_exist_ok=True)
    write(folder / "group_vars" / "all" / "aws.yml", with_check)
    write(folder / "group_vars" / "all" / "platform.yml", lambda found: found | PARTS)
    try:
        assert scenario.site(inventory=folder, playbook=ROOT / "playbooks" / "aws.yml").status == 0
        scenario.converge(inventory=folder)
        (name,) = (each for each in listed()["_meta"]["hostvars"] if each.startswith("check-"))
        address = str(listed()["_meta"]["hostvars"][name]["aws_private_ip_address"])
        yield over_ssh(Scenario(folder, name, address))
        ec2.terminate_instances(InstanceIds=[name.removeprefix("check-")])
        ec2.get_waiter("instance_terminated").wait(InstanceIds=[name.removeprefix("check-")])
        scenario.converge("--tags", "backup")
    finally:
        shutil.rmtree(folder)


def write(path: Path, change: Any) -> None:
    path.write_text(yaml.safe_dump(change(yaml.safe_load(path.read_text()))))


def with_check(found: dict[str, Any]) -> dict[str, Any]:
    found["drover_aws"]["hosts"].append({"name": "check", "role": "check"})
    return found


@pytest.mark.long
def test_an_instance_verifies_for_another_one(host: Host, both: Host, rows: str) -> None:
    drover(host, "backup", JOB)
    assert drover(host, "verify", JOB)["result"] == "waits"
    own = both.check_output("docker ps -a --format '{{.Names}}'")
    assert "ledger" not in own, own
    told = json.loads(both.check_output("drover verify --json"))["jobs"]
    assert told[f"web: {JOB}"]["result"] == "verified", told
    assert both.check_output("docker ps -a --format '{{.Names}}'") == own, "its copy is gone"
    assert "check restored" in drover(host, "verify", JOB)["text"]
    (found,) = (each for each in json.loads(host.check_output("drover backups --json")) if each["job"] == JOB)
    assert found["verified"] == found["newest"]
    psql(host, "INSERT INTO bookings VALUES (9999, 'later');")
    assert drover(host, "backup", JOB)["result"] == "ok"
    spoil = "psql -h 127.0.0.1 -U ledger -c 'DELETE FROM bookings WHERE id = 9999'"
    done = both.run(f"drover verify --of web {JOB} --json --spoil {json.dumps(spoil)}")
    assert done.rc == 1 and "bookings" in done.stdout, done.stdout + done.stderr
