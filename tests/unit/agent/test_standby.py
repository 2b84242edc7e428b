"""The proxy is replaced while a standby answers: at no moment does a new connection meet nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docker_model import Box, Docker, Place, killed_anywhere
from drover import deploy, detour, docker, finish, standby
from drover.docker import Container, parse
from drover.layout import Layout
from drover.lineup import BY_STANDBY
from drover.run import Result
from test_calls import container

pytestmark = pytest.mark.usefixtures("fast", "_quick")
ROUTE = {"host": "shop.example.com", "path": "/", "service": "web", "port": 80, "health": None}
PORTS = {"80/tcp": "0.0.0.0:80"}
PROXY = {"traefik": {"image": "traefik:v3", "order": "stop-first", "ports": PORTS}}
NEW = {"traefik": {**PROXY["traefik"], "image": "traefik:v4"}}


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "POLL", 0.0)


def started(root: Path) -> Place:
    """A host with a proxy that publishes a port, and a stack."""
    here = Place(Layout(root), Docker())
    here.write("proxy", PROXY)
    here.write("shop", {"web": {"image": "web:1", "public": True}}, routes=[ROUTE])
    assert not here.apply().errors
    here.docker.commands.clear()
    here.docker.changes = 0
    return here


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return started(tmp_path)


def change(here: Place, services: dict[str, dict[str, Any]] | None = None, **more: Any) -> str:
    return here.write("proxy", services or NEW, version="2", **more)


def always_answers(docker: Docker) -> None:
    """From now on, after each change, somebody answers new connections and is connected to the shop."""

    def watching() -> None:
        box = docker.answers("80")
        assert box and "shop_public" in box.networks, (docker.commands[-1], docker.table)

    docker.watching = watching


def proxies(here: Place) -> dict[str, tuple[str, str]]:
    return {box.name: (box.image, box.status) for box in here.docker.boxes.values() if box.stack == "proxy"}


def done(here: Place) -> list[str]:
    """What was done to which container, and to the table."""
    return [
        words[1] if words[0] == "nft" else f"{words[1]} {'run' if 'run' in words else ''}".strip()
        for words in here.docker.commands
        if (words[0] == "nft" and words[1] != "list")
        or words[1] in ("compose", "start", "kill", "stop", "rm", "update")
    ]


# The whole way


def test_standby_answers_from_before_the_old_one_stops_until_the_new_one_is_well(here: Place) -> None:
    change(here)
    always_answers(here.docker)
    answer = here.apply()
    assert not answer.errors
    assert [step.text for step in answer.plans["proxy"].steps] == [
        "replace traefik: image traefik:v3 → traefik:v4 (start-first, by a standby)"
    ]
    assert done(here) == [
        *("compose", "compose run", "kill", "start", "-f"),
        *("update", "stop", "start", "delete", "stop", "rm", "stop", "rm"),
    ]
    assert proxies(here) == {"proxy-traefik-2": ("traefik:v4", "running")} and not here.docker.table
    assert not here.apply().changed


def test_standby_is_one_more_of_the_new_release_that_only_the_host_reaches(here: Place) -> None:
    release = change(here)
    here.apply()
    (command,) = [words for words in here.docker.commands if "--detach" in words]
    assert command[command.index("run") :] == [
        *("run", "--detach", "--no-deps", "--name", "proxy-standby"),
        *("--label=drover.standby=proxy-traefik-2", "--publish=127.0.0.1::80/tcp", "traefik"),
    ]
    assert str(here.layout.release("proxy", release)) in command


def test_what_publishes_nothing_and_what_is_of_another_kind_stop_first(here: Place) -> None:
    change(here, {"nginx": {"image": "nginx:1", "order": "stop-first", "ports": PORTS}})
    answer = here.apply()
    assert not answer.errors and not any("--detach" in words for words in here.docker.commands)
    assert set(proxies(here)) == {"proxy-nginx-1"}


def test_service_of_another_stack_stops_first(here: Place) -> None:
    ports = {"web": {"image": "web:1", "order": "stop-first", "ports": {"25/tcp": "0.0.0.0:25"}}}
    here.write("mail", ports)
    here.apply()
    here.write("mail", {"web": {**ports["web"], "image": "web:2"}}, version="2")
    answer = here.apply()
    assert answer.plans["mail"].steps[0].text.endswith("(stop-first)") and not answer.errors
    assert not any("--detach" in words for words in here.docker.commands)


def test_plan_says_it_and_touches_nothing(here: Place) -> None:
    change(here)
    before = proxies(here)
    assert BY_STANDBY in here.apply(check=True).plans["proxy"].steps[0].text
    assert proxies(here) == before and not here.docker.changes


# Failures


def fails(here: Place, name: str) -> None:
    """A container that is started under this name ends with 3."""
    real = Docker._start

    def begin(docker: Docker, words: list[str]) -> Result:
        found = real(docker, words)
        box = docker.boxes[words[-1]]
        if box.name == name and box.image == "traefik:v4":
            box.status, box.code = "exited", 3
        return found

    here.docker._start = begin.__get__(here.docker)  # type: ignore[method-assign]


@pytest.mark.parametrize("trouble", ["ends", "routes", "unhealthy", "soak"])
def test_one_that_never_gets_well_leaves_the_old_one_untouched(
    here: Place, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {box.identity: box.started for box in here.docker.boxes.values()}
    always_answers(here.docker)
    services, says = NEW, "ended with 3; version 1 serves on"
    if trouble == "ends":
        fails(here, "proxy-standby")
    elif trouble == "routes":
        monkeypatch.setattr(finish, "go_by", lambda watch, asked, marks: list(marks))
        says = "/srv/proxy/routes/shop.yml after 15 s; version 1 serves on"
    elif trouble == "unhealthy":
        services = {"traefik": {**NEW["traefik"], "health": "unhealthy"}}
        says = "is unhealthy; version 1 serves on"
    else:

        def falls(*_: Any) -> None:
            raise deploy.StackError("was well, and fell within 5 s", "traefik")

        monkeypatch.setattr(standby.start, "stay_well", falls)
        says = "was well, and fell within 5 s; version 1 serves on"
    change(here, services)
    (error,) = here.apply().errors
    assert error.endswith(says)
    assert {box.identity: box.started for box in here.docker.boxes.values()} == before
    assert not here.docker.table and not any(words[1] == "update" for words in here.docker.commands)


def test_last_words_of_a_standby_are_told_though_it_is_gone(here: Place) -> None:
    here.docker.logs["traefik"] = "unknown flag"
    fails(here, "proxy-standby")
    change(here)
    assert here.apply().errors == ["proxy/traefik: ended with 3; version 1 serves on\n  | unknown flag"]


def test_real_one_that_fails_gives_way_to_the_old_one_behind_the_standby(here: Place) -> None:
    before = here.state("proxy")
    always_answers(here.docker)
    fails(here, "proxy-traefik-2")
    change(here)
    assert here.apply().errors == ["proxy/traefik: ended with 3; version 1 serves on"]
    assert here.state("proxy") == before and not here.docker.table
    assert set(proxies(here)) == {"proxy-traefik-1"}


def test_real_one_that_lacks_a_route_gives_way_too(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = here.state("proxy")
    always_answers(here.docker)

    def lacks(_: object, asked: list[Container], marks: dict[str, str]) -> list[str]:
        return list(marks) if "proxy-traefik-2" in [each.name for each in asked] else []

    monkeypatch.setattr(finish, "go_by", lacks)
    change(here)
    (error,) = here.apply().errors
    shop = here.layout.routes / "shop.yml"
    assert error == f"proxy: the proxy does not go by {shop} after 15 s; version 1 serves on"
    assert here.state("proxy") == before and not here.docker.table


def test_standby_serves_on_if_neither_the_new_nor_the_old_one_can(here: Place) -> None:
    real = Docker._start

    def begin(docker: Docker, words: list[str]) -> Result:
        if docker.boxes[words[-1]].name != "proxy-standby":
            return Result(1, "", "no space left")
        return real(docker, words)

    change(here)
    always_answers(here.docker)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(here.docker, "_start", begin.__get__(here.docker))
        (error,) = here.apply().errors
        assert "could not be brought back" in error
        assert here.docker.answers("80") is here.docker.named("proxy-standby")
    assert not here.apply().errors
    assert proxies(here) == {"proxy-traefik-2": ("traefik:v4", "running")}


def test_standby_that_falls_while_the_old_one_finishes_gives_way_to_it(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = here.state("proxy")

    def clients(layout: Layout, each: Container) -> int:
        here.docker.named("proxy-standby").status = "exited"
        return 1

    monkeypatch.setattr(detour, "connections", clients)
    change(here)
    assert here.apply().errors == ["proxy/traefik: fell while it stood by; version 1 serves on"]
    assert here.state("proxy") == before and not here.docker.table


def test_nftables_that_does_not_answer_is_no_table_that_is_not_there(here: Place) -> None:
    """Else the standby would go while connections are led to it."""

    def nft(docker: Docker, words: list[str], text: str) -> Result:
        return Result(124, "", "timed out")

    here.docker._nft = nft.__get__(here.docker)  # type: ignore[method-assign]
    before = proxies(here)
    change(here)
    (error,) = here.apply().errors
    assert "nftables does not say whether there is a table" in error and proxies(here) == before


def test_without_nftables_the_old_one_stops_first(here: Place) -> None:
    real = Docker._nft

    def nft(docker: Docker, words: list[str], text: str) -> Result:
        return Result(1, "", "Operation not supported") if words[1] == "-f" else real(docker, words, text)

    here.docker._nft = nft.__get__(here.docker)  # type: ignore[method-assign]
    change(here)
    assert not here.apply().errors
    assert proxies(here) == {"proxy-traefik-2": ("traefik:v4", "running")}


def test_nobody_who_could_answer_is_no_proxy_that_goes_by_all_routes(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new one fell after its soak: the table must not lead to Docker's ports again."""
    before = here.state("proxy")
    always_answers(here.docker)
    real = standby.Standby.hand_over

    def falls(own: standby.Standby, wish: Any) -> None:
        for box in here.docker.boxes.values():
            if box.name == "proxy-traefik-2":
                box.status = "exited"
        real(own, wish)

    monkeypatch.setattr(standby.Standby, "hand_over", falls)
    change(here)
    (error,) = here.apply().errors
    assert error == "proxy: there is no proxy that could go by the routes; version 1 serves on"
    assert here.state("proxy") == before and not here.docker.table


