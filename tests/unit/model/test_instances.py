"""Instances that could be mistaken for others are refused, each with its own words."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.drover.platform.plugins.plugin_utils import instances
from shared.scenario import ROOT

ACCOUNT = "123456789012"
GOOD: dict[str, Any] = {
    "instance_id": "i-1",
    "owner_id": ACCOUNT,
    "hops": 1,
    "tags": {
        "drover:client": "acme",
        "drover:environment": "staging",
        "drover:role": "app",
        "drover:host": "web",
        "drover:generation": "1",
    },
}
FILES = {
    "demo": ROOT / "inventories" / "demo" / "aws_ec2.yml",
    "example": ROOT / "inventories" / "example" / "aws_ec2.yml",
    "scenario": ROOT / "molecule" / "ec2" / "inventory" / "aws_ec2.yml",
}


def said(host: str = "web-i-1", **changes: Any) -> str:
    wanted = {"drover:client": "acme", "drover:environment": "staging"}
    return "\n".join(map(str, instances.problems(host, {**GOOD, **changes}, ACCOUNT, wanted)))


def tagged(**changes: str) -> dict[str, str]:
    tags = {**GOOD["tags"], **{f"drover:{key}": value for key, value in changes.items()}}
    return {key: value for key, value in tags.items() if value}


def test_a_whole_instance_has_no_problem() -> None:
    assert said() == ""


@pytest.mark.parametrize("tag", ["client", "environment", "role", "host", "generation"])
def test_a_missing_tag(tag: str) -> None:
    assert said(tags=tagged(**{tag: ""})).startswith(f"web-i-1: it has no tag drover:{tag};")


@pytest.mark.parametrize("name", ["big-corp", "Big", "a b"])
def test_a_name_that_would_share_a_group(name: str) -> None:
    """Ansible makes big-corp and big_corp the same group."""
    assert f"drover:role={name}" in said(tags=tagged(role=name))


def test_another_clients() -> None:
    assert "has drover:client=other, not acme" in said(tags=tagged(client="other"))


def test_another_environments() -> None:
    """Two environments of a client may share an account and a region."""
    assert "has drover:environment=production, not staging" in said(tags=tagged(environment="production"))


def test_an_inventory_that_names_no_account() -> None:
    found = "\n".join(map(str, instances.problems("web-i-1", GOOD, "", {})))
    assert found.startswith('drover_aws: the key "account" is missing')


def test_another_account() -> None:
    assert "is in account 999999999999, not in 123456789012" in said(owner_id="999999999999")


def test_a_name_without_the_id() -> None:
    assert "two generations would be one host" in said("web")


def test_all_inventories_are_of_one_form() -> None:
    """They differ in the client, and in the endpoint where there is no AWS; each names one region."""
    found = {name: yaml.safe_load(file.read_text()) for name, file in FILES.items()}
    for each in found.values():
        assert len(each["regions"]) == 1
        for key in ("endpoint_url", "access_key", "secret_key"):
            each.pop(key, None)
        each["filters"].pop("tag:drover:client")
        each["filters"].pop("tag:drover:environment")
    assert found["demo"] == found["example"] == found["scenario"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("regions: []", "regions: found none, so that every region is asked; write [eu-central-1]"),
        ("", "regions: found none"),
        ("regions: [eu-central-1, eu-west-1]", "regions: found eu-central-1, eu-west-1; write"),
        ("regions: [eu-west-1]", "aws_ec2.yml  regions: found eu-west-1; write"),
        ("regions: [eu-central-1]", ""),
        ("regions: ['{{ region }}']", ""),
    ],
)
def test_one_region_is_asked(text: str, found: str) -> None:
    text = f"plugin: amazon.aws.aws_ec2\n{text}"
    said = "".join(map(str, instances.asked("aws_ec2.yml", text, "eu-central-1")))
    assert found in said and bool(found) == bool(said)


@pytest.mark.parametrize(
    "text", ["[a, list]", "all: {hosts: {web: {}}}", "[web]\na.example\nb.example x=1\n"]
)
def test_an_inventory_of_another_kind_asks_no_region(text: str) -> None:
    assert list(instances.asked("hosts", text, "eu-central-1")) == []


def test_more_than_one_hop() -> None:
    assert "answers over 2 hops" in said(hops=2)


@pytest.mark.parametrize("tags", ["aws_ec2_tags", "aws_tags"])
def test_it_is_read_from_the_plugins_variables(tags: str) -> None:
    variables = {
        "aws_instance_id": "i-1",
        "aws_owner_id": int(ACCOUNT),
        tags: {**GOOD["tags"], "drover:generation": 1},
        "aws_metadata_options": {"http_put_response_hop_limit": 1},
    }
    assert instances.of(variables) == GOOD
    assert instances.of({"instance_id": "i-1"}) is None
