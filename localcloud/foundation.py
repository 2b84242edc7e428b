"""What a client's Terraform makes before Drover comes: network, balancer, role, bucket, and what says so."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.drover.platform.plugins.plugin_utils import bucket as rules

from localcloud.cloud import REGION, client, running
from testhost.docker import say

BLOCK = "10.78.0.0/16"
ZONES = ("a", "b")
VERSIONS = ("Versions", "DeleteMarkers")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def ensure(name: str, environment: str, names: Sequence[str], key: Path, block: str = BLOCK) -> None:
    """Make what is missing of an environment; `names` are the certificate's, `key` is a public SSH key."""
    vpc = _network(name, block)
    # the first has the gateway's addresses
    parts = list(ipaddress.ip_network(block).subnets(new_prefix=24))[1:]
    subnets = [_subnet(vpc, zone, str(part)) for zone, part in zip(ZONES, parts, strict=False)]
    group = _security_group(vpc, f"{name}-host")
    targets = _target_group(vpc, f"{name}-web")
    bucket = _bucket(bucket_of(name))
    parameters = {
        "private_subnets": ",".join(subnets),
        "security_groups": group,
        "instance_profile": _profile(f"{name}-host", name, environment, bucket),
        "key_name": _key(name, key),
        "target_group/web": targets,
        "address/web": _address(f"{name}-web"),
        "load_balancer": _balancer(name, subnets, targets, names),
        "backup_bucket": bucket,
    }
    _zone(vpc, zone_of(name))
    for parameter, value in parameters.items():
        path = f"/{name}/{environment}/{parameter}"
        client("ssm").put_parameter(Name=path, Value=value, Type="String", Overwrite=True)
    where = f"load balancer {parameters['load_balancer']}, parameters below /{name}/{environment}"
    say(f"foundation of {name}: {vpc}, bucket {bucket}, {where}")


def remove(name: str) -> None:
    """Take away one client's instances, balancer and bucket, and its network on this machine."""
    if not running():
        say("the cloud is not up: there is nothing to forget")
        return
    ec2, elb = client("ec2"), client("elbv2")
    there = ["pending", "running", "stopping", "stopped"]
    filters = [
        {"Name": "tag:drover:client", "Values": [name]},
        {"Name": "instance-state-name", "Values": there},
    ]
    groups = ec2.describe_instances(Filters=filters)["Reservations"]
    if groups:
        found = [one["InstanceId"] for each in groups for one in each["Instances"]]
        ec2.terminate_instances(InstanceIds=found)
    for each in elb.describe_load_balancers()["LoadBalancers"]:
        if each["LoadBalancerName"] == name:
            elb.delete_load_balancer(LoadBalancerArn=each["LoadBalancerArn"])
    for each in elb.describe_target_groups()["TargetGroups"]:
        if each["TargetGroupName"] == f"{name}-web":
            elb.delete_target_group(TargetGroupArn=each["TargetGroupArn"])
    for each in _addresses(f"{name}-web"):
        ec2.release_address(AllocationId=each["AllocationId"])
    for each in client("route53").list_hosted_zones()["HostedZones"]:
        if each["Name"] == f"{zone_of(name)}.":
            _forget(each["Id"])
    _empty(bucket_of(name))
    say(f"{name} has no instance, load balancer, address, zone and bucket any more")


def bucket_of(name: str) -> str:
    """Return the name of the bucket for a client's backups."""
    return f"{name}-backup"


def zone_of(name: str) -> str:
    """Return the private zone of a client's network."""
    return f"{name}.internal"


def _network(name: str, block: str) -> str:
    found = client("ec2").describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [name]}])["Vpcs"]
    if found:
        return str(found[0]["VpcId"])
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": name}]}]
    return str(client("ec2").create_vpc(CidrBlock=block, TagSpecifications=tags)["Vpc"]["VpcId"])


def _subnet(vpc: str, zone: str, block: str) -> str:
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "cidr-block", "Values": [block]}]
    found = client("ec2").describe_subnets(Filters=filters)["Subnets"]
    if not found:
        wish = {"VpcId": vpc, "CidrBlock": block, "AvailabilityZone": f"{REGION}{zone}"}
        found = [client("ec2").create_subnet(**wish)["Subnet"]]
    return str(found[0]["SubnetId"])


def _security_group(vpc: str, name: str) -> str:
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": [name]}]
    found = client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    if found:
        return str(found[0]["GroupId"])
    return str(client("ec2").create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"])


def _addresses(name: str) -> list[Any]:
    filters = [{"Name": "tag:Name", "Values": [name]}]
    return list(client("ec2").describe_addresses(Filters=filters)["Addresses"])


def _address(name: str) -> str:
    found = _addresses(name)
    if not found:
        tags = [{"ResourceType": "elastic-ip", "Tags": [{"Key": "Name", "Value": name}]}]
        found = [client("ec2").allocate_address(Domain="vpc", TagSpecifications=tags)]
    return str(found[0]["PublicIp"])


def _zone(vpc: str, name: str) -> None:
    route53 = client("route53")
    if f"{name}." not in {each["Name"] for each in route53.list_hosted_zones()["HostedZones"]}:
        where = {"VPC": {"VPCRegion": REGION, "VPCId": vpc}, "HostedZoneConfig": {"PrivateZone": True}}
        route53.create_hosted_zone(Name=f"{name}.", CallerReference=vpc, **where)


def _forget(zone: str) -> None:
    """Delete a zone with its records."""
    route53 = client("route53")
    for each in route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]:
        if each["Type"] not in ("NS", "SOA"):
            change = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": each}]}
            route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change)
    route53.delete_hosted_zone(Id=zone)


