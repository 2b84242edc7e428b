"""The engine: few restarts, validated options, containers that outlive it (D2, D3, D4)."""

from __future__ import annotations

import json
import shlex

from shared.scenario import Scenario, eventually, fetch, started
from testinfra.host import Host


def starts(host: Host) -> int:
    """Return how often systemd started dockerd since boot."""
    return int(
        host.check_output(
            "journalctl -u docker -b -o cat --no-pager | grep -c 'Starting docker.service' || true"
        )
    )


def test_first_converge_restarted_docker_at_most_once(host: Host) -> None:
    """Runs first: installed without being started, it starts once, with our options."""
    assert starts(host) == 1
    assert "start-limit-hit" not in host.check_output("journalctl -b --no-pager")


def test_options_are_merged_and_in_force(host: Host) -> None:
    options = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert options["registry-mirrors"] and options["live-restore"] is True
    assert host.check_output("docker info -f '{{.LiveRestoreEnabled}} {{.LoggingDriver}}'") == "true local"


def file_state(host: Host) -> str:
    return str(host.check_output("sha256sum /etc/docker/daemon.json"))


def test_bad_options_leave_docker_untouched(scenario: Scenario, host: Host) -> None:
    def state() -> tuple[str, str, int]:
        return (
            file_state(host),
            host.check_output("systemctl show docker -p MainPID,StateChangeTimestamp"),
            starts(host),
        )

    before = state()
    for wrong in ({"no-such-option": True}, {"live-restore": "perhaps"}):
        run = scenario.site("--tags", "docker", "-e", json.dumps({"docker_daemon_options": wrong}))
        assert run.status != 0 and "daemon.json" in run.output, run.output
    assert state() == before


def test_options_that_only_a_start_refuses_are_taken_back(scenario: Scenario, host: Host) -> None:
    before = file_state(host), started(host)
    wrong = {"docker_daemon_options": {"default-address-pools": [{"base": "x"}]}}
    run = scenario.site("--tags", "docker", "-e", json.dumps(wrong))
    assert run.status != 0 and "docker_daemon_options" in run.output, run.output
    assert (file_state(host), started(host)) == before
    assert host.run("docker info").rc == 0
    assert scenario.converge("--tags", "docker").changed == 0


def test_option_that_never_took_effect_is_healed(scenario: Scenario, host: Host) -> None:
    """A run died before the restart: the next run compares the running engine, not a flag."""
    host.check_output("touch /etc/docker/daemon.json")
    before = host.check_output("systemctl show docker -p MainPID")
    scenario.converge("--tags", "docker")
    assert host.check_output("systemctl show docker -p MainPID") != before
    again = scenario.site("--tags", "docker")
    assert again.changed == 0, again.output


def test_a_change_right_after_three_starts_is_not_stopped_by_the_limit(
    scenario: Scenario, host: Host
) -> None:
    """The unit allows three starts a minute."""
    host.check_output("systemctl reset-failed docker")
    for _ in range(3):
        host.check_output("systemctl restart docker")
    before = starts(host)
    scenario.converge("--tags", "docker", "-e", "docker_log_max_size=11m")
    assert starts(host) == before + 1
    scenario.converge("--tags", "docker")
    assert "start-limit-hit" not in host.check_output("journalctl -b --no-pager")


def test_containers_keep_running_through_restart_and_kill(host: Host) -> None:
    before = started(host)
    host.check_output("systemctl restart docker")
    assert started(host) == before
    host.check_output("systemctl reset-failed docker; kill -9 $(pidof dockerd)")
    assert eventually(lambda: host.run("docker info").rc == 0)
    assert started(host) == before
    assert fetch(host, "keeper.test.example", "/up")[0] == 200


def test_address_pools_hold_many_stacks(host: Host) -> None:
    """Docker's own pools end after 31 networks; twenty stacks need two each."""
    names = [f"pool{n}" for n in range(42)]
    host.check_output(" && ".join(f"docker network create {name}" for name in names))
    host.check_output(f"docker network rm {' '.join(names)}")


def test_packages_of_another_engine_are_not_removed(scenario: Scenario, host: Host) -> None:
    """It stands in the way of one that the role would install, as docker-ce does of docker.io."""
    lines = [
        *(
            "Package: other-engine",
            "Version: 1",
            "Architecture: all",
            "Maintainer: Nobody <nobody@test.example>",
        ),
        *("Conflicts: amazon-ecr-credential-helper", "Description: another engine"),
    ]
    control = "".join(f"{line}\n" for line in lines)
    host.check_output(
        f"mkdir -p /root/other/DEBIAN && printf %s {shlex.quote(control)} >/root/other/DEBIAN/control"
        " && dpkg-deb --build /root/other /root/other.deb && dpkg -i /root/other.deb"
    )
    before = file_state(host), started(host)
    wanted = {"docker_ecr_registries": ["123456789012.dkr.ecr.eu-central-1.amazonaws.com"]}
    try:
        for more in ([], ["--check"]):
            run = scenario.site("--tags", "docker", "-e", json.dumps(wanted), *more)
            assert run.status != 0 and "together with other-engine." in " ".join(run.output.split()), (
                run.output
            )
        assert host.run("dpkg-query -W other-engine").rc == 0
        assert (file_state(host), started(host)) == before
    finally:
        host.check_output("dpkg --purge other-engine && rm -r /root/other /root/other.deb")
