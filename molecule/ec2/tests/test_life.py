"""Stop, start, reboot and loss of power, as EC2, the load balancer and the host see them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from shared.scenario import ROOT, eventually, service
from testinfra.host import Host

from localcloud import account, balancers, cloud, machines, reconcile
from localcloud.elb import Group

Fetch = Callable[..., int]


def localcloud(*arguments: str) -> str:
    command = [str(ROOT / "localcloud" / "localcloud"), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def state(ec2: Any, identity: str) -> str:
    return str(
        ec2.describe_instances(InstanceIds=[identity])["Reservations"][0]["Instances"][0]["State"]["Name"]
    )


def health(identity: str) -> str:
    (group,) = group_of("acme")
    answer = cloud.client("elbv2").describe_target_health(TargetGroupArn=group.arn)
    return {
        each["Target"]["Id"]: str(each["TargetHealth"]["State"])
        for each in answer["TargetHealthDescriptions"]
    }[identity]


def group_of(name: str) -> list[Group]:
    """Return the groups that a balancer sends requests to."""
    return next(each for each in account.balancers() if each.name == name).used()


def servers(balancer: str, group: str) -> set[str]:
    """Return the servers of a group that the balancer's proxy has."""
    return {server for name, server in balancers.servers(balancer) if name == group}


def test_answers_through_the_balancer(fetch: Fetch, identity: str) -> None:
    assert eventually(lambda: fetch() == 200)
    assert fetch("notes.acme.example", "/up") == 200
    assert health(identity) == "healthy"


def test_stop_and_start(ec2: Any, identity: str, fetch: Fetch) -> None:
    ec2.stop_instances(InstanceIds=[identity])
    assert eventually(lambda: not machines.found()[identity].running, 40)
    assert eventually(lambda: fetch() == 503)
    assert health(identity) == "unused"
    ec2.start_instances(InstanceIds=[identity])
    assert eventually(lambda: fetch() == 200, 60)
    assert eventually(lambda: health(identity) == "healthy")


def test_reboot(ec2: Any, identity: str, host: Host, fetch: Fetch) -> None:
    before = host.check_output("cat /proc/sys/kernel/random/boot_id")
    ec2.reboot_instances(InstanceIds=[identity])

    def again() -> bool:
        with suppress(RuntimeError):  # testinfra's word for an SSH that does not answer
            return bool(host.check_output("cat /proc/sys/kernel/random/boot_id") != before)
        return False

    assert eventually(again, 60)
    assert eventually(lambda: fetch() == 200, 60)
    assert host.check_output("cat /etc/from-user-data") == "at the first boot"


def test_a_machine_without_power_is_a_stopped_instance(ec2: Any, identity: str, fetch: Fetch) -> None:
    localcloud("fault", "power", identity)
    started = time.monotonic()
    assert eventually(lambda: state(ec2, identity) == "stopped", 10)
    assert time.monotonic() - started < 3, "two seconds, and the second that EC2's clock is coarse"
    ec2.start_instances(InstanceIds=[identity])
    assert eventually(lambda: fetch() == 200, 60)


def test_network_cut(identity: str, fetch: Fetch) -> None:
    cut = subprocess.Popen(
        [str(ROOT / "localcloud" / "localcloud"), "fault", "network", identity, "--seconds=25"]
    )
    assert eventually(lambda: health(identity) == "unhealthy", 24)
    assert cut.wait(40) == 0
    assert eventually(lambda: fetch() == 200, 30)


def test_target_that_fails_its_check(host: Host, identity: str, fetch: Fetch) -> None:
    proxy = service(host, "proxy", os.environ.get("DROVER_PROXY", "traefik"))
    host.check_output(f"docker stop {proxy}")
    assert eventually(lambda: health(identity) == "unhealthy", 30)
    host.check_output(f"docker start {proxy}")
    assert eventually(lambda: fetch() == 200 and health(identity) == "healthy", 30)


def test_a_target_leaves_and_comes_back(identity: str, fetch: Fetch) -> None:
    elb, (group,) = cloud.client("elbv2"), group_of("acme")
    elb.deregister_targets(TargetGroupArn=group.arn, Targets=[{"Id": identity}])
    assert eventually(lambda: fetch() == 503, 15)
    assert eventually(lambda: not servers("acme", group.name), group.drain_seconds + 5)
    asked = {"TargetGroupArn": group.arn, "Targets": [{"Id": identity}]}

    def reason() -> str:
        return str(
            elb.describe_target_health(**asked)["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"]
        )

    assert eventually(lambda: reason() == "Target.NotRegistered", 5), reason()
    elb.register_targets(TargetGroupArn=group.arn, Targets=[{"Id": identity}])
    assert eventually(lambda: fetch() == 200, 30)


def test_stickiness_is_a_cookie(answer: Callable[..., str]) -> None:
    elb, (group,) = cloud.client("elbv2"), group_of("acme")

    def sticky(value: str) -> None:
        wish = [{"Key": "stickiness.enabled", "Value": value}]
        elb.modify_target_group_attributes(TargetGroupArn=group.arn, Attributes=wish)

    assert "AWSALB=" not in answer()
    sticky("true")
    assert eventually(lambda: "AWSALB=" in answer(), 15)
    sticky("false")
    assert eventually(lambda: answer().startswith("HTTP/1.1 200") and "AWSALB=" not in answer(), 15)


def test_service_faults() -> None:
    ssm = cloud.client("ssm")
    localcloud("fault", "slow", "ssm", "--seconds=60", "--milliseconds=700")
    started = time.monotonic()
    ssm.describe_parameters()
    assert time.monotonic() - started >= 0.7
    localcloud("fault", "error", "ssm", "--seconds=2")
    with pytest.raises(ClientError):
        ssm.describe_parameters()
    assert eventually(lambda: answers(ssm), 10)


def answers(client: Any) -> bool:
    try:
        client.describe_parameters()
    except (ClientError, BotoCoreError):
        return False
    return True


def test_calls_that_nobody_carries_out_are_named() -> None:
    with pytest.raises(ClientError, match="does not carry out autoscaling:CreateAutoScalingGroup"):
        cloud.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName="x", MinSize=1, MaxSize=1, AvailabilityZones=["eu-central-1a"]
        )
    said = localcloud("status")
    assert "autoscaling:CreateAutoScalingGroup" in said and "ec2:CreateSecurityGroup" in said


def test_up_adopts_what_a_kill_left(identity: str, fetch: Fetch) -> None:
    before = machines.found()[identity].started
    process = reconcile.running()
    assert process
    os.kill(process, signal.SIGKILL)
    subprocess.run(["docker", "kill", cloud.GATEWAY], check=True, capture_output=True)
    localcloud("up")
    assert reconcile.running() not in (None, process)
    assert machines.found()[identity].started == before
    assert eventually(lambda: fetch() == 200)
