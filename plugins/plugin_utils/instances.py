# GPL-3.0-or-later
"""What the instances of a client must say of themselves, so that no host is mistaken for another. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

# The contract with whoever launches instances, aws_host or other tools.
TAGS = ("drover:client", "drover:environment", "drover:role", "drover:host", "drover:generation")
WORD = re.compile(r"[a-z0-9_]+")  # group names keep only these, so `big-corp` would be `big_corp`'s group


def problems(
    host: str, instance: Mapping[str, Any], account: str, wanted: Mapping[str, str]
) -> Iterator[str]:
    """Yield what is wrong.

    `instance`: its `instance_id`, its reservation's `owner_id`, its `tags` by key. `wanted`: tags as the
    inventory's own variables say them.
    """
    tags: Mapping[str, str] = instance["tags"]
    missing = [tag for tag in TAGS if not tags.get(tag)]
    if missing:
        yield f"{host} has no tag {', '.join(missing)}: tag the instance, or launch it by playbooks/aws.yml"
    for tag in TAGS[:3]:
        if tags.get(tag) and not WORD.fullmatch(tags[tag]):
            yield f"{host} has {tag}={tags[tag]}: only a-z, 0-9 and _ make a group of its own"
    for tag, value in wanted.items():
        if tags.get(tag, value) != value:
            yield f"{host} has {tag}={tags[tag]}, not {value}: filter the inventory by tag:{tag}"
    if not account:
        yield "drover_aws.account is missing in group_vars/all/aws.yml: it says whose instances these may be"
    elif instance["owner_id"] != account:
        yield f"{host} is in account {instance['owner_id']}, not in {account}: check the credentials"
    if instance["instance_id"] not in host:
        yield f"{host} does not have {instance['instance_id']} in its name: two generations would be one host"
