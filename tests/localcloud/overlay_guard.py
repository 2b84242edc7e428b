"""Runs in the emulators' image: moto lacks what each patch of the overlay adds, and has it with the patch.

A patch that moto has made needless fails here and goes; so does one that a new moto has made ineffective.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, "/opt/localcloud")

import boto3
import overlay
from botocore.exceptions import ClientError
from moto import mock_aws

REGION = os.environ["REGION"]
PROFILE = """<GetInstanceProfileResponse><GetInstanceProfileResult><InstanceProfile>
<InstanceProfileName>elsewhere</InstanceProfileName><InstanceProfileId>AIPA1</InstanceProfileId><Roles/><Path>/</Path>
<Arn>arn:aws:iam::123456789012:instance-profile/elsewhere</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>
</InstanceProfile></GetInstanceProfileResult></GetInstanceProfileResponse>"""


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")


def launch(**more: Any) -> str:
    ec2 = client("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, **more)["Instances"]
    return str(made[0]["InstanceId"])


def described(identity: str) -> Any:
    found = client("ec2").describe_instances(InstanceIds=[identity])["Reservations"]
    return found[0]["Instances"][0]


# --- whether moto behaves as the patch of the same name makes it


def launch_time_is_the_last_start() -> bool:
    identity = launch()
    first = described(identity)["LaunchTime"]
    time.sleep(1.1)  # EC2 tells whole seconds
    client("ec2").stop_instances(InstanceIds=[identity])
    client("ec2").start_instances(InstanceIds=[identity])
    return bool(described(identity)["LaunchTime"] > first)


def reboots_leave_a_mark() -> bool:
    identity = launch()
    before = described(identity)
    client("ec2").reboot_instances(InstanceIds=[identity])
    return bool(described(identity) != before)


def the_terminated_stay_so() -> bool:
    identity = launch()
    client("ec2").terminate_instances(InstanceIds=[identity])
    for verb in ("start_instances", "stop_instances", "reboot_instances"):
        try:
            getattr(client("ec2"), verb)(InstanceIds=[identity])
        except ClientError:
            continue
        return False
    return bool(described(identity)["State"]["Name"] == "terminated")


def other_metadata_options_stay() -> bool:
    identity = launch(MetadataOptions={"HttpTokens": "required", "InstanceMetadataTags": "enabled"})
    client("ec2").modify_instance_metadata_options(InstanceId=identity, HttpEndpoint="enabled")
    options = described(identity)["MetadataOptions"]
    return (options.get("HttpTokens"), options.get("InstanceMetadataTags")) == ("required", "enabled")


def profiles_live_in_the_other_emulator() -> bool:
    try:
        identity = launch(IamInstanceProfile={"Name": "elsewhere"})
    except ClientError:
        return False
    return str(described(identity)["IamInstanceProfile"]["Arn"]).endswith("/elsewhere")


def health_is_what_the_balancer_sees() -> bool:
    elb, identity = client("elbv2"), launch()
    vpc = described(identity)["VpcId"]
    group = elb.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]
    elb.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": identity}])
    health = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    return bool(health[0]["TargetHealth"]["State"] != "healthy")  # nobody has looked


def changes_leave_a_trace() -> bool:
    overlay.CHANGES.unlink(missing_ok=True)
    client("ec2").describe_instances()
    asked = overlay.CHANGES.exists()
    launch()
    return not asked and overlay.CHANGES.exists()


CHECKS: dict[str, Callable[[], bool]] = {
    check.__name__: check
    for check in (
        launch_time_is_the_last_start,
        reboots_leave_a_mark,
        the_terminated_stay_so,
        other_metadata_options_stay,
        profiles_live_in_the_other_emulator,
        health_is_what_the_balancer_sees,
        changes_leave_a_trace,
    )
}


# --- all of them


class OtherEmulator(BaseHTTPRequestHandler):
    """Knows one instance profile."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(PROFILE)))
        self.end_headers()
        self.wfile.write(PROFILE.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def behaves(name: str) -> bool:
    with mock_aws():
        return CHECKS[name]()


def problems() -> list[str]:
    overlay.CHANGES = Path("/tmp/changes")
    names = [patch.__name__ for patch in overlay.PATCHES]
    if set(names) != set(CHECKS):
        return [f"patches and checks differ: {sorted(set(names) ^ set(CHECKS))}"]
    needless = [name for name in names if behaves(name)]
    for patch in overlay.PATCHES:
        patch()
    idle = [name for name in names if not behaves(name)]
    return [
        *(f"moto does this by itself now: take {name} out of the overlay" for name in needless),
        *(f"the patch has no effect any more: {name}" for name in idle),
    ]


def main() -> int:
    with HTTPServer(("127.0.0.1", 0), OtherEmulator) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        os.environ["ENDPOINT"] = f"http://127.0.0.1:{server.server_address[1]}"
        found = problems()
        server.shutdown()
    print("\n".join(found) or f"{len(CHECKS)} patches, each needed")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