def _bucket(name: str) -> str:
    """Make the bucket for backups, whose history nobody but us shortens."""
    s3 = client("s3")
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=rules.VERSIONING)
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration=rules.LIFECYCLE)
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=rules.PUBLIC_ACCESS)
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=rules.ENCRYPTION)
    administrator = str(client("sts").get_caller_identity()["Arn"])
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(rules.bucket_policy(name, administrator)))
    return name


def _empty(bucket: str) -> None:
    """Delete a bucket with every version in it, if it is there."""
    s3 = client("s3")
    with suppress(s3.exceptions.NoSuchBucket):
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        every = [each for page in pages for kind in VERSIONS for each in page.get(kind, [])]
        for index in range(0, len(every), 1000):
            part = [
                {name: each[name] for name in ("Key", "VersionId")} for each in every[index : index + 1000]
            ]
            s3.delete_objects(Bucket=bucket, Delete={"Objects": part, "Quiet": True})
        s3.delete_bucket(Bucket=bucket)


def _profile(name: str, owner: str, environment: str, bucket: str) -> str:
    """Make the hosts' role, for the client's own parameters, images and backups, and its profile."""
    iam = client("iam")
    allowed = [
        {
            "Effect": "Allow",
            "Action": ["ssm:GetParameter*"],
            "Resource": f"arn:aws:ssm:*:*:parameter/{owner}/{environment}/*",
        },
        {
            "Effect": "Allow",
            "Action": ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Resource": "*",
        },
        *rules.role_policy(bucket, owner, environment)["Statement"],
    ]
    there = iam.exceptions.EntityAlreadyExistsException, iam.exceptions.LimitExceededException
    with suppress(*there):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    with suppress(*there):
        iam.create_instance_profile(InstanceProfileName=name)
    with suppress(*there):
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    policy = json.dumps({"Version": "2012-10-17", "Statement": allowed})
    iam.put_role_policy(RoleName=name, PolicyName="host", PolicyDocument=policy)
    return name


def _key(name: str, public: Path) -> str:
    found = client("ec2").describe_key_pairs(Filters=[{"Name": "key-name", "Values": [name]}])["KeyPairs"]
    if not found:
        client("ec2").import_key_pair(KeyName=name, PublicKeyMaterial=public.read_bytes())
    return name


def _target_group(vpc: str, name: str) -> str:
    elb = client("elbv2")
    for each in elb.describe_target_groups()["TargetGroups"]:
        if each["TargetGroupName"] == name:
            return str(each["TargetGroupArn"])
    made = elb.create_target_group(
        Name=name,
        Protocol="HTTP",
        Port=80,
        VpcId=vpc,
        TargetType="instance",
        HealthCheckPath="/drover-health",
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
        Matcher={"HttpCode": "200"},
    )["TargetGroups"][0]
    wish = [{"Key": "deregistration_delay.timeout_seconds", "Value": "10"}]
    elb.modify_target_group_attributes(TargetGroupArn=made["TargetGroupArn"], Attributes=wish)
    return str(made["TargetGroupArn"])


def _balancer(name: str, subnets: Sequence[str], targets: str, names: Sequence[str]) -> str:
    """Make the load balancer with HTTPS, and HTTP that leads there; return its DNS name."""
    elb = client("elbv2")
    found = [
        each for each in elb.describe_load_balancers()["LoadBalancers"] if each["LoadBalancerName"] == name
    ]
    if not found:
        found = elb.create_load_balancer(Name=name, Subnets=list(subnets))["LoadBalancers"]
    arn = found[0]["LoadBalancerArn"]
    ports = {each["Port"] for each in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]}
    if 443 not in ports:
        wish = {"DomainName": names[0], "SubjectAlternativeNames": list(names)}
        certificate = {"CertificateArn": client("acm").request_certificate(**wish)["CertificateArn"]}
        forward = [{"Type": "forward", "TargetGroupArn": targets}]
        secure = {"Protocol": "HTTPS", "Port": 443, "Certificates": [certificate]}
        elb.create_listener(LoadBalancerArn=arn, DefaultActions=forward, **secure)
    if 80 not in ports:
        there = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        lead = [{"Type": "redirect", "RedirectConfig": there}]
        elb.create_listener(LoadBalancerArn=arn, DefaultActions=lead, Protocol="HTTP", Port=80)
    return str(found[0]["DNSName"])
