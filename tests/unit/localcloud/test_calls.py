"""What the gateway lets through: the first line of calls.map that fits says what becomes of a call."""

from __future__ import annotations

import re
from pathlib import Path

import botocore.session
import pytest

GATEWAY = Path(__file__).resolve().parents[3] / "localcloud" / "image" / "gateway"
EMULATORS = {"moto", "ministack", "registry"}


def table(name: str) -> list[tuple[str, str]]:
    lines = [line for line in (GATEWAY / name).read_text().splitlines() if not line.startswith("#")]
    return [(key, value) for key, value in (line.split() for line in lines)]


CALLS, SERVICES = table("calls.map"), table("services.map")


def fate(call: str) -> str:
    return next((value for pattern, value in CALLS if re.search(pattern, call)), "refused")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("ec2:DescribeInstances", "yes"),
        ("ec2:GetConsoleOutput", "yes"),
        ("ec2:RunInstances", "yes"),
        ("ec2:RebootInstances", "yes"),
        ("ec2:ModifyInstanceMetadataOptions", "yes"),
        ("ec2:CreateTags", "yes"),
        ("ec2:CreateSubnet", "yes"),
        ("ec2:AssociateIamInstanceProfile", "yes"),
        ("ec2:AuthorizeSecurityGroupIngress", "recorded"),
        ("ec2:CreateInternetGateway", "recorded"),
        ("ec2:AssociateRouteTable", "recorded"),
        ("ec2:AttachVolume", "recorded"),
        ("ec2:AllocateAddress", "recorded"),
        ("ec2:RequestSpotInstances", "refused"),
        ("ec2:CreateFleet", "refused"),
        ("ec2:CreateVpcPeeringConnection", "refused"),
        ("ec2:MonitorInstances", "refused"),
        ("elasticloadbalancing:CreateLoadBalancer", "yes"),
        ("elasticloadbalancing:ModifyTargetGroupAttributes", "yes"),
        ("elasticloadbalancing:DeregisterTargets", "yes"),
        ("elasticloadbalancing:SetSecurityGroups", "recorded"),
        ("elasticloadbalancing:CreateTrustStore", "refused"),
        ("acm:RequestCertificate", "yes"),
        ("acm:RenewCertificate", "refused"),
        ("route53:POST", "recorded"),
        ("s3:PUT", "yes"),
        ("registry:PATCH", "yes"),
        ("sts:AssumeRole", "yes"),
        ("ssm:PutParameter", "yes"),
        ("autoscaling:CreateAutoScalingGroup", "refused"),
        ("autoscaling:DescribeAutoScalingGroups", "yes"),
        ("lambda:POST", "refused"),
        ("rds:CreateDBInstance", "refused"),
        ("xec2:RunInstances", "refused"),
        ("ec2:RunInstancesLater", "refused"),
    ],
)
def test_what_becomes_of_a_call(call: str, said: str):
    assert fate(call) == said


def test_every_line_says_what_becomes_of_a_call():
    assert {value for _, value in CALLS} == {"yes", "recorded"}


def test_every_line_is_anchored():
    """A word in the middle of another action would let that one through."""
    assert [pattern for pattern, _ in CALLS if not pattern.startswith("^")] == []


def test_every_service_is_known_and_played_by_somebody():
    known = botocore.session.get_session().get_available_services()
    assert {service for service, _ in SERVICES} - set(known) == {"registry"}
    assert {emulator for _, emulator in SERVICES} <= EMULATORS


def test_every_service_that_somebody_plays_is_let_through():
    assert [service for service, _ in SERVICES if fate(f"{service}:GET") != "yes"] == []


def test_every_action_named_is_one_that_aws_has():
    """A misspelt line would refuse what it means to carry out."""
    session = botocore.session.get_session()
    actions = [
        f"{name}:{operation}"
        for name, client in (("ec2", "ec2"), ("elasticloadbalancing", "elbv2"), ("acm", "acm"))
        for operation in session.get_service_model(client).operation_names
    ]
    named = [pattern for pattern, _ in CALLS if re.match(r"\^(ec2|elasticloadbalancing|acm):", pattern)]
    assert [pattern for pattern in named if not any(re.search(pattern, each) for each in actions)] == []
