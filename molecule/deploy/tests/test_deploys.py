"""A new version loses no request, and plain Compose finds nothing to do afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.load import Measured
from shared.scenario import Scenario, Stacks, containers, fetch, stack, started
from testinfra.host import Host

Client = Callable[..., Path]
CALLS = "python3 /app/main.py http://api:8080 --websockets 0 --keep 0 --fresh 6 --seconds 60"


def to(version: str, *names: str, **more: Any) -> Callable[[Stacks], None]:
    """A change of the inventory: this version of these stacks."""

    def change(stacks: Stacks) -> None:
        for name in names:
            stack(stacks, name).update(version=version, **more)

    return change


def images(host: Host, name: str) -> list[str]:
    return sorted(each["Config"]["Image"].rpartition("/")[2] for each in containers(host, name).values())


def test_versions_change_under_load_and_back_without_a_lost_request(
    scenario: Scenario, host: Host, changed_copy: Client, load: Callable[..., Any]
) -> None:
    """Two stacks at once: one container, and two replicas that another service calls by name."""
    host.check_output(
        f"nohup docker exec pair-caller-1 {CALLS} >/root/calls.json 2>/root/calls.err </dev/null &"
    )
    with load("chat.test.example") as chat, load("pair.test.example") as pair:
        new = changed_copy(to("1.1.0", "chat", "pair"))
        scenario.converge("--tags", "stacks", inventory=new)
        assert "1.1.0" in fetch(host, "chat.test.example", "/whoami")[1]
        scenario.converge("--tags", "stacks")
        assert "1.0.0" in fetch(host, "chat.test.example", "/whoami")[1]
    host.check_output("pkill -TERM -f '^python3 /app/main.py http:..api'; sleep 2")
    called = Measured(json.loads(host.check_output("cat /root/calls.json")))
    for name, measured in (("chat", chat), ("pair", pair), ("calls by name", called)):
        assert measured.failed == 0, (name, measured.data)
        assert measured.requests >= 2000, (name, measured.data)
        assert set(measured.versions) == {"1.0.0", "1.1.0"}, (name, measured.data)


def test_scaling_loses_no_request_and_touches_no_other_container(
    scenario: Scenario, host: Host, changed_copy: Client, load: Callable[..., Any]
) -> None:
    before = started(host)
    folder = changed_copy(lambda stacks: None)
    file = folder / "compose" / "pair" / "compose.yaml"
    file.write_text(file.read_text().replace("replicas: 2", "replicas: 3"))
    with load("pair.test.example") as pair:
        scenario.converge("--tags", "stacks", inventory=folder)
        assert len(set(started(host)) - set(before)) == 2  # the third, and the load
        assert before.items() <= started(host).items()
        scenario.converge("--tags", "stacks")
    assert pair.failed == 0, pair.data
    assert len(containers(host, "pair")) == 4 and len(set(started(host)) & set(before)) >= len(before) - 1


def test_what_a_deploy_leaves_is_what_compose_would_have_made(host: Host) -> None:
    before = started(host)
    for name in ("chat", "pair"):
        host.check_output(f"cd /srv/stacks/{name}/current && docker compose up -d")
        assert all(each.startswith(f"{name}-") for each in containers(host, name))
    assert started(host) == before
    assert images(host, "pair") == ["demo-chat:1.0.0"] * 3 + ["demo-load:1.0.0"]
    for each in containers(host, "pair").values():
        table = host.run(f"nsenter --net=/proc/{each['State']['Pid']}/ns/net nft list ruleset | grep drover_")
        assert table.rc != 0, "nothing leads calls any more"


def test_the_plan_says_in_which_order(scenario: Scenario, host: Host, changed_copy: Client) -> None:
    before = started(host)
    run = scenario.site(
        "--tags", "stacks", "--check", "--diff", inventory=changed_copy(to("1.1.0", "chat", "pair"))
    )
    assert run.status == 0, run.output
    for line in (
        "before app starts: migrate",
        "replace app: image drover/demo-chat:1.0.0 → drover/demo-chat:1.1.0 (start-first)",
        "replace store: image drover/demo-chat:1.0.0 → drover/demo-chat:1.1.0 (stop-first)",
    ):
        assert line in run.output, run.output
    assert started(host) == before
