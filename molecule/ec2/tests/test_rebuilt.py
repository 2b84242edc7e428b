"""A host that is lost: the next instance of the same inventory has the data of the last backup."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from shared.instances import found, over_ssh
from shared.scenario import ROOT, Scenario, eventually
from testinfra.host import Host

from .s3 import SUM, drover, psql

ADD = "INSERT INTO bookings SELECT n, 'canary-' || n FROM generate_series({}, {}) AS n;"


@pytest.mark.long
def test_the_next_instance_serves_every_row_of_the_last_backup(
    scenario: Scenario, host: Host, ec2: Any, identity: str, fetch: Callable[..., int]
) -> None:
    psql(host, "DROP TABLE IF EXISTS bookings; CREATE TABLE bookings (id int PRIMARY KEY, note text);")
    psql(host, ADD.format(1, 5000))
    drover(host, "backup")
    before = psql(host, SUM)
    psql(host, ADD.format(5001, 5010))
    ec2.terminate_instances(InstanceIds=[identity])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[identity])
    assert scenario.site(playbook=ROOT / "playbooks" / "aws.yml").changed
    successor = found()
    assert successor.name != scenario.name
    scenario.converge()
    there = over_ssh(successor)
    refused = there.run("drover restore --all")
    assert refused.rc == 1 and "--replace" in refused.stderr, refused.stderr
    told = json.loads(there.check_output("drover restore --all --replace --json"))
    assert {each["result"] for each in told["jobs"].values()} == {"ok"}, told
    assert psql(there, SUM) == before, "what came after the backup is the recovery point's"
    assert eventually(lambda: fetch() == 200)
    assert there.run("drover apply --check").rc == 0
