"""The demo serves: through the proxy, by host name, with its data."""

from __future__ import annotations

import json

from shared.scenario import Scenario, containers, fetch
from testinfra.host import Host


def test_every_route_answers_by_host_name(host: Host) -> None:
    stacks = json.loads(host.check_output("drover status --json"))["stacks"]
    urls = [url for each in stacks for url in each["urls"]]
    assert len(urls) >= 3
    for url in urls:
        name, _, path = url.removeprefix("http://").partition("/")
        assert fetch(host, name, f"/{path}")[0] == 200, url


def test_unknown_host_is_404(host: Host) -> None:
    assert fetch(host, "nobody.example")[0] == 404


def test_a_row_and_a_session_survive_a_restart_of_everything(scenario: Scenario, host: Host) -> None:
    name = "api.shop.demo.example"
    status, _ = fetch(host, name, "/items", """-d '{"name": "kept"}'""")
    assert status in (200, 201)
    cookie = "-b session=kept"
    count = json.loads(fetch(host, name, "/session", cookie)[1])["count"]
    host.check_output("docker exec shop-cache-1 valkey-cli save")
    scenario.testhost("power-cut", scenario.name)
    host.run_expect([0], "timeout 90 sh -c 'until drover status >/dev/null; do sleep 1; done'")
    assert "kept" in fetch(host, name, "/items")[1]
    assert json.loads(fetch(host, name, "/session", cookie)[1])["count"] == count + 1


def test_two_stacks_share_one_proxy(host: Host) -> None:
    assert len([name for name in containers(host) if name.startswith("proxy-")]) == 1
