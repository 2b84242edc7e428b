"""`drover_aws`: its mistakes are said before anything is launched; what is right comes back complete."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.drover.platform.plugins.plugin_utils import aws

HOST = {"name": "web", "role": "app"}
GOOD: dict[str, Any] = {
    "account": "123456789012",
    "region": "eu-central-1",
    "foundation": "/acme/production",
    "hosts": [HOST],
}


def said(changes: dict[str, Any]) -> str:
    _, problems = aws.load({key: value for key, value in {**GOOD, **changes}.items() if value != ""})
    return "\n".join(map(str, problems))


def test_what_is_right_comes_back_complete() -> None:
    found, problems = aws.load(GOOD)
    assert not problems
    host = found["hosts"][0]
    assert (host["generation"], host["type"], host["subnet"], host["target_groups"]) == (
        None,
        "t3.small",
        None,
        [],
    )
    assert host["image"] == {"owner": "136693071363", "name": "debian-13-amd64-*"}


def test_no_instances_at_all() -> None:
    assert aws.load(None) == ({}, [])


def test_hosts_that_others_launch_need_no_foundation() -> None:
    assert said({"foundation": "", "hosts": []}) == ""


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        (
            {"account": 123456789012},
            "drover_aws.account: found a number (123456789012) instead of text; put it in",
        ),
        ({"account": "1234"}, 'drover_aws.account: "1234" is not an AWS account'),
        ({"account": ""}, 'drover_aws: the key "account" is missing; write account: "123456789012"'),
        ({"region": ""}, 'drover_aws: the key "region" is missing'),
        ({"region": "frankfurt"}, 'drover_aws.region: "frankfurt" is not an AWS region'),
        ({"foundation": ""}, 'the key "foundation" is missing'),
        ({"foundation": "/acme/"}, "is not a path of the Parameter Store"),
        ({"acount": "1"}, 'no such key; did you mean "account"?'),
        (
            {"hosts": [{**HOST, "name": "big-web"}]},
            'drover_aws.hosts[0].name: "big-web" is not a name that makes',
        ),
        ({"hosts": [{**HOST, "role": "App"}]}, "drover_aws.hosts[0].role"),
        ({"hosts": [{"name": "web"}]}, 'the key "role" is missing'),
        ({"hosts": [{**HOST, "generation": "2"}]}, "drover_aws.hosts[0].generation"),
        ({"hosts": [{**HOST, "disk_gigabytes": 2}]}, "2 is too small"),
        ({"hosts": [{**HOST, "taget_groups": []}]}, 'did you mean "target_groups"?'),
        ({"hosts": [HOST, {**HOST, "generation": 1}]}, "web generation 1 is listed twice"),
        ({"hosts": [{**HOST, "generation": 1}, HOST]}, "web is listed twice"),
        ({"hosts": [{**HOST, "generation": 1}] * 2}, "web generation 1 is listed twice"),
    ],
)
def test_each_mistake_has_its_words(changes: dict[str, Any], wanted: str) -> None:
    assert wanted in said(changes)


def test_a_key_at_the_wrong_place_is_not_quoted() -> None:
    found = said({"connection": {"secret_key": ["k4nary"], "k4nary": 1}})
    assert "connection" in found and "k4nary" not in found
