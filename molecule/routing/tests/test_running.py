"""Changes and restarts while connections stand; the last file, since it cuts them."""

from __future__ import annotations

import base64
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from shared.scenario import Scenario, eventually
from testinfra.host import Host

from .wire import ANNA, PASSWORD, Balancer, Kept, Talk


def test_idle_connections_outlive_the_balancers(idle: list[Future[None]]) -> None:
    """Through all files before this one: with Nginx, a change of routes ends idle ones."""
    for each in idle:
        each.result(timeout=100)


def test_connection_that_is_idle_across_a_deploy_is_answered_or_closed_before_it_sends(
    balancer: Balancer, host: Host
) -> None:
    """For a moment or through all of it, at the end of which the container that its route knew is gone."""
    ended, old = threading.Event(), _web(host)
    with ThreadPoolExecutor() as pool:
        asking = [pool.submit(_asking, Kept(balancer), pause, ended) for pause in (0.5, 1, 2, 3, 600)]
        try:
            time.sleep(1)
            host.check_output(f"docker network disconnect web_default {old}")
            told = host.check_output("drover apply --stack web 2>&1")
        finally:
            ended.set()
    assert "replace web: it was cut off from web_default (start-first)" in told, told
    assert [each.result() for each in asking] == [{200}] * len(asking)
    assert _web(host) != old and len(_web(host).split()) == 1


def _asking(kept: Kept, pause: float, ended: threading.Event) -> set[int]:
    found = {kept.ask()}
    while not ended.wait(pause):
        found.add(kept.ask())
    return found | {kept.ask()}


def _web(host: Host) -> str:
    """The containers that run of the service."""
    return str(host.check_output("docker ps -q --filter name=^web-web-"))


def test_reloads_lose_no_request_and_no_websocket(balancer: Balancer, host: Host, kind: str) -> None:
    """A route file that was changed by hand is put right, under load."""
    suffix = {"traefik": "yml", "nginx": "conf"}[kind]
    talk, kept, done = Talk(balancer), Kept(balancer), threading.Event()
    assert kept.ask() == 200

    def load() -> Counter[int]:
        found: Counter[int] = Counter()
        while not done.is_set():
            found[balancer.status("plain.test.example", "/up")] += 1
        return found

    with ThreadPoolExecutor() as pool:
        loads = [pool.submit(load) for _ in range(3)]
        try:
            for turn in range(3):
                host.check_output(f"echo broken >> /srv/proxy/routes/web.{suffix}")
                told = host.check_output("drover apply --stack web 2>&1")
                assert "change the route" in told, told
                talk.say(f"turn {turn}")
                assert kept.ask() == 200
        finally:
            done.set()
        found = sum((each.result() for each in loads), Counter())
    assert set(found) == {200} and found[200] > 50, found
    talk.say("still here")


@pytest.mark.long
def test_websocket_lives_through_ten_idle_minutes(balancer: Balancer) -> None:
    talk = Talk(balancer)
    time.sleep(600)
    talk.say("still here")


def test_restarted_proxy_serves_again(balancer: Balancer, host: Host, proxy: str) -> None:
    host.check_output(f"docker restart {proxy}")
    assert eventually(lambda: _answers(balancer), 15)
    assert balancer.status("guard.test.example", "/admin") == 401


def _answers(balancer: Balancer) -> bool:
    try:
        return balancer.status("plain.test.example") == 200
    except OSError:
        return False


def test_changed_password_counts_and_maintenance_ends(
    scenario: Scenario, balancer: Balancer, folder: Path
) -> None:
    path = folder / "group_vars" / "all" / "stacks.yml"
    variables = yaml.safe_load(path.read_text())
    web, shut, _ = variables["drover_stacks"]
    web["secrets"]["staff"] = "anna:another-canary-99"
    shut["maintenance"] = False
    before = path.read_text()
    path.write_text(yaml.safe_dump(variables))
    try:
        run = scenario.converge("--tags", "stacks", "--diff", inventory=folder)
        assert "canary-99" not in run.output and PASSWORD not in run.output and "$apr1$" not in run.output
    finally:
        path.write_text(before)
    again = {"Authorization": "Basic " + base64.b64encode(b"anna:another-canary-99").decode()}
    assert balancer.status("guard.test.example", "/admin", headers=ANNA) == 401
    assert balancer.status("guard.test.example", "/admin", headers=again) == 200
    assert balancer.status("shut.test.example", "/up") == 200
    scenario.converge("--tags", "proxy,stacks", inventory=folder)
    assert scenario.site("--tags", "proxy,stacks", inventory=folder).changed == 0


@pytest.mark.parametrize("kind", ["nginx"], indirect=True)
def test_candidate_that_nginx_refuses_never_lands(balancer: Balancer, host: Host) -> None:
    host.check_output("echo 'nonsense;' > /srv/proxy/routes/zz.conf; echo >> /srv/proxy/routes/web.conf")
    try:
        told = host.run("drover apply --stack web 2>&1")
        assert told.rc != 0 and "refuses it" in told.stdout and "zz.conf" in told.stdout, told.stdout
        assert balancer.status("plain.test.example") == 200
    finally:
        host.check_output("rm /srv/proxy/routes/zz.conf")
    host.check_output("drover apply --stack web")
    assert balancer.status("plain.test.example") == 200
