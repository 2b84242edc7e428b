"""Networks: what differs, and the command that makes one."""

import json

import pytest
from ansible_collections.drover.platform.plugins.module_utils.errors import HostError
from ansible_collections.drover.platform.plugins.module_utils.networks import (
    Network,
    create_command,
    drift,
    members,
    parse_inspected,
    steps,
)

PRIVATE = Network("private", internal=True, options={"inhibit": "true"})
FOUND = {
    "Name": "private",
    "Driver": "bridge",
    "Internal": True,
    "Options": {"inhibit": "true", "mtu": "9001"},
}


def test_what_was_asked_for_is_no_drift():
    assert drift(PRIVATE, FOUND) == []


def test_every_difference_is_named():
    open_one = {"Name": "private", "Driver": "macvlan", "Internal": False, "Options": None}
    assert drift(PRIVATE, open_one) == ["driver macvlan", "internal False", "inhibit None"]


def test_containers_in_a_network_are_known_by_name():
    assert members({**FOUND, "Containers": {"1": {"Name": "b"}, "2": {"Name": "a"}}}) == ["a", "b"]
    assert members({**FOUND, "Containers": None}) == []


def test_the_command_says_everything():
    assert create_command(PRIVATE) == [
        *("docker", "network", "create", "--driver", "bridge"),
        *("--internal", "--opt", "inhibit=true", "private"),
    ]
    assert "--internal" not in create_command(Network("public"))


OPEN = {**FOUND, "Internal": False, "Containers": {}}


@pytest.mark.parametrize(
    ("found", "verbs"),
    [({}, ["create"]), ({"private": FOUND}, []), ({"private": OPEN}, ["rm", "create"])],
)
def test_steps_to_the_network_that_is_wanted(found, verbs):
    done = [command[2] for step in steps([PRIVATE], found) for command in step.commands]
    assert done == verbs


def test_an_open_network_in_use_stops_the_run_and_names_its_containers():
    with pytest.raises(HostError, match=r"private has internal False; stop what is in it \(shop\)"):
        steps([PRIVATE], {"private": {**OPEN, "Containers": {"1": {"Name": "shop"}}}})


def test_what_is_missing_is_missing():
    assert parse_inspected(json.dumps([FOUND])).keys() == {"private"}
    assert parse_inspected("") == {}
