"""After a power cut or a reboot every stack is reconciled, one-shot dependencies included."""

from __future__ import annotations

from shared.scenario import Scenario, containers, eventually, fetch, service
from testinfra.host import Host

HOSTS = ("alpha", "beta", "sealed", "jobs", "people", "chat")


def serves(host: Host) -> bool:
    return all(fetch(host, f"{name}.test.example", "/up")[0] == 200 for name in HOSTS)


def test_power_cut(scenario: Scenario, host: Host) -> None:
    """What somebody stopped by hand stays down for Docker; the boot starts it all the same."""
    host.check_output(f"docker stop {service(host, 'alpha', 'app')}")
    scenario.testhost("power-cut", scenario.name)
    assert eventually(lambda: serves(host), 90)
    assert scenario.site("--tags", "stacks").changed == 0


def test_reboot(scenario: Scenario, host: Host) -> None:
    host.check_output(f"docker stop {service(host, 'beta', 'app')}")
    scenario.testhost("reboot", scenario.name)
    assert eventually(lambda: serves(host), 90)


def test_power_cut_in_a_one_shot(scenario: Scenario, host: Host) -> None:
    """The one-shot was cut off: the boot runs it again, and only then what depends on it."""
    web, prepare = (service(host, "jobs", name) for name in ("web", "prepare"))
    host.check_output(f"docker rm -f {web} && docker start {prepare}")
    scenario.testhost("power-cut", scenario.name)
    assert eventually(lambda: serves(host), 90)
    found = containers(host, "jobs")
    web, prepare = (found[service(host, "jobs", name)]["State"] for name in ("web", "prepare"))
    assert prepare["ExitCode"] == 0
    assert prepare["FinishedAt"] < web["StartedAt"]


def test_status_after_boot(host: Host) -> None:
    done = host.run("drover status")
    assert done.rc == 0, done.stdout
    for name in HOSTS:
        assert name in done.stdout
