"""A change restarts exactly what reads it; what was taken out goes; a rotated secret reaches its reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shared.scenario import Scenario, containers, fetch, stack, started
from testinfra.host import Host

Client = Callable[..., Path]


def changed(before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]]) -> set[str]:
    """Return the names that came, went, or were started again."""
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_one_of_five_changed_version_environment(scenario: Scenario, host: Host, client: Client) -> None:
    before = started(host)
    folder = client(lambda stacks: stack(stacks, "beta").update(env={"GREETING": "good morning"}))
    run = scenario.site("--tags", "stacks", inventory=folder)
    assert run.status == 0, run.output
    assert changed(before, started(host)) == {"beta-app-1"}
    assert "GREETING=good morning" in containers(host, "beta")["beta-app-1"]["Config"]["Env"]


def test_mounted_file_restarts_its_reader_only(scenario: Scenario, host: Host, client: Client) -> None:
    before = started(host)
    folder = client(lambda stacks: None)
    (folder / "compose" / "sealed" / "conf" / "setting.txt").write_text("second\n")
    scenario.converge("--tags", "stacks", inventory=folder)
    assert changed(before, started(host)) == {"sealed-reader-1"}
    assert host.check_output("docker exec sealed-reader-1 cat /conf/setting.txt") == "second"


def test_rotated_secret_file_restarts_its_reader_only(scenario: Scenario, host: Host, client: Client) -> None:
    before = started(host)
    folder = client(lambda stacks: stack(stacks, "sealed")["secrets"].update(api_key="rotated-file-19"))
    scenario.converge("--tags", "stacks", inventory=folder)
    after = started(host)
    assert changed(before, after) == {"sealed-reader-1"}
    assert after["sealed-reader-1"][0] == before["sealed-reader-1"][0], (
        "a restart is enough, the container stays"
    )
    assert host.check_output("docker exec sealed-reader-1 cat /run/secrets/api_key") == "rotated-file-19"


def test_rotated_environment_secret_recreates_its_reader_only(
    scenario: Scenario, host: Host, client: Client
) -> None:
    before = started(host)
    folder = client(lambda stacks: stack(stacks, "sealed")["secrets"].update(db_url="postgres://rotated-20"))
    scenario.converge("--tags", "stacks", inventory=folder)
    assert changed(before, started(host)) == {"sealed-reader-1"}
    assert "postgres://rotated-20" in host.check_output("docker exec sealed-reader-1 printenv DATABASE_URL")


def test_rotation_is_healed_after_a_run_that_died(scenario: Scenario, host: Host) -> None:
    """The file was written, the restart never happened: the next run looks at the running container."""
    before = started(host)
    host.check_output("touch /srv/stacks/sealed/secrets/reader/api_key")
    scenario.converge("--tags", "stacks")
    assert changed(before, started(host)) == {"sealed-reader-1"}


def test_removed_stack_goes_and_its_data_stays(scenario: Scenario, host: Host, client: Client) -> None:
    before = started(host)
    written = host.check_output(
        "docker run --rm --entrypoint cat -v jobs_data:/data drover/demo-notes:1.0.0 /data/prepared"
    )

    def remove(stacks: list[dict[str, object]]) -> None:
        stacks[:] = [each for each in stacks if each["name"] != "jobs"] + [
            {"name": "jobs", "state": "absent"}
        ]

    folder = client(remove)
    scenario.converge("--tags", "stacks", inventory=folder)
    assert changed(before, started(host)) == {"jobs-prepare-1", "jobs-web-1"}
    assert not containers(host, "jobs")
    assert fetch(host, "jobs.test.example", "/up")[0] == 404
    assert written == host.check_output(
        "docker run --rm --entrypoint cat -v jobs_data:/data drover/demo-notes:1.0.0 /data/prepared"
    )
    again = scenario.site("--tags", "stacks", inventory=folder)
    assert again.status == 0 and again.changed == 0, again.output


def test_hand_made_drift_is_put_right(scenario: Scenario, host: Host) -> None:
    host.check_output(
        "docker stop alpha-app-1 && docker rm -f beta-app-1"
        " && docker network disconnect alpha_public proxy-traefik-1"
    )
    scenario.converge("--tags", "stacks")
    for name in ("alpha", "beta"):
        assert fetch(host, f"{name}.test.example", "/up")[0] == 200
    again = scenario.site("--tags", "stacks")
    assert again.changed == 0, again.output


def test_plain_compose_up_changes_nothing(host: Host) -> None:
    before = started(host)
    for name in ("alpha", "sealed", "people"):
        host.check_output(f"cd /srv/stacks/{name}/current && docker compose up -d")
    assert changed(before, started(host)) == set()
