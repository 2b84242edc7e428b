"""moto with what it lacks for hosts and load balancers that are real.

A check guards each patch and fails once moto does the same by itself: then the patch goes
(tests/localcloud/overlay_guard.py).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
from botocore.exceptions import ClientError
from moto.core.responses import BaseResponse
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError, InvalidParameterValue
from moto.ec2.models import iam_instance_profile as profiles
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.responses import instances
from moto.elbv2 import models as balancing
from moto.server import main

# {target group: {"<instance>:<port>": [state, reason, description]}}
HEALTH = Path("/run/localcloud/health.json")
CHANGES = Path("/run/localcloud/changes")


def launch_time_is_the_last_start() -> None:
    """AWS moves LaunchTime with every start; whoever mirrors instances sees a quick stop and start by it."""
    plain = Instance.start

    def start(self: Instance) -> Any:
        if self.state != "running":  # to start what runs changes nothing
            self.launch_time = utcnow()
        return plain(self)

    Instance.start = start


def reboots_leave_a_mark() -> None:
    """Say in StateTransitionReason when a reboot was asked for: nothing else of an instance changes."""
    plain = Instance.reboot

    def reboot(self: Instance) -> None:
        plain(self)
        self._reason = f"Reboot ({datetime.now(UTC).isoformat()})"

    Instance.reboot = reboot


def the_terminated_stay_so() -> None:
    """Refuse to start, stop or reboot what was terminated: moto would bring it back."""
    for verb, word in {"start": "started", "stop": "stopped", "reboot": "rebooted"}.items():
        setattr(Instance, verb, _refusing(getattr(Instance, verb), word))


def _refusing(plain: Callable[[Instance], Any], word: str) -> Callable[[Instance], Any]:
    def verb(self: Instance) -> Any:
        if self.state == "terminated":
            said = f"The instance '{self.id}' is not in a state from which it can be {word}."
            raise EC2ClientError("IncorrectInstanceState", said)
        return plain(self)

    return verb


def other_metadata_options_stay() -> None:
    """A change of one metadata option leaves the others as they are: moto would forget them."""
    plain = InstanceBackend.modify_instance_metadata_options

    def modify(self: Any, instance_id: str, **wish: Any) -> Any:
        before = vars(self.get_instance(instance_id).metadata_options).copy()
        wish["hop_limit"] = wish.get("hop_limit") or before["http_put_response_hop_limit"]
        options = plain(self, instance_id, **wish)
        for name, value in before.items():
            if getattr(options, name) is None:
                setattr(options, name, value)
        return options

    InstanceBackend.modify_instance_metadata_options = modify


def profiles_live_in_the_other_emulator() -> None:
    """IAM is played by the emulator that enforces permissions, so instance profiles are looked up there."""
    iam = boto3.client(
        "iam",
        endpoint_url=os.environ["ENDPOINT"],
        region_name=os.environ["REGION"],
        aws_access_key_id=os.environ["MOTO_ACCOUNT_ID"],
        aws_secret_access_key="localcloud",
    )

    class Profile:
        def __init__(self, found: dict[str, Any]) -> None:
            self.name, self.arn = found["InstanceProfileName"], found["Arn"]
            self.id = found["InstanceProfileId"]

    def find(
        account_id: str,
        partition: str,
        iam_instance_profile_arn: str | None,
        iam_instance_profile_name: str | None,
    ) -> Profile:
        name = iam_instance_profile_name or str(iam_instance_profile_arn).rpartition("/")[2]
        try:
            return Profile(iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"])
        except ClientError:
            said = f"Value ({name}) for parameter iamInstanceProfile.name is invalid."
            raise InvalidParameterValue(f"{said} Invalid IAM Instance Profile name") from None

    for module in (instances, profiles):
        module.filter_iam_instance_profiles = find


def health_is_what_the_balancer_sees() -> None:
    """Tell what the data plane's own checks found, not that everything is well."""
    plain = balancing.FakeTargetGroup.health_for

    def health_for(self: Any, target: dict[str, Any], ec2_backend: Any) -> Any:
        told = plain(self, target, ec2_backend)
        seen = json.loads(HEALTH.read_text()) if HEALTH.exists() else {}
        found = seen.get(self.arn, {}).get(f"{told.instance_id}:{told.port}")
        if found and told.reason != "Target.InvalidState":
            told.status, told.reason, told.description = found
        elif told.status == "healthy":
            told.status, told.reason = "initial", "Elb.RegistrationInProgress"
            told.description = "Target registration is in progress"
        return told

    balancing.FakeTargetGroup.health_for = health_for


def changes_leave_a_trace() -> None:
    """Write another word to a file after each call that is not only a question: who mirrors looks there."""
    plain = BaseResponse.call_action

    def call_action(self: BaseResponse) -> Any:
        try:
            return plain(self)
        finally:
            if not self._get_action().startswith(("Describe", "Get", "List")):
                CHANGES.write_text(uuid4().hex)

    BaseResponse.call_action = call_action


PATCHES = (
    launch_time_is_the_last_start,
    reboots_leave_a_mark,
    the_terminated_stay_so,
    other_metadata_options_stay,
    profiles_live_in_the_other_emulator,
    health_is_what_the_balancer_sees,
    changes_leave_a_trace,
)

if __name__ == "__main__":
    for patch in PATCHES:
        patch()
    main(sys.argv[1:])
