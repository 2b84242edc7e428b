"""What every container of every stack carries, seen on the running container (D5, P8)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from shared.scenario import containers
from testinfra.host import Host


@pytest.fixture(scope="module")
def running(host: Host) -> dict[str, Any]:
    found = containers(host)
    assert len(found) >= 7
    return found


def test_memory_and_pids_are_limited(running: dict[str, Any]) -> None:
    for name, each in running.items():
        assert each["HostConfig"]["Memory"] > 0, name
        assert each["HostConfig"]["PidsLimit"] > 0, name


def test_privileges_are_dropped(running: dict[str, Any]) -> None:
    for name, each in running.items():
        assert "no-new-privileges:true" in each["HostConfig"]["SecurityOpt"], name
        assert each["HostConfig"]["CapDrop"] == ["ALL"], name
        assert not each["HostConfig"]["Privileged"], name


CAPS: dict[str, set[str]] = {
    "notes-app-1": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"},
    "shop-db-1": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"},
    "proxy-traefik-1": set(),
}


@pytest.mark.parametrize("name", CAPS)
def test_capabilities_are_added_by_name(running: dict[str, Any], name: str) -> None:
    added = {each.removeprefix("CAP_") for each in running[name]["HostConfig"]["CapAdd"] or ()}
    assert added == CAPS[name]


def test_health_is_checked_or_the_reason_is_stated(running: dict[str, Any]) -> None:
    for name, each in running.items():
        labels = each["Config"]["Labels"]
        one_shot = each["HostConfig"]["RestartPolicy"]["Name"] == "no"
        stated = labels.get("drover.health") or labels.get("drover.reason.no_health_check")
        assert each["Config"].get("Healthcheck") or stated or one_shot, name


def test_image_is_pinned(running: dict[str, Any]) -> None:
    for name, each in running.items():
        assert re.search(r":[^/:]*\d[^/:]*$|@sha256:", each["Config"]["Image"]), name


def test_log_driver_and_caps_are_explicit(running: dict[str, Any]) -> None:
    for name, each in running.items():
        log = each["HostConfig"]["LogConfig"]
        assert log["Type"] == "local" and {"max-size", "max-file"} <= set(log["Config"]), name


def test_restart_policy_and_named_network(running: dict[str, Any]) -> None:
    for name, each in running.items():
        completed = each["State"]["Status"] == "exited" and each["State"]["ExitCode"] == 0
        assert each["HostConfig"]["RestartPolicy"]["Name"] in ("unless-stopped", "always") or completed, name
        assert not {"bridge", "host"} & set(each["NetworkSettings"]["Networks"]), name


def test_no_container_has_the_docker_socket(running: dict[str, Any]) -> None:
    """Nor a way to one over the network: Docker listens on its socket only."""
    for name, each in running.items():
        assert not [line for line in each["Config"]["Env"] or () if "DOCKER_HOST" in line], name
        for mount in each["Mounts"]:
            assert "docker.sock" not in mount.get("Source", "") and mount.get("Source") not in (
                "/run",
                "/var/run",
                "/",
            ), name
