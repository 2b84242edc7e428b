"""Which part a host has among its generations: what runs by it, and what a kill between two parts leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docker_model import Box, Docker, Place, killed_anywhere, place
from drover import lifecycle, takeover
from drover.apply import Answer
from drover.layout import Layout
from drover.lifecycle import PARTS
from drover.run import DroverError

pytestmark = pytest.mark.usefixtures("fast")
ROUTE = {"host": "shop.example.com", "path": "/", "service": "web", "port": 80, "health": None}
SERVICES: dict[str, dict[str, Any]] = {
    "web": {"image": "web:1", "public": True, "depends": "db:service_started:false"},
    "db": {"image": "db:1", "order": "stop-first", "volume": True},
    "mailer": {"image": "mailer:1", "worker": True},
    "seed": {"image": "seed:1", "oneshot": True},
}
JOB = {"name": "db", "engine": "postgres", "service": "db", "data": {"volume": "shop_db"}, "target": "/data"}


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return described(tmp_path)


def described(root: Path) -> Place:
    """A shop that keeps data and a site that does not, neither of which runs yet."""
    here = place(root, Docker())
    here.write("shop", SERVICES, routes=[ROUTE], backups=[JOB])
    here.write("site", {"web": SERVICES["web"] | {"depends": ""}}, routes=[ROUTE | {"host": "example.com"}])
    return here


def become(here: Place, part: str) -> Answer:
    host = here.host()
    try:
        answer = takeover.become(host, part)
    finally:
        host.state.close()
    assert not answer.errors
    return answer


def running(here: Place) -> set[str]:
    return {
        f"{box.stack}/{box.service}"
        for box in here.docker.boxes.values()
        if box.status == "running" and box.stack != "proxy"
    }


def route(here: Place, stack: str) -> str:
    return (here.layout.routes / f"{stack}.yml").read_text()


ALL = {"shop/web", "shop/db", "shop/mailer", "site/web"}


def test_standby_runs_no_worker_and_has_no_way_out_until_it_takes_over(here: Place) -> None:
    become(here, "standby")
    assert here.docker.closed and running(here) == {"shop/db", "site/web"}
    assert here.docker.of("shop") == ["shop-db-1"], "no one-shot ran on data that is still to come"
    assert not here.apply().changed, "as it should be, for a standby"
    assert not become(here, "standby").changed
    become(here, "trial")
    assert here.docker.closed and running(here) == ALL - {"shop/mailer"}
    assert "shop-seed-1" in here.docker.of("shop")
    become(here, "standby")
    assert running(here) == {"shop/db", "site/web"}
    become(here, "serving")
    assert not here.docker.closed and running(here) == ALL - {"shop/mailer"}
    become(here, "active")
    assert running(here) == ALL and not here.layout.lifecycle.exists()
    assert not here.apply().changed


def test_frozen_keeps_databases_and_what_keeps_no_data(here: Place) -> None:
    assert not here.apply().errors
    before = {box.name: box.identity for box in here.docker.boxes.values()}
    become(here, "frozen")
    assert running(here) == {"shop/db", "site/web"}
    assert "maintenance.html" in route(here, "shop") and "http://shop-web" not in route(here, "shop")
    assert "http://site-web-1" in route(here, "site")
    assert not here.apply().changed
    become(here, "active")
    assert running(here) == ALL and "http://shop-web-1" in route(here, "shop")
    assert {box.name: box.identity for box in here.docker.boxes.values()} == before, "nothing is made anew"


def test_a_boot_keeps_the_part(here: Place) -> None:
    assert not here.apply().errors
    become(here, "frozen")
    here.docker.cut_power()
    assert not here.boot().errors
    assert running(here) == {"shop/db", "site/web"}


def test_a_release_that_comes_to_a_standby_runs_no_worker_either(here: Place) -> None:
    become(here, "standby")
    newer = {name: {**each, "image": f"{name}:2"} for name, each in SERVICES.items()}
    deploy = {"before": [{"service": name, "command": ["go"]} for name in ("web", "mailer")]}
    here.write("shop", newer, routes=[ROUTE], backups=[JOB], version="2", deploy=deploy)
    assert not here.apply().errors
    assert running(here) == {"shop/db", "site/web"} and not here.docker.ran
    become(here, "trial")
    assert [service for service, _ in here.docker.ran] == ["web"]
    become(here, "active")
    assert running(here) == ALL


def test_only_a_new_host_begins_as_a_standby(here: Place) -> None:
    assert not here.apply().errors
    with pytest.raises(DroverError, match="this host is active and has stacks"):
        become(here, "standby")
    assert running(here) == ALL and not here.docker.closed


@pytest.mark.parametrize("to", ["frozen", "active"])
def test_killed_anywhere_and_run_again_it_ends_the_same(tmp_path: Path, to: str) -> None:
    def prepared(root: Path) -> Place:
        here = described(root)
        assert not here.apply().errors
        if to == "active":
            become(here, "frozen")
        here.docker.changes = 0
        return here

    for point, here, whole in killed_anywhere(tmp_path, prepared, act=lambda here: become(here, to)):
        become(here, to)
        assert here.state("shop") == whole.state("shop"), point
        assert not here.apply().changed, point


def test_killed_anywhere_a_standby_never_had_a_worker_or_a_way_out(tmp_path: Path) -> None:
    def prepared(root: Path) -> Place:
        here = described(root)
        here.docker.changes = 0

        def closed() -> None:
            outside = [box for box in here.docker.boxes.values() if is_client(box)]
            assert here.docker.closed or not outside

        def is_client(box: Box) -> bool:
            return box.stack != "proxy" and box.status == "running"

        here.docker.watching = closed
        return here

    for point, here, _ in killed_anywhere(tmp_path, prepared, act=lambda here: become(here, "standby")):
        become(here, "standby")
        assert running(here) == {"shop/db", "site/web"}, point


def test_a_part_that_nobody_knows_is_told(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    lifecycle.note(layout, PARTS["frozen"])
    assert lifecycle.of(layout).name == "frozen"
    layout.lifecycle.write_text("retired\n")
    with pytest.raises(DroverError, match="found 'retired'; write one of active, standby, trial,"):
        lifecycle.of(layout)


@pytest.mark.parametrize("name", ["standby", "trial", "serving", "frozen"])
def test_only_the_generation_in_service_saves(tmp_path: Path, name: str) -> None:
    layout = Layout(tmp_path)
    lifecycle.need_saves(layout, "the other one does")
    lifecycle.note(layout, PARTS[name])
    with pytest.raises(DroverError, match=r"^this host is .*; the other one does$"):
        lifecycle.need_saves(layout, "the other one does")
