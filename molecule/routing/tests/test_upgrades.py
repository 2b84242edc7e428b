"""The proxy itself changes, and no request is lost; the last file, since it leaves a bad one wanted."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from shared.scenario import ROOT, Run, Scenario, containers, eventually, started
from testinfra.host import Host

from .load import Load
from .wire import Balancer

AGE = 3  # seconds for which a connection is kept, so that nobody waits for half a minute
AGED = re.compile(r"(keepAliveMaxTime=|keepalive_time )30s")
TABLE = "nft list table ip drover_standby"
AGENT = "pkill -KILL -f '^/usr/bin/python3 -IS /usr/local/bin/drover deploy'"


@pytest.fixture(scope="module", autouse=True)
def _proxy_of_its_own(scenario: Scenario, folder: Path, proxy: str, kind: str) -> None:
    """The client brings the proxy's folder, in which connections age sooner; `proxy` was there before."""
    copy = folder / "compose" / kind
    shutil.copytree(ROOT / "compose" / kind, copy)
    for path in filter(Path.is_file, copy.rglob("*")):
        path.write_text(AGED.sub(rf"\g<1>{AGE}s", path.read_text()))
    scenario.converge("--tags", "proxy", inventory=folder)


def change(folder: Path, kind: str, line: str) -> None:
    """The proxy's container is another one with this line."""
    file, where = {
        "nginx": ("conf/http.conf", "server_tokens off;\n"),
        "traefik": ("compose.yaml", "    command:\n"),
    }[kind]
    path = folder / "compose" / kind / file
    path.write_text(path.read_text().replace(where, where + line))


def current(host: Host) -> str:
    return str(host.check_output("readlink /srv/stacks/proxy/current").rpartition("/")[2])


@contextmanager
def nothing_is_lost(balancer: Balancer, host: Host) -> Iterator[None]:
    """Requests from outside, and on the host to its loopback and to its own address."""
    asked = f"for a in 127.0.0.1 {balancer.address}; do curl -s -m 9 -o /dev/null -w '%{{http_code}}\\n' http://$a/up"
    loop = f"while [ -e /run/asking ]; do {asked} -H 'Host: plain.test.example'; sleep 0.02; done; done"
    host.check_output(f"touch /run/asking; nohup sh -c {shlex.quote(loop)} >/root/asked 2>&1 </dev/null &")
    with Load(balancer) as load:
        time.sleep(1)
        try:
            yield
            time.sleep(1)
        finally:
            host.check_output("rm /run/asking; sleep 0.5")
    own = Counter(host.check_output("cat /root/asked").split())
    assert not load.failed and set(own) == {"200"}, (load.failed[:9], own)
    assert len(load.answers) > 200 and own["200"] > 20


def nothing_is_left(host: Host, kind: str) -> None:
    """One container of the kind by Compose's name, no table, and nothing to do for Compose or the agent."""
    names = [name for name in containers(host, "proxy") if "pages" not in name]
    assert len(names) == 1 and re.fullmatch(rf"proxy-{kind}-\d+", names[0]), names
    assert host.run(TABLE).rc != 0
    before = started(host)
    host.check_output("cd /srv/stacks/proxy/current && docker compose up -d")
    assert started(host) == before
    assert "nothing to do" in host.check_output("drover apply")
    assert host.run("drover status").rc == 0


def test_new_stack_whose_name_comes_first_cuts_nobody_off(
    scenario: Scenario, host: Host, balancer: Balancer, folder: Path
) -> None:
    """Docker publishes ports on the network whose name sorts first, and moves them when another one comes."""
    path = folder / "group_vars" / "all" / "stacks.yml"
    variables = yaml.safe_load(path.read_text())
    notes = {"image": "drover/demo-notes", "version": "1.0.0", "port": 8080, "health": "/up"}
    variables["drover_stacks"].append({"name": "a", **notes, "host": "a.test.example"})
    path.write_text(yaml.safe_dump(variables))
    with nothing_is_lost(balancer, host):
        scenario.converge("--tags", "stacks", inventory=folder)
    assert balancer.status("a.test.example", "/up") == 200


def test_changed_proxy_loses_no_request(
    scenario: Scenario, host: Host, balancer: Balancer, folder: Path, kind: str
) -> None:
    old = started(host)
    line = {"nginx": "# changed\n", "traefik": "      - --log.format=common\n"}[kind]
    change(folder, kind, line)
    with nothing_is_lost(balancer, host):
        run = scenario.converge("--tags", "proxy", "--diff", inventory=folder)
    assert f"replace {kind}: its configuration changed (start-first, by a standby)" in run.output
    assert len(set(started(host).items()) - set(old.items())) == 1
    nothing_is_left(host, kind)
    assert scenario.site("--tags", "proxy", inventory=folder).changed == 0


def test_killed_in_the_middle_and_run_again(balancer: Balancer, host: Host, kind: str) -> None:
    """Nginx when new connections have just been led away, Traefik when nobody is there but the standby."""
    rows = json.loads(host.check_output("drover history proxy --json"))
    release = next(
        row["release"] for row in rows if row["result"] == "ok" and row["release"] != current(host)
    )
    moment = {"nginx": TABLE, "traefik": '[ -z "$(docker ps -q --filter name=proxy-traefik-)" ]'}[kind]
    kill = f"{AGENT}; pkill -KILL -x docker; pkill -KILL -x docker-compose"
    with nothing_is_lost(balancer, host):
        host.check_output(
            f"nohup drover deploy proxy --release {release} --force >/root/deploy 2>&1 </dev/null &"
        )
        waited = f"for turn in $(seq 3000); do {moment} >/dev/null 2>&1 && break; sleep 0.05; done; {kill}"
        host.run(waited)
        assert "let proxy" in host.check_output("cat /root/deploy")
        told = host.run("drover status")
        assert told.rc == 1 and "end the standby" in told.stdout
        host.check_output("drover apply")
    assert current(host) == release
    nothing_is_left(host, kind)


def test_proxy_that_never_gets_well_leaves_the_old_one_untouched(
    scenario: Scenario, host: Host, balancer: Balancer, folder: Path, kind: str
) -> None:
    old, stands = started(host), current(host)
    change(folder, kind, {"nginx": "nonsense;\n", "traefik": "      - --nonsense\n"}[kind])
    with nothing_is_lost(balancer, host):
        run: Run = scenario.site("--tags", "proxy", inventory=folder)
    assert run.status != 0 and "serves on" in run.output and "nonsense" in run.output, run.output
    assert started(host) == old and current(host) == stands
    assert host.run(TABLE).rc != 0
    assert eventually(lambda: host.run("drover status").rc == 1)