def test_another_service_of_the_proxys_stack_does_not_stop_the_proxy(here: Place) -> None:
    """It starts first, and could not run beside its predecessor either."""
    guard = {"image": "guard:1", "order": "stop-first"}
    here.write("proxy", {"aguard": guard, **PROXY})
    assert not here.apply().errors
    always_answers(here.docker)
    change(here, {"aguard": {**guard, "image": "guard:2"}, **NEW})
    assert not here.apply().errors
    assert set(proxies(here)) == {"proxy-aguard-2", "proxy-traefik-2"} and not here.docker.table


def test_who_shows_pages_is_connected_to_nobody(here: Place) -> None:
    page = Box("p", "proxy-pages-1", "proxy", "pages", "h", "nginx:1", False, networks={"proxy_default"})
    page.status = "running"
    found = parse(json.dumps([page.inspect(), *(box.inspect() for box in here.docker.boxes.values())]))
    assert [each.name for each in docker.proxies(found)] == ["proxy-traefik-1"]


@pytest.mark.parametrize(("stack", "oneoff"), [("odd", False), ("odd", True), ("proxy", False)])
def test_label_alone_makes_nobody_a_standby(stack: str, oneoff: bool) -> None:
    """A stack's file or an image may have it: it would be connected to every stack, and removed."""
    labels = {docker.STANDS_BY: "x"}
    box = Box("1", f"{stack}-web-1", stack, "web", "h", "web:1", False, labels=labels, oneoff=oneoff)
    assert [each.stack for each in parse(json.dumps([box.inspect()]))] == ([] if oneoff else [stack])


