"""Which part a host has among its generations: what runs by it, and what a kill between two parts leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docker_model import Box, Docker, Place, killed_anywhere, place
from drover import lifecycle, outside, takeover
from drover.apply import Answer
from drover.backups import backup
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
AT_REST = {"shop/db"}


def test_standby_runs_no_worker_and_has_no_way_out_until_it_takes_over(here: Place) -> None:
    become(here, "standby")
    assert here.docker.closed and running(here) == AT_REST
    assert here.docker.of("shop") == ["shop-db-1"], "no one-shot ran on data that is still to come"
    assert not here.apply().changed, "as it should be, for a standby"
    assert not become(here, "standby").changed
    become(here, "trial")
    assert here.docker.closed and running(here) == ALL - {"shop/mailer"}
    assert "shop-seed-1" in here.docker.of("shop")
    become(here, "standby")
    assert running(here) == AT_REST
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
    deploy = {"before": [{"service": name, "command": ["go"]} for name in ("web", "mailer")]}
    here.write("shop", newer(), routes=[ROUTE], backups=[JOB], version="2", deploy=deploy)
    assert not here.apply().errors
    assert running(here) == AT_REST and not here.docker.ran
    become(here, "trial")
    assert [service for service, _ in here.docker.ran] == ["web"]
    become(here, "active")
    assert running(here) == ALL


AFTER = {"service": "web", "command": ["tell"]}


def test_what_follows_a_deploy_waits_until_the_host_serves(here: Place) -> None:
    """A trial tells nobody; and it is told once."""
    become(here, "standby")
    here.write("shop", SERVICES, routes=[ROUTE], backups=[JOB], version="2", deploy={"after": [AFTER]})
    assert not here.apply().errors
    become(here, "trial")
    become(here, "standby")
    assert not here.docker.ran
    become(here, "serving")
    become(here, "active")
    become(here, "frozen")
    become(here, "active")
    assert [service for service, _ in here.docker.ran] == ["web"]


def test_a_backup_before_a_deploy_is_the_other_generations(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "every", lambda *_: pytest.fail("it would be the newest of the repository"))
    become(here, "standby")
    become(here, "trial")
    here.write("shop", newer(), routes=[ROUTE], backups=[JOB], version="2", deploy={"backup": True})
    assert not here.apply().errors
    assert running(here) == ALL - {"shop/mailer"}


def newer() -> dict[str, dict[str, Any]]:
    return {name: {**each, "image": f"{name}:2"} for name, each in SERVICES.items()}


def test_nothing_new_begins_on_a_frozen_host(here: Place) -> None:
    assert not here.apply().errors
    become(here, "frozen")
    here.write("shop", newer(), routes=[ROUTE], backups=[JOB], version="2")
    assert "this host is frozen" in here.apply().errors[0]
    assert here.docker.named("shop-db-1").image == "db:1"


def test_a_deploys_command_that_still_runs_holds_up_the_freeze(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its deploy was killed; what it does to the data would be in no backup."""
    assert not here.apply().errors
    name = "shop-web-before-0-0123456789abcdef"
    real = here.docker._ps
    monkeypatch.setattr(
        here.docker, "_ps", lambda words: name if "oneoff" in " ".join(words) else real(words), raising=False
    )
    with pytest.raises(DroverError, match=f"{name} still runs"):
        become(here, "frozen")
    assert running(here) == ALL


def test_a_stack_that_is_not_well_without_the_outside_is_not_tried(here: Place) -> None:
    here.write("site", {"web": SERVICES["web"] | {"depends": ""}}, routes=[ROUTE], trial=False)
    become(here, "standby")
    become(here, "trial")
    assert running(here) == {"shop/db", "shop/web"}
    become(here, "serving")
    assert running(here) == ALL - {"shop/mailer"} and not here.docker.closed


def test_a_stack_on_the_private_network_rests_with_those_that_keep_data(here: Place) -> None:
    here.write("site", {"web": SERVICES["web"] | {"depends": ""}}, routes=[ROUTE], private=True)
    assert not here.apply().errors
    become(here, "frozen")
    assert running(here) == {"shop/db"}


def test_who_stays_between_two_parts_is_told(here: Place) -> None:
    lifecycle.note(here.layout, PARTS["serving"])
    since = here.layout.lifecycle.stat().st_mtime
    assert not lifecycle.stuck(here.layout, since + 3599)
    assert lifecycle.stuck(here.layout, since + 7300).startswith(
        "this host is taking over from another one, for 2 h"
    )
    lifecycle.note(here.layout, PARTS["active"])
    assert not lifecycle.stuck(here.layout, since + 7300)


def test_a_way_out_that_somebody_opened_is_closed_again(here: Place) -> None:
    become(here, "standby")
    here.docker.closed = False  # a flush of all rules
    assert not here.apply().errors
    assert here.docker.closed


def test_the_way_out_is_closed_whatever_the_uplink_is() -> None:
    assert 'oifname { "br0", "ens5" } ct state new' in outside.rules({"ens5", "br0"})
    assert "oifname" not in outside.rules(())


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
        assert running(here) == AT_REST, point


def test_a_part_that_nobody_knows_is_told(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    lifecycle.note(layout, PARTS["frozen"])
    assert lifecycle.of(layout).name == "frozen"
    layout.lifecycle.write_text("gone\n")
    with pytest.raises(DroverError, match="found 'gone'; write one of active, standby, trial,"):
        lifecycle.of(layout)


@pytest.mark.parametrize("name", [each for each in PARTS if each != "active"])
def test_only_the_generation_in_service_saves(tmp_path: Path, name: str) -> None:
    layout = Layout(tmp_path)
    lifecycle.need_saves(layout, "the other one does")
    lifecycle.note(layout, PARTS[name])
    with pytest.raises(DroverError, match=r"^this host is .*; the other one does$"):
        lifecycle.need_saves(layout, "the other one does")


def test_a_frozen_host_alone_saves_once_more(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for part in PARTS.values():
        lifecycle.note(layout, part)
        if part.name in (lifecycle.ACTIVE, lifecycle.FROZEN):
            lifecycle.need_saves(layout, "the other one does", last=True)
            continue
        with pytest.raises(DroverError, match="the other one does"):
            lifecycle.need_saves(layout, "the other one does", last=True)


@pytest.mark.parametrize(
    ("before", "tag", "after"),
    [
        ("active", "retired", "retired"),
        ("frozen", "retired", "retired"),
        ("retired", "", "retired"),  # nobody answered
        ("retired", "standby", "retired"),
        ("retired", "active", "active"),
        ("frozen", "active", "frozen"),  # a rebuild is under way
        ("standby", "standby", "standby"),
        ("active", "", "active"),
    ],
)
def test_who_was_replaced_learns_of_it_at_a_boot(tmp_path: Path, before: str, tag: str, after: str) -> None:
    layout = Layout(tmp_path)
    lifecycle.note(layout, PARTS[before])
    lifecycle.heed(layout, tag)
    assert lifecycle.of(layout).name == after
    assert ("go back" in lifecycle.stuck(layout, 0.0)) == (after == "retired")


@pytest.mark.parametrize("name", [*PARTS])
def test_only_a_frozen_hosts_data_stays_as_it_is(tmp_path: Path, name: str) -> None:
    layout = Layout(tmp_path)
    lifecycle.note(layout, PARTS[name])
    if name == "frozen":
        with pytest.raises(DroverError, match=r"this host is frozen: .*; its data stays as it is"):
            lifecycle.need_changes(layout)
    else:
        lifecycle.need_changes(layout)
