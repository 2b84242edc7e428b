# GPL-3.0-or-later
"""What is asked of EC2, and what instances must say of themselves: no host is mistaken for another. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from .forms import mistake
from .problem import Problem

# The contract with whoever launches instances, aws_host or other tools.
TAGS = ("drover:client", "drover:environment", "drover:role", "drover:host", "drover:generation")
PREFIX = "aws_"  # hostvars_prefix of the inventory files


def of(variables: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the instance that a host's variables describe, as `problems` takes it; None for no instance.

    amazon.aws before 11.2 knows the tags only by their second name.
    """
    if f"{PREFIX}instance_id" not in variables:
        return None
    found = {key: str(variables.get(f"{PREFIX}{key}", "")) for key in ("instance_id", "owner_id")}
    tags = variables.get(f"{PREFIX}ec2_tags") or variables.get(f"{PREFIX}tags") or {}
    options = variables.get(f"{PREFIX}metadata_options") or {}
    return {
        **found,
        "tags": {str(key): str(value) for key, value in tags.items()},
        "hops": int(options.get("http_put_response_hop_limit", 1)),
    }


def problems(
    host: str, instance: Mapping[str, Any], account: str, wanted: Mapping[str, str]
) -> Iterator[Problem]:
    """Yield what is wrong.

    `instance`: its `instance_id`, its reservation's `owner_id`, its `tags` by key, and the `hops` over which
    its metadata service answers. `wanted`: tags as the inventory's own variables say them.
    """

    def said(found: str, fix: str) -> Problem:
        return Problem((host,), found, fix)

    tags: Mapping[str, str] = instance["tags"]
    missing = [tag for tag in TAGS if not tags.get(tag)]
    if missing:
        yield said(
            f"it has no tag {', '.join(missing)}", "tag the instance, or launch it by playbooks/aws.yml"
        )
    for tag in TAGS[:3]:  # each makes a group, and big-corp would be in big_corp's
        wrong = mistake("group", tags[tag]) if tags.get(tag) else None
        if wrong:
            yield said(f"it has {tag}={tags[tag]}, which {wrong[0]}", wrong[1])
    for tag, value in wanted.items():
        if tags.get(tag, value) != value:
            yield said(f"it has {tag}={tags[tag]}, not {value}", f"filter the inventory by tag:{tag}")
    if not account:
        yield Problem(("drover_aws",), 'the key "account" is missing', "write whose instances these may be")
    elif instance["owner_id"] != account:
        yield said(f"it is in account {instance['owner_id']}, not in {account}", "check the credentials")
    if instance["hops"] > 1:
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
    try:
        wish = yaml.load(text, _Loose)  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        return  # an inventory of another kind
    if not isinstance(wish, dict) or not str(wish.get("plugin")).endswith("aws_ec2"):
        return
    regions = wish.get("regions") or []
    regions = [regions] if isinstance(regions, str) else regions
    if regions != [region] and "{{" not in str(regions):
        found = f"found {', '.join(map(str, regions)) or 'none, so that every region is asked'}"
        yield Problem(("regions",), found, f"write [{region}], as drover_aws.region", file)
