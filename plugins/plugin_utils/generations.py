# GPL-3.0-or-later
"""Which instances are generations of one host, and which of them serves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

LIFECYCLE, GENERATION = "drover:lifecycle", "drover:generation"  # tags
ACTIVE, STANDBY, RETIRED = "active", "standby", "retired"  # an instance without the tag is active
GONE = ("shutting-down", "terminated")  # states of EC2


def sort(instances: Iterable[Mapping[str, Any]], generation: int | None = None) -> dict[str, Any]:
    """The instances by their part; `next` is the generation that comes after all of them.

    `instances` are as `amazon.aws.ec2_instance_info` returns them, those of one host; `generation` leaves out
    all others. Terminated ones count for `next` alone: EC2 shows them for an hour.
    """
    found: dict[str, Any] = {ACTIVE: [], STANDBY: [], RETIRED: []}
    numbers = [0]
    for each in instances:
        tags = each["tags"]
        number = int(str(tags.get(GENERATION) or 0))
        numbers.append(number)
        if each["state"]["name"] in GONE or generation not in (None, number):
            continue
        found[tags.get(LIFECYCLE) if tags.get(LIFECYCLE) in found else ACTIVE].append(dict(each))
    return {**found, "next": max(numbers) + 1}