# Clients finish


def test_old_one_and_standby_stop_when_their_clients_are_gone(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    left = {"proxy-traefik-1": 3, "proxy-standby": 2}

    def clients(layout: Layout, each: Container) -> int:
        box = here.docker.answers("80")
        assert box and box.name != each.name, "new connections go elsewhere by now"
        left[each.name] -= 1
        asked.append((each.name, here.docker.named(each.name).status))
        return left[each.name]

    monkeypatch.setattr(detour, "connections", clients)
    change(here)
    assert not here.apply().errors
    assert asked == [("proxy-traefik-1", "running")] * 3 + [("proxy-standby", "running")] * 2


def test_clients_that_stay_are_waited_for_a_little_longer_than_they_may_be_idle(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(standby.time, "monotonic", lambda: next(clock) / 10)
    asked: dict[str, list[float]] = {"proxy-traefik-1": [], "proxy-standby": []}

    def clients(layout: Layout, each: Container) -> int:
        asked[each.name].append(next(clock) / 10)
        return 1

    monkeypatch.setattr(detour, "connections", clients)
    change(here)
    assert not here.apply().errors
    assert all(75 < max(found) - min(found) < 80 for found in asked.values())
    assert proxies(here) == {"proxy-traefik-2": ("traefik:v4", "running")}


SOCKETS = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65532        0 1 1
   1: 0500140A:0050 0100000A:C001 01 00000000:00000000 00:00000000 00000000 65532        0 2 1
   2: 0500140A:0050 0100000A:C002 06 00000000:00000000 00:00000000 00000000 65532        0 3 1
   3: 0100007F:0050 0100007F:C003 01 00000000:00000000 00:00000000 00000000 65532        0 4 1
   4: 0500140A:C004 0900140A:1F90 01 00000000:00000000 00:00000000 00000000 65532        0 5 1
"""
MAPPED = "0000000000000000FFFF0000"
SOCKETS6 = f"""  sl  local_address                         remote_address                        st
   0: {MAPPED}0500140A:0050 {MAPPED}0100000A:C011 08 00000000:00000000 00:00000000 00000000 65532 0 2 1
   1: {MAPPED}0100007F:0050 {MAPPED}0100007F:C012 01 00000000:00000000 00:00000000 00000000 65532 0 2 1
   2: {MAPPED}0500140A:0050 {MAPPED}0100000A:C013 03 00000000:00000000 00:00000000 00000000 65532 0 2 1
"""
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t0001140A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t00000000\t0100140A\t0003\t0\t0\t0\t00000000\t0\t0\t0
"""


def test_clients_are_what_is_connected_to_published_ports_from_outside(tmp_path: Path) -> None:
    """Not: who listens, what has ended, its own checks, connections to services."""
    folder = tmp_path / "proc/7/net"
    folder.mkdir(parents=True)
    proxy = container("traefik-1", "10.20.0.5", stack="proxy")._replace(pid=7, ports={"80/tcp": (("", 80),)})
    assert detour.connections(Layout(tmp_path), proxy) == 0
    (folder / "tcp").write_text(SOCKETS)
    assert detour.connections(Layout(tmp_path), proxy) == 1
    (folder / "tcp6").write_text(SOCKETS6)
    assert detour.connections(Layout(tmp_path), proxy) == 3
    assert detour.connections(Layout(tmp_path), proxy._replace(ports={"443/tcp": (("", 443),)})) == 0
    assert detour.connections(Layout(tmp_path), proxy._replace(pid=0)) == 0


# Where new connections are led


def test_standby_is_reached_where_its_default_route_is(tmp_path: Path) -> None:
    """Docker lets packets of the outside go to that address alone."""
    (tmp_path / "proc/7/net").mkdir(parents=True)
    networks = {"public": "10.20.1.5", "a_public": "10.20.0.5"}
    subnets = {"public": "10.20.1.0/24", "a_public": "10.20.0.0/24"}
    each = container("traefik-1", "10.20.0.5", stack="proxy")
    each = each._replace(pid=7, networks=networks, subnets=subnets)
    assert detour.reached(Layout(tmp_path), each) == ("10.20.1.5", "10.20.1.0/24")
    (tmp_path / "proc/7/net/route").write_text(ROUTES)
    assert detour.reached(Layout(tmp_path), each) == ("10.20.0.5", "10.20.0.0/24")


def test_every_published_port_is_led() -> None:
    ports = {
        "80/tcp": (("0.0.0.0", 8080), ("::", 8080)),
        "443/tcp": (("192.0.2.7", 443),),
        "443/udp": (("", 443),),
        "9/tcp": (("", 9),),
    }
    there = {"80/tcp": (("127.0.0.1", 32768),), "443/tcp": (("127.0.0.1", 32769),),
             "443/udp": (("127.0.0.1", 32770),)}  # fmt: skip
    found = detour.leads(ports, container("traefik-1", "10.1.0.2")._replace(ports=there))
    text = detour.rules("10.20.0.5", "10.20.0.0/24", found, routed=False)
    outside, host = (re.search(rf"chain {name} {{(.*)}}", text)[1] for name in ("outside", "host"))  # type: ignore[index]
    for chain in (outside, host):
        assert "fib daddr type local tcp dport 8080 dnat to 10.20.0.5:80;" in chain
        assert "ip daddr 192.0.2.7 tcp dport 443 dnat to 10.20.0.5:443;" in chain
        assert "fib daddr type local udp dport 443 dnat to 10.20.0.5:443;" in chain
        assert chain.count("dnat") == 3
    assert "ip daddr 127.0.0.0/8 tcp dport 8080 redirect to :32768;" in host and "redirect" not in outside
    assert host.index("redirect to :32768") < host.index("dnat to 10.20.0.5:80")
    assert text.splitlines()[:2] == ["table ip drover_standby", "delete table ip drover_standby"]
    assert "redirect" not in detour.rules("10.20.0.5", "10.20.0.0/24", found, routed=True)


@pytest.mark.parametrize("said", ["0", "1"])
def test_loopback_is_routed_where_the_kernel_says_so(tmp_path: Path, said: str) -> None:
    layout = Layout(tmp_path)
    assert not detour.routed(layout, "10.20.0.0/24")
    for folder in (layout.network(1), layout.interfaces / "eth1"):
        folder.mkdir(parents=True)
    (layout.network(1) / "route").write_text(ROUTES)
    assert not detour.routed(layout, "10.20.1.0/24")
    (layout.interfaces / "eth1/route_localnet").write_text(f"{said}\n")
    assert detour.routed(layout, "10.20.1.0/24") == (said == "1")
    assert not detour.routed(layout, "10.20.0.0/24")


def test_ports_of_a_container_are_read_before_and_after_its_start() -> None:
    box = Box("1", "proxy-traefik-1", "proxy", "traefik", "h", "traefik:v3", False, ports=PORTS)
    raw = box.inspect()
    raw["NetworkSettings"]["Ports"] = {}
    text = json.dumps([raw])
    assert parse(text)[0].ports == {"80/tcp": (("0.0.0.0", 80),)}
    raw["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    assert parse(json.dumps([raw]))[0].ports == {"80/tcp": ()}
    raw["NetworkSettings"]["Ports"] = {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "32768"}],
        "443/tcp": None,
    }
    assert parse(json.dumps([raw]))[0].ports == {"80/tcp": (("127.0.0.1", 32768),)}


# Killed


def changing(root: Path) -> Place:
    here = started(root)
    change(here)
    always_answers(here.docker)
    return here


def power_cut(here: Place) -> None:
    """What runs stops, the kernel forgets; nobody answers until the boot."""
    here.docker.watching = lambda: None
    here.docker.table = ""
    here.docker.cut_power()


def engine_is_gone(here: Place) -> None:
    """Containers have stopped, the table is there."""
    table = here.docker.table
    power_cut(here)
    here.docker.table = table


def removed_by_hand(here: Place) -> None:
    """A person takes the strange container away; the table stays, and nobody answers until the next run."""
    here.docker.watching = lambda: None
    for box in [box for box in here.docker.boxes.values() if box.oneoff]:
        del here.docker.boxes[box.identity]


def nothing(here: Place) -> None:
    pass


def back(here: Place) -> None:
    """The release before is wanted again."""
    here.write("proxy", PROXY)


def another(here: Place) -> None:
    change(here, {"traefik": {**PROXY["traefik"], "image": "traefik:v5"}})


def new_stack(here: Place) -> None:
    """Another stack's route changes first: whoever answers has to know it."""
    here.write("shop", {"web": {"image": "web:2", "public": True}}, routes=[ROUTE], version="2")
    assert not here.apply(only=frozenset({"shop"})).errors


@pytest.mark.parametrize(
    ("then", "image"),
    [
        (nothing, "traefik:v4"),
        (back, "traefik:v3"),
        (another, "traefik:v5"),
        (new_stack, "traefik:v4"),
        (removed_by_hand, "traefik:v4"),
        (power_cut, "traefik:v4"),
        (engine_is_gone, "traefik:v4"),
    ],
)
def test_killed_anywhere_and_run_again(tmp_path: Path, then: Callable[[Place], None], image: str) -> None:
    for point, here, _ in killed_anywhere(tmp_path, changing):
        then(here)
        if then in (power_cut, engine_is_gone):
            assert not here.boot().errors, point
            always_answers(here.docker)
        assert not here.apply().errors, point
        assert {*proxies(here).values()} == {(image, "running")}, point
        assert len(proxies(here)) == 1 and not here.docker.table, point
        here.state("proxy")
        assert not here.apply().changed, point


def sick(here: Place) -> None:
    here.docker.named("proxy-standby").health = "unhealthy"


@pytest.mark.parametrize(("then", "made"), [(nothing, False), (another, False), (sick, True)])
def test_standby_that_is_led_to_is_used_again_while_it_is_well(
    tmp_path: Path, then: Callable[[Place], None], made: bool
) -> None:
    """Also by another release: who runs on the ports may be one that never got well."""
    for _, here, _ in killed_anywhere(tmp_path, changing):
        if here.docker.table and proxies(here)["proxy-traefik-1"][1] == "running":
            then(here)
            here.docker.commands.clear()
            assert not here.apply().errors
            assert any("--detach" in words for words in here.docker.commands) == made
            return
    raise AssertionError("nobody was killed there")


def test_table_that_leads_to_nobody_goes_first(tmp_path: Path) -> None:
    seen = set()
    for _, here, _ in killed_anywhere(tmp_path, changing):
        if here.docker.table:
            removed_by_hand(here)
            here.docker.commands.clear()
            assert not here.apply().errors
            seen.add(done(here)[0])
    assert seen == {"delete"}


def test_stack_that_comes_while_a_left_standby_answers_is_known_to_it(tmp_path: Path) -> None:
    for _, here, _ in killed_anywhere(tmp_path, changing):
        if here.docker.table:
            here.write(
                "late",
                {"web": {"image": "web:1", "public": True}},
                routes=[{**ROUTE, "host": "late.example"}],
            )
            assert not here.apply(only=frozenset({"late"})).errors
            box = here.docker.answers("80")
            assert box and box.oneoff and "late_public" in box.networks


def test_stack_can_go_while_a_left_standby_knows_it(tmp_path: Path) -> None:
    for point, here, _ in killed_anywhere(tmp_path, changing):
        here.docker.watching = lambda: None
        (here.layout.stack("shop") / "wanted").unlink()
        assert not here.apply().errors, point
        assert not here.docker.of("shop") and "shop_public" not in here.docker.networks, point


def test_left_standby_is_told_of_and_no_part_of_the_stack(tmp_path: Path) -> None:
    seen = set()
    for point, here, _ in killed_anywhere(tmp_path, changing):
        if here.docker.table:
            texts = [step.text for step in here.apply(check=True).plans["proxy"].steps]
            assert "end the standby: a change of the proxy is not finished" in texts
            assert not any("proxy-standby" in text for text in texts)
            seen.add(point)
    assert len(seen) > 3
