# GPL-3.0-or-later
"""What is asked of EC2, and what instances must say of themselves: no host is mistaken for another. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from .problem import Problem

# The contract with whoever launches instances, aws_host or other tools.
TAGS = ("drover:client", "drover:environment", "drover:role", "drover:host", "drover:generation")
WORD = re.compile(r"[a-z0-9_]+")  # group names keep only these, so `big-corp` would be `big_corp`'s group


def problems(
    host: str, instance: Mapping[str, Any], account: str, wanted: Mapping[str, str]
) -> Iterator[Problem]:
    """Yield what is wrong.

    `instance`: its `instance_id`, its reservation's `owner_id`, its `tags` by key, and
    the `hops` over which its metadata service answers, where that is known. `wanted`: tags as the
    inventory's own variables say them.
    """

    def said(found: str, fix: str) -> Problem:
        return Problem((host,), found, fix)

    tags: Mapping[str, str] = instance["tags"]
    missing = [tag for tag in TAGS if not tags.get(tag)]
    if missing:
        yield said(
            f"it has no tag {', '.join(missing)}", "tag the instance, or launch it by playbooks/aws.yml"
        )
    for tag in TAGS[:3]:
        if tags.get(tag) and not WORD.fullmatch(tags[tag]):
            yield said(
                f"it has {tag}={tags[tag]}", "write only a-z, 0-9 and _, which make a group of its own"
            )
    for tag, value in wanted.items():
        if tags.get(tag, value) != value:
            yield said(f"it has {tag}={tags[tag]}, not {value}", f"filter the inventory by tag:{tag}")
    if not account:
        yield Problem(("drover_aws",), 'the key "account" is missing', "write whose instances these may be")
    elif instance["owner_id"] != account:
        yield said(f"it is in account {instance['owner_id']}, not in {account}", "check the credentials")
    if instance.get("hops", 1) > 1:
        found = f"its metadata service answers over {instance['hops']} hops, so containers reach its keys"
        yield said(found, "set its HttpPutResponseHopLimit to 1")
    if instance["instance_id"] not in host:
        found = (
            f"it does not have {instance['instance_id']} in its name, so two generations would be one host"
        )
        yield said(found, "take `hostnames` of inventories/example/aws_ec2.yml")


class _Loose(yaml.SafeLoader):
    """Reads any tag, such as !vault, as nothing."""


_Loose.add_multi_constructor("!", lambda *_: None)


def asked(file: str, text: str, region: str) -> Iterator[Problem]:
    """Yield what is wrong with the regions that a file of the inventory plugin asks: none means all."""
    wish = yaml.load(text, _Loose)  # noqa: S506 - a safe loader
    regions = (wish.get("regions") or []) if isinstance(wish, dict) else [region]
    regions = [regions] if isinstance(regions, str) else regions
    if regions != [region] and "{{" not in str(regions):
        found = f"found {', '.join(map(str, regions)) or 'none, so that every region is asked'}"
        yield Problem(("regions",), found, f"write [{region}], as drover_aws.region", file)
