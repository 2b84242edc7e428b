"""What the account says there should be: instances and load balancers, as the other modules need them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud import plan
from localcloud.cloud import moto
from localcloud.elb import Balancer, Group, Listener, Target


def instances() -> dict[str, plan.Wanted]:
    """Return every instance of the account in the region, by its id."""
    pages = moto("ec2").get_paginator("describe_instances").paginate()
    each = [one for page in pages for group in page["Reservations"] for one in group["Instances"]]
    return {one["InstanceId"]: plan.wanted(one) for one in each}


def balancers() -> list[Balancer]:
    """Return every application load balancer with all that its proxy needs to know.

    Groups of functions, and targets that have no address, are left out: nothing here can reach them.
    """
    elb = moto("elbv2")
    found = elb.describe_load_balancers()["LoadBalancers"]
    if not found:
        return []
    groups = {one.arn: one for one in _groups()}
    return [_balancer(each, groups) for each in found if each.get("Type", "application") == "application"]


def _balancer(found: Mapping[str, Any], groups: Mapping[str, Group]) -> Balancer:
    listeners = moto("elbv2").describe_listeners(LoadBalancerArn=found["LoadBalancerArn"])["Listeners"]
    return Balancer(
        name=found["LoadBalancerName"],
        dns=found["DNSName"].lower(),
        vpc=found["VpcId"],
        subnet=found["AvailabilityZones"][0]["SubnetId"],
        idle=int(
            _attributes("load_balancer", found["LoadBalancerArn"]).get("idle_timeout.timeout_seconds", 60)
        ),
        listeners=tuple(_listener(each) for each in listeners),
        groups=groups,
    )


def _listener(found: Mapping[str, Any]) -> Listener:
    rules = moto("elbv2").describe_rules(ListenerArn=found["ListenerArn"])["Rules"]
    return Listener(
        port=found["Port"],
        secure=found["Protocol"] == "HTTPS",
        certificates=tuple(
            tuple(_certificate(each["CertificateArn"])) for each in found.get("Certificates", [])
        ),
        rules=tuple(sorted(rules, key=_priority)),
    )


def _priority(rule: Mapping[str, Any]) -> int:
    return 10**6 if rule["IsDefault"] else int(rule["Priority"])


def _certificate(arn: str) -> list[str]:
    """Return the names that a certificate of the account stands for."""
    found = moto("acm").describe_certificate(CertificateArn=arn)["Certificate"]
    return list(dict.fromkeys([found["DomainName"], *found.get("SubjectAlternativeNames", [])]))


def _groups() -> Iterator[Group]:
    for found in moto("elbv2").describe_target_groups()["TargetGroups"]:
        if found.get("TargetType") == "lambda":
            continue
        arn = found["TargetGroupArn"]
        # moto lists who is registered, no matter what we told it of their health
        health = moto("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        attributes = _attributes("target_group", arn)
        yield Group(
            arn=arn,
            name=found["TargetGroupName"],
            check=found,
            sticky=attributes.get("stickiness.enabled") == "true",
            sticky_seconds=int(attributes.get("stickiness.lb_cookie.duration_seconds", 86400)),
            drain_seconds=int(attributes.get("deregistration_delay.timeout_seconds", 300)),
            targets=tuple(target for each in health if (target := _target(each["Target"])).address),
        )


def _attributes(kind: str, arn: str) -> dict[str, str]:
    parameter = "".join(word.title() for word in kind.split("_")) + "Arn"
    answer = getattr(moto("elbv2"), f"describe_{kind}_attributes")(**{parameter: arn})
    return {each["Key"]: each["Value"] for each in answer["Attributes"]}


def _target(found: Mapping[str, Any]) -> Target:
    identity, port = str(found["Id"]), int(found["Port"])
    return Target(identity, _address(identity), port)


def _address(identity: str) -> str:
    if not identity.startswith("i-"):
        return identity
    try:
        groups = moto("ec2").describe_instances(InstanceIds=[identity])["Reservations"]
    except ClientError:
        return ""  # there is no such instance: AWS would have refused the target
    return str(groups[0]["Instances"][0].get("PrivateIpAddress", "")) if groups else ""


def address_of(balancer: str) -> str:
    """Return the balancer's address, which its network interface has as in AWS; empty before it has one."""
    found = interfaces(balancer)
    return str(found[0]["PrivateIpAddress"]) if found else ""


def interfaces(balancer: str) -> list[dict[str, Any]]:
    """Return the network interfaces of a balancer."""
    filters = [{"Name": "description", "Values": [about(balancer)]}]
    found: list[dict[str, Any]] = moto("ec2").describe_network_interfaces(Filters=filters)[
        "NetworkInterfaces"
    ]
    return found


def about(balancer: str) -> str:
    """Return the description that marks a balancer's network interface."""
    return f"ELB app/{balancer}"
