"""What an instance may know of itself, as the emulators have it: a tree of folders and files."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config

STALE = 1.0  # seconds for which what was read of an instance still counts
Leaf = str | bytes
# A folder of the service. A function is called when somebody reads it: credentials are made only then.
Tree = Mapping[str, "Leaf | Callable[[], Leaf] | Tree"]


def client(service: str) -> Any:
    """Return a client of the emulated account's root user, at the emulator itself: faults are for others."""
    emulator = os.environ["MOTO" if service == "ec2" else "MINISTACK"]
    return boto3.client(
        service,
        endpoint_url=f"http://{emulator}",
        region_name=os.environ["REGION"],
        aws_access_key_id=os.environ["ACCOUNT"],
        aws_secret_access_key="localcloud",
        # Whoever asks us waits a few seconds: an answer that we cannot get by then is an error, and said.
        config=Config(connect_timeout=1, read_timeout=5, retries={"max_attempts": 1}, proxies={}),
    )


@dataclass(frozen=True)
class Credentials:
    """Keys of a role, as the service gives them to a program, until a moment in seconds of the epoch."""

    document: str
    until: float


class Cloud:
    """What the emulators know, asked as seldom as a program on the instance can tell."""

    def __init__(self) -> None:
        self.ec2, self.iam, self.sts = client("ec2"), client("iam"), client("sts")
        self._instances: dict[str, tuple[float, dict[str, Any] | None]] = {}
        self._credentials: dict[tuple[str, str], Credentials] = {}
        self._ranges: dict[str, tuple[str, str]] = {}

    def instance(self, address: str) -> dict[str, Any] | None:
        """Return the running instance with this private address, as EC2 describes it."""
        read, found = self._instances.get(address, (0.0, None))
        if time.monotonic() - read > STALE:
            wanted = {"private-ip-address": [address], "instance-state-name": ["pending", "running"]}
            filters = [{"Name": name, "Values": values} for name, values in wanted.items()]
            answer = self.ec2.describe_instances(Filters=filters)["Reservations"]
            each = [
                {**one, "ReservationId": group["ReservationId"]}
                for group in answer
                for one in group["Instances"]
            ]
            found = each[0] if each else None
            self._instances[address] = (time.monotonic(), found)
        return found

    def user_data(self, instance: Mapping[str, Any]) -> bytes:
        """Return the user data as it was given."""
        asked = {"InstanceId": instance["InstanceId"], "Attribute": "userData"}
        value = self.ec2.describe_instance_attribute(**asked).get("UserData", {}).get("Value", "")
        return base64.b64decode(value)

    def key(self, name: str) -> str:
        """Return the public key of a key pair."""
        pairs = self.ec2.describe_key_pairs(KeyNames=[name], IncludePublicKey=True)["KeyPairs"]
        return str(pairs[0].get("PublicKey", "")).strip() + "\n"

    def ranges(self, instance: Mapping[str, Any]) -> tuple[str, str]:
        """Return the address ranges of the instance's VPC and of its subnet."""
        subnet = instance["SubnetId"]
        if subnet not in self._ranges:
            vpc = self.ec2.describe_vpcs(VpcIds=[instance["VpcId"]])["Vpcs"][0]
            found = self.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]
            self._ranges[subnet] = (str(vpc["CidrBlock"]), str(found["CidrBlock"]))
        return self._ranges[subnet]

    def roles(self, profile: str) -> list[str]:
        """Return the names of the roles in an instance profile, one or none; none if it was deleted since."""
        try:
            found = self.iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]
        except self.iam.exceptions.NoSuchEntityException:
            return []
        return [str(role["RoleName"]) for role in found["Roles"]]

    def credentials(self, role: str, identity: str) -> str:
        """Return the role's credentials for this instance; new ones well before the last ones end."""
        known = self._credentials.get((role, identity))
        if known is None or known.until - time.time() < 1200:
            known = self._assume(role, identity)
            self._credentials[role, identity] = known
        return known.document

    def _assume(self, role: str, identity: str) -> Credentials:
        """Ask for the role's keys as EC2 would: we are root, whom the emulator lets assume every role."""
        trust = self.iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        if "ec2.amazonaws.com" not in json.dumps(trust):
            refused = {
                "Code": "AssumeRoleUnauthorizedAccess",
                "Message": f"EC2 cannot assume the role {role}.",
            }
            return Credentials(json.dumps({**refused, "LastUpdated": moment(time.time())}), 0.0)
        arn = f"arn:aws:iam::{os.environ['ACCOUNT']}:role/{role}"
        keys = self.sts.assume_role(RoleArn=arn, RoleSessionName=identity)["Credentials"]
        until: datetime = keys["Expiration"]
        document = {
            "Code": "Success",
            "LastUpdated": moment(time.time()),
            "Type": "AWS-HMAC",
            "AccessKeyId": keys["AccessKeyId"],
            "SecretAccessKey": keys["SecretAccessKey"],
            "Token": keys["SessionToken"],
            "Expiration": moment(until.timestamp()),
        }
        return Credentials(json.dumps(document, indent=2), until.timestamp())


def moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def tree(instance: Mapping[str, Any], cloud: Cloud) -> Tree:
    """Return everything that one instance may read, as folders and files."""
    zone = instance["Placement"]["AvailabilityZone"]
    data: dict[str, Any] = {
        "ami-id": instance["ImageId"],
        "ami-launch-index": str(instance.get("AmiLaunchIndex", 0)),
        "hostname": instance["PrivateDnsName"],
        "instance-action": "none",
        "instance-id": instance["InstanceId"],
        "instance-life-cycle": "on-demand",
        "instance-type": instance["InstanceType"],
        "local-hostname": instance["PrivateDnsName"],
        "local-ipv4": instance["PrivateIpAddress"],
        "network": {"interfaces": {"macs": dict(_interfaces(instance, cloud))}},
        "placement": {"availability-zone": zone, "region": zone[:-1]},
        "reservation-id": instance["ReservationId"],
        "security-groups": "\n".join(group["GroupName"] for group in instance.get("SecurityGroups", [])),
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    data["mac"] = next(iter(data["network"]["interfaces"]["macs"]), "")
    if name := instance.get("KeyName"):
        data["public-keys"] = {f"0={name}": {"openssh-key": lambda: cloud.key(name)}}
    if instance.get("MetadataOptions", {}).get("InstanceMetadataTags") == "enabled":
        data["tags"] = {"instance": {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}}
    if "IamInstanceProfile" in instance:
        data["iam"] = _iam(instance, cloud)
    return {
        "dynamic": {"instance-identity": {"document": json.dumps(_document(instance), indent=2)}},
        "meta-data": data,
        "user-data": lambda: cloud.user_data(instance),
    }


def _interfaces(instance: Mapping[str, Any], cloud: Cloud) -> Iterator[tuple[str, Tree]]:
    vpc, subnet = cloud.ranges(instance)
    for number, each in enumerate(instance.get("NetworkInterfaces", [])):
        yield (
            each["MacAddress"],
            {
                "device-number": str(number),
                "interface-id": each["NetworkInterfaceId"],
                "local-ipv4s": each["PrivateIpAddress"],
                "mac": each["MacAddress"],
                "owner-id": os.environ["ACCOUNT"],
                "subnet-id": instance["SubnetId"],
                "subnet-ipv4-cidr-block": subnet,
                "vpc-id": instance["VpcId"],
                "vpc-ipv4-cidr-block": vpc,
                "vpc-ipv4-cidr-blocks": vpc,
            },
        )


def _iam(instance: Mapping[str, Any], cloud: Cloud) -> Tree:
    arn = instance["IamInstanceProfile"]["Arn"]
    info = {
        "Code": "Success",
        "LastUpdated": moment(time.time()),
        "InstanceProfileArn": arn,
        "InstanceProfileId": instance["IamInstanceProfile"]["Id"],
    }

    def read(role: str) -> Callable[[], str]:
        return lambda: cloud.credentials(role, instance["InstanceId"])

    roles = cloud.roles(arn.rpartition("/")[2])
    return {"info": json.dumps(info), "security-credentials": {role: read(role) for role in roles}}


def _document(instance: Mapping[str, Any]) -> dict[str, Any]:
    zone = instance["Placement"]["AvailabilityZone"]
    return {
        "accountId": os.environ["ACCOUNT"],
        "architecture": instance["Architecture"],
        "availabilityZone": zone,
        "imageId": instance["ImageId"],
        "instanceId": instance["InstanceId"],
        "instanceType": instance["InstanceType"],
        "pendingTime": moment(instance["LaunchTime"].timestamp()),
        "privateIp": instance["PrivateIpAddress"],
        "region": zone[:-1],
        "version": "2017-09-30",
    }


def read(top: Tree, path: str) -> Leaf | None:
    """Return a file's text or a folder's listing; nothing where there is neither."""
    here: Any = top
    for part in filter(None, path.split("/")):
        if not isinstance(here, Mapping):
            return None
        names = {name.partition("=")[0]: name for name in here}  # a key is listed as 0=name and read as 0
        if part not in names:
            return None
        here = here[names[part]]
    if isinstance(here, Mapping):
        return "\n".join(name + _slash(name, here[name]) for name in here)
    found: Leaf = here() if callable(here) else here
    return found


def _slash(name: str, value: object) -> str:
    return "/" if isinstance(value, Mapping) and "=" not in name else ""
