"""The published inventory plugin: names, groups, and what a mistake says."""

from __future__ import annotations

import ipaddress
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shared.instances import INVENTORY, listed
from shared.scenario import ROOT, Scenario

from localcloud import cloud


def test_names_and_groups(scenario: Scenario, identity: str) -> None:
    found = listed()
    assert identity.startswith("i-") and identity in scenario.name
    for group in ("client_acme", "env_staging", "role_app", "generation_1"):
        assert found[group]["hosts"] == [scenario.name]
    address = found["_meta"]["hostvars"][scenario.name]["aws_private_ip_address"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network("10.79.0.0/16")


@pytest.mark.parametrize("verb", ["site", "deploy", "status"])
@pytest.mark.usefixtures("backed_up")
def test_verbs_know_the_instance_as_theirs(scenario: Scenario, verb: str) -> None:
    run = scenario.site("-e", "stack=notes", playbook=ROOT / "playbooks" / f"{verb}.yml")
    assert run.status == 0 and run.changed == 0, run.output


def test_two_generations_are_two_hosts(scenario: Scenario, launched: Callable[..., str]) -> None:
    """With one name for both they would be one host, with the old address."""
    second = launched(generation="2")
    found = listed()
    assert found["client_acme"]["hosts"] == sorted([scenario.name, f"web-{second}"])
    assert found["generation_2"]["hosts"] == [f"web-{second}"]


def test_another_client_is_not_seen(scenario: Scenario, launched: Callable[..., str]) -> None:
    launched(client="other")
    assert listed()["client_acme"]["hosts"] == [scenario.name]
    assert "client_other" not in listed()


def test_missing_tags_are_an_error(scenario: Scenario, launched: Callable[..., str]) -> None:
    bare = launched(role="", generation="")
    run = scenario.site()
    assert run.status != 0
    assert f"web-{bare}: it has no tag drover:role, drover:generation" in run.output, run.output


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """changed(file, before, after) → a copy of the inventory with one thing changed."""

    def change(file: str, before: str, after: str) -> Path:
        folder = tmp_path / "inventory"
        shutil.copytree(INVENTORY, folder)
        path = folder / file
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))
        return folder

    return change


AWS = INVENTORY.parents[2] / "playbooks" / "aws.yml"
MISTAKES = {
    "nobody has this tag": (
        "aws_ec2.yml",
        "drover:client: acme",
        "drover:client: nobody",
        "The inventory has no host",
    ),
    "nothing answers there": ("aws_ec2.yml", "http://10.77.0.4", "http://10.77.0.4:1", "10.77.0.4:1"),
    "another region": ("aws_ec2.yml", "eu-central-1", "eu-west-1", "localcloud has no region eu-west-1"),
    "the first region": ("aws_ec2.yml", "eu-central-1", "us-east-1", "localcloud has no region us-east-1"),
    "an environment that nobody wrote": (
        "group_vars/all/platform.yml",
        "environment: staging",
        "alerts: {}",
        "has drover:environment=staging, not production",
    ),
    "another account": (
        "group_vars/all/aws.yml",
        f'account: "{cloud.ACCOUNT}"',
        'account: "999999999999"',
        f"is in account {cloud.ACCOUNT}, not in 999999999999",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_errors(mistake: str, scenario: Scenario, changed: Callable[..., Path]) -> None:
    """Never zero hosts and exit status 0."""
    file, before, after, said = MISTAKES[mistake]
    run = scenario.site(inventory=changed(file, before, after))
    assert run.status != 0
    assert said in run.output, run.output


def test_launching_in_another_account_is_refused(
    scenario: Scenario, changed: Callable[..., Path], ec2: Any
) -> None:
    before = len(ec2.describe_instances()["Reservations"])
    folder = changed("group_vars/all/aws.yml", f'account: "{cloud.ACCOUNT}"', 'account: "999999999999"')
    run = scenario.site(inventory=folder, playbook=AWS)
    assert run.status != 0 and f"These credentials are for account {cloud.ACCOUNT}" in run.output, run.output
    assert len(ec2.describe_instances()["Reservations"]) == before


def test_an_empty_answer_is_an_error_with_a_limit_too(
    scenario: Scenario, changed: Callable[..., Path]
) -> None:
    folder = changed("aws_ec2.yml", "drover:client: acme", "drover:client: nobody")
    run = scenario.site("--limit", "web-*", inventory=folder)
    assert run.status != 0, run.output


def test_a_host_that_runs_is_not_changed(scenario: Scenario, changed: Callable[..., Path], ec2: Any) -> None:
    before = ec2.describe_instances()["Reservations"]
    folder = changed("group_vars/all/aws.yml", "role: app", "role: app\n      type: t3.large")
    run = scenario.site(inventory=folder, playbook=AWS)
    assert run.status != 0 and "the inventory wants it running as t3.large" in run.output, run.output
    assert ec2.describe_instances()["Reservations"] == before


def test_names_are_looked_at_before_anything_is_launched(
    scenario: Scenario, changed: Callable[..., Path], ec2: Any
) -> None:
    before = len(ec2.describe_instances()["Reservations"])
    folder = changed("group_vars/all/aws.yml", "role: app", "role: big-app\n      generation: 2")
    run = scenario.site(inventory=folder, playbook=AWS)
    assert run.status != 0 and "big-app" in run.output, run.output
    assert len(ec2.describe_instances()["Reservations"]) == before


def test_a_dry_run_launches_nothing(scenario: Scenario, changed: Callable[..., Path], ec2: Any) -> None:
    before = len(ec2.describe_instances()["Reservations"])
    folder = changed("group_vars/all/aws.yml", "role: app", "role: app\n      generation: 2")
    run = scenario.site("--check", inventory=folder, playbook=AWS)
    assert run.changed == 1, "it would launch one"
    assert len(ec2.describe_instances()["Reservations"]) == before


def test_what_was_launched_is_closed(ec2: Any, identity: str) -> None:
    """Version 2 of the metadata service, one hop, an encrypted disk."""
    instance = ec2.describe_instances(InstanceIds=[identity])["Reservations"][0]["Instances"][0]
    options = instance["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)
    disks = [disk["Ebs"]["VolumeId"] for disk in instance["BlockDeviceMappings"]]
    assert [each["Encrypted"] for each in ec2.describe_volumes(VolumeIds=disks)["Volumes"]] == [True]


def test_launching_again_changes_nothing(scenario: Scenario) -> None:
    assert scenario.site(playbook=AWS).changed == 0
