"""A change restarts exactly what reads it; what was taken out goes; a rotated secret reaches its reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shared.scenario import ROOT, Scenario, Stacks, containers, fetch, service, stack, started
from testinfra.host import Host

Client = Callable[..., Path]
STATUS = ROOT / "playbooks" / "status.yml"


def changed(before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]]) -> set[str]:
    """Return the stacks' services of which a container came, went, or was started again."""
    names = {name for name in before | after if before.get(name) != after.get(name)}
    return {name.rpartition("-")[0] for name in names}


def printed(host: Host, name: str, command: str) -> str:
    """Return what the command prints in a container of the stack `sealed`."""
    return str(host.check_output(f"docker exec {service(host, 'sealed', name)} {command}"))


def test_one_of_five_changed_version_environment(scenario: Scenario, host: Host, client: Client) -> None:
    before = started(host)
    folder = client(lambda stacks: stack(stacks, "beta").update(env={"GREETING": "good morning"}))
    run = scenario.site("--tags", "stacks", inventory=folder)
    assert run.status == 0, run.output
    assert changed(before, started(host)) == {"beta-app"}
    name = service(host, "beta", "app")
    assert "GREETING=good morning" in containers(host, "beta")[name]["Config"]["Env"]


def test_changed_environment_restarts_its_reader_only(scenario: Scenario, host: Host, client: Client) -> None:
    before = started(host)
    folder = client(lambda stacks: stack(stacks, "sealed")["env"].update(GREETING="good night"))
    scenario.converge("--tags", "stacks", inventory=folder)
    assert changed(before, started(host)) == {"sealed-bystander"}
    assert printed(host, "bystander", "printenv GREETING") == "good night"


def test_mounted_file_restarts_its_reader_only(scenario: Scenario, host: Host, client: Client) -> None:
    before = started(host)
    folder = client(lambda stacks: None)
    (folder / "compose" / "sealed" / "conf" / "setting.txt").write_text("second\n")
    scenario.converge("--tags", "stacks", inventory=folder)
    assert changed(before, started(host)) == {"sealed-reader"}
    assert printed(host, "reader", "cat /conf/setting.txt") == "second"


def test_rotated_secret_file_restarts_its_reader_only(scenario: Scenario, host: Host, client: Client) -> None:
    before = started(host)
    folder = client(lambda stacks: stack(stacks, "sealed")["secrets"].update(api_key="rotated-file-19"))
    scenario.converge("--tags", "stacks", inventory=folder)
    assert changed(before, started(host)) == {"sealed-reader"}
    assert printed(host, "reader", "cat /run/secrets/api_key") == "rotated-file-19"


def test_rotated_environment_secret_recreates_its_reader_only(
    scenario: Scenario, host: Host, client: Client
) -> None:
    before = started(host)
    folder = client(lambda stacks: stack(stacks, "sealed")["secrets"].update(db_url="postgres://rotated-20"))
    scenario.converge("--tags", "stacks", inventory=folder)
    assert changed(before, started(host)) == {"sealed-reader"}
    assert "postgres://rotated-20" in printed(host, "reader", "printenv DATABASE_URL")


def test_rotation_is_healed_after_a_run_that_died(scenario: Scenario, host: Host) -> None:
    """The file was written, the restart never happened: the next run looks at the running container."""
    before = started(host)
    host.check_output("touch /srv/stacks/sealed/secrets/reader/api_key")
    scenario.converge("--tags", "stacks")
    assert changed(before, started(host)) == {"sealed-reader"}


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
    assert changed(before, started(host)) == {"jobs-prepare", "jobs-web"}
    assert not containers(host, "jobs")
    assert fetch(host, "jobs.test.example", "/up")[0] == 404
    assert written == host.check_output(
        "docker run --rm --entrypoint cat -v jobs_data:/data drover/demo-notes:1.0.0 /data/prepared"
    )
    again = scenario.site("--tags", "stacks", inventory=folder)
    assert again.status == 0 and again.changed == 0, again.output


def test_hand_made_drift_is_put_right(scenario: Scenario, host: Host) -> None:
    host.check_output(
        f"docker stop {service(host, 'alpha', 'app')} && docker rm -f {service(host, 'beta', 'app')}"
        " && docker network disconnect alpha_public proxy-traefik-1"
    )
    told = scenario.site(playbook=STATUS)
    assert told.status != 0 and "alpha" in told.output and "start app: drover/demo-notes" in told.output, (
        told.output
    )
    scenario.converge("--tags", "stacks")
    for name in ("alpha", "beta"):
        assert fetch(host, f"{name}.test.example", "/up")[0] == 200
    again = scenario.site("--tags", "stacks")
    assert again.changed == 0, again.output
    fine = scenario.site(playbook=STATUS)
    assert fine.changed == 0 and "http://alpha.test.example/" in fine.output, fine.output


def test_stack_that_left_the_inventory_is_told(scenario: Scenario, host: Host, changed_copy: Client) -> None:
    """It runs on; nothing else may take its address; an inventory without the variable is refused."""
    before = started(host)
    left = changed_copy(lambda stacks: stacks.clear())
    run = scenario.site("--tags", "stacks", inventory=left)
    assert run.changed == 0 and "{name: jobs, state: absent}" in run.output, run.output

    def take(stacks: Stacks) -> None:
        stacks[:] = [stack(stacks, "alpha")]
        stacks[0]["host"] = "beta.test.example"

    taken = scenario.site("--tags", "stacks", inventory=changed_copy(take))
    assert taken.status != 0 and "beta.test.example" in taken.output, taken.output
    variables = left / "group_vars" / "all" / "stacks.yml"
    variables.write_text("drover_stack: []\n")
    missing = scenario.site("--tags", "stacks", inventory=left)
    assert missing.status != 0 and "drover_stacks is missing" in missing.output, missing.output
    assert started(host) == before


def test_plain_compose_up_changes_nothing(host: Host) -> None:
    before = started(host)
    for name in (
        "alpha",
        "beta",
        "sealed",
        "people",
        "chat",
    ):  # where nothing ended that `up` would run again
        host.check_output(f"cd /srv/stacks/{name}/current && docker compose up -d")
    assert changed(before, started(host)) == set()
