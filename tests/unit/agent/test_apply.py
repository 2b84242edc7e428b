"""What apply does to a host: convergence, exactness, failures, and the cost of having nothing to do."""

from __future__ import annotations

import configparser
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker_model import Docker, Killed, Place, killed_anywhere, place, runs_by
from drover import cli, proxy, routes, watch
from drover.docker import observe
from drover.layout import Layout
from drover.release import Manifest, Proxy
from drover.route import Route
from drover.run import DroverError, Result

WEB: dict[str, Any] = {
    "image": "web:1",
    "public": True,
    "depends": "migrate:service_completed_successfully:false,db:service_healthy:false",
}
DB: dict[str, Any] = {"image": "db:1", "health": "healthy", "volume": True}
MIGRATE: dict[str, Any] = {"image": "web:1", "oneshot": True}
pytestmark = pytest.mark.usefixtures("fast")
SHOP: dict[str, dict[str, Any]] = {"web": WEB, "db": DB, "migrate": MIGRATE}
ROUTE = {"host": "shop.example.com", "path": "/", "service": "web", "port": 80, "health": None}


@pytest.fixture
def shop(here: Place) -> Place:
    here.write("shop", SHOP, routes=[ROUTE], secrets={"web/password": "old"})
    assert not here.apply().errors
    here.docker.commands.clear()
    return here


def starts(here: Place) -> dict[str, float]:
    return {box.name: box.started for box in here.docker.boxes.values()}


def restarted(before: dict[str, float], here: Place) -> set[str]:
    return {name for name, moment in starts(here).items() if before.get(name) != moment}


def test_first_apply_brings_everything(shop: Place) -> None:
    assert shop.docker.of("shop") == ["shop-db-1", "shop-migrate-1", "shop-web-1"]
    assert shop.docker.named("shop-web-1").started > shop.docker.named("shop-migrate-1").started > 0
    assert "shop_public" in shop.docker.named("proxy-traefik-1").networks
    route = yaml.safe_load((shop.layout.routes / "shop.yml").read_text())
    assert route["http"]["services"]["shop-0"]["loadBalancer"]["servers"] == [{"url": "http://shop-web-1:80"}]
    assert (shop.layout.stack("shop") / "current").readlink() == (
        shop.layout.stack("shop") / "wanted"
    ).readlink()


def test_second_apply_does_nothing_and_costs_three_commands_whatever_the_number_of_stacks(
    shop: Place,
) -> None:
    for number in range(10):
        shop.write(f"app{number}", {"app": {"image": "app:1"}})
    assert shop.apply().changed
    before = starts(shop)
    shop.docker.commands.clear()
    answer = shop.apply()
    assert not answer.changed and not answer.errors and answer.before == answer.after == ""
    assert [command[1] for command in shop.docker.commands] == ["ps", "inspect", "list"]
    assert starts(shop) == before


def test_only_what_changed_is_made_anew_and_a_finished_one_shot_does_not_run_again(shop: Place) -> None:
    before = starts(shop)
    shop.write("shop", {**SHOP, "web": {**WEB, "image": "web:2"}}, routes=[ROUTE], version="2")
    answer = shop.apply()
    assert [step.text for step in answer.plans["shop"].steps] == [
        "replace web: image web:1 → web:2 (start-first)",
        "change the route of shop.example.com",
    ]
    assert restarted(before, shop) == {"shop-web-2"} and "shop-web-1" not in starts(shop)
    assert not shop.apply().changed


def test_changed_one_shot_runs_before_what_waits_for_it(shop: Place) -> None:
    shop.write(
        "shop",
        {"web": {**WEB, "image": "web:2"}, "db": DB, "migrate": {**MIGRATE, "image": "web:2"}},
        routes=[ROUTE],
    )
    before = starts(shop)
    shop.apply()
    assert restarted(before, shop) == {"shop-web-2", "shop-migrate-2"}
    assert shop.docker.named("shop-migrate-2").started < shop.docker.named("shop-web-2").started


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_rotated_secret_file_concerns_its_reader_only(here: Place, order: str) -> None:
    """Beside the old one where both can run; else a restart is enough."""
    here.write("shop", {**SHOP, "web": {**WEB, "order": order}}, secrets={"web/password": "old"})
    here.apply()
    before = starts(here)
    here.secret("shop", "web/password", "new")
    beside = order == "start-first"
    assert [step.kind for step in here.apply().plans["shop"].steps] == ["create" if beside else "restart"]
    assert restarted(before, here) == {"shop-web-2" if beside else "shop-web-1"}
    assert not here.apply().changed


def test_secret_from_the_future_restarts_once(shop: Place) -> None:
    shop.secret("shop", "web/password", "new")
    os.utime(shop.layout.secrets("shop") / "web/password", (time.time() + 3600,) * 2)
    assert shop.apply().changed
    assert not shop.apply().changed


@pytest.mark.parametrize("content", ["TOKEN=2", "TOKEN=1"], ids=["rotated", "only touched"])
def test_newer_secret_environment_makes_its_reader_anew_once(here: Place, content: str) -> None:
    here.secret("shop", "web.env", "TOKEN=1")
    env = str(here.layout.secrets("shop") / "web.env")
    here.write("shop", {"web": {"image": "web:1", "env_file": env}, "other": {"image": "other:1"}})
    here.apply()
    before = starts(here)
    here.secret("shop", "web.env", content)
    assert here.apply().changed
    assert restarted(before, here) == {"shop-web-2"}
    assert not here.apply().changed


def drifts() -> dict[str, Any]:
    def set_box(which: str, **values: Any) -> Any:
        return lambda docker: vars(docker.named(which)).update(values)

    def remove(name: str) -> Any:
        return lambda docker: docker.boxes.pop(docker.named(name).identity)

    def double(docker: Docker) -> None:
        docker._make("shop", "web", WEB, "0123456789ab_shop-web-1", 1)

    def orphan(docker: Docker) -> None:
        docker._make("shop", "old", DB, "shop-old-1", 1)

    def network(docker: Docker) -> None:
        docker.named("shop-web-1").status = "exited"
        docker.networks.discard("shop_public")

    return {
        "stopped": (set_box("shop-web-1", status="exited", code=137), "it ended with 137"),
        "paused": (set_box("shop-web-1", status="paused"), "it was paused"),
        "removed": (remove("shop-web-1"), "start web: web:1"),
        "dead": (set_box("shop-web-1", status="dead"), "Docker left it dead"),
        "another configuration": (set_box("shop-web-1", hash="0" * 64), "it is not as it was applied"),
        "not made by Compose": (set_box("shop-web-1", hash=""), "Compose did not make it"),
        "cut off": (
            lambda docker: docker.named("shop-web-1").networks.discard("shop_default"),
            "cut off from shop_default",
        ),
        "proxy cut off": (
            lambda docker: docker.named("proxy-traefik-1").networks.discard("shop_public"),
            "connect proxy-traefik-1 to shop_public",
        ),
        "left under another name": (
            set_box("shop-web-1", name="0123456789ab_shop-web-1"),
            "left by an interrupted recreate",
        ),
        "left beside": (double, "remove 0123456789ab_shop-web-1"),
        "orphan": (orphan, "the release has no service old"),
        "one-shot removed": (remove("shop-migrate-1"), "run migrate"),
        "one-shot cut off by a power cut": (
            set_box("shop-migrate-1", status="exited", code=255),
            "it ended with 255",
        ),
        "proxy removed": (remove("proxy-traefik-1"), "start traefik"),
        "network removed": (network, "start shop-web-1"),
    }


@pytest.mark.parametrize("drift", drifts())
@pytest.mark.parametrize("way", ["apply", "boot"])
def test_drift_is_healed_with_its_reason(shop: Place, drift: str, way: str) -> None:
    good = shop.state("shop")
    damage, reason = drifts()[drift]
    damage(shop.docker)
    answer = shop.apply() if way == "apply" else shop.boot()
    assert reason in "\n".join(step.text for plan in answer.plans.values() for step in plan.steps)
    assert not answer.errors
    assert shop.state("shop") == good
    assert not shop.apply().changed


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_route_file_is_put_right(shop: Place, damage: str) -> None:
    path = shop.layout.routes / "shop.yml"
    good = path.read_text()
    path.unlink() if damage == "removed" else path.write_text("broken")
    assert [step.kind for step in shop.apply().plans["shop"].steps] == ["route"]
    assert path.read_text() == good
    assert sorted(each.name for each in path.parent.iterdir()) == ["shop.yml"]


def test_proxy_is_connected_before_the_route_leads_there(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[bool] = []
    real = routes.write

    def write(layout: Layout, stack: str, content: str, run: Any = None) -> None:
        connected.append("shop_public" in here.docker.named("proxy-traefik-1").networks)
        real(layout, stack, content, run)

    monkeypatch.setattr(routes, "write", write)
    here.write("shop", SHOP, routes=[ROUTE])
    here.apply()
    assert connected == [True]


def test_route_that_the_proxy_would_stumble_over_is_never_written(here: Place) -> None:
    routes.write(
        here.layout,
        "shop",
        proxy.render(
            Manifest("shop", routes=(Route("shop.example.com", "/", "web", 80, None),)),
            {"web": ["shop-web-1"]},
        ),
    )
    before = (here.layout.routes / "shop.yml").read_text()
    with pytest.raises(DroverError, match="stumble"):
        routes.write(here.layout, "shop", before.replace("rule", "ruel"))
    assert (here.layout.routes / "shop.yml").read_text() == before


# Failures


def test_failed_stack_keeps_current_names_service_and_hides_secrets_while_others_are_applied(
    shop: Place,
) -> None:
    current = shop.state("shop")["current"]
    shop.docker.ends["web"] = 3
    shop.docker.logs["web"] = "cannot log in with hunter2-secret\nbye"
    shop.write(
        "shop",
        {**SHOP, "web": {**WEB, "image": "web:2"}},
        routes=[ROUTE],
        secrets={"web/password": "hunter2-secret"},
    )
    shop.write("blog", {"app": {"image": "blog:1"}})
    answer = shop.apply()
    assert answer.errors == [
        "shop/web: ended with 3; version 1 serves on\n  | cannot log in with ***\n  | bye"
    ]
    assert answer.failed == {"shop"}
    assert shop.state("shop")["current"] == current
    assert (
        shop.docker.named("blog-app-1").status == "running"
        and (shop.layout.stack("blog") / "current").is_symlink()
    )
    host = shop.host()
    assert [title for (title,) in host.state.db.execute("SELECT title FROM events")] == [
        "shop could not be applied"
    ]
    assert "hunter2" not in "\n".join(host.state.db.iterdump())


def test_failed_one_shot_keeps_back_what_waits_for_it(here: Place) -> None:
    here.docker.ends["migrate"] = 4
    here.write("shop", SHOP, routes=[ROUTE])
    assert here.apply().errors == ["shop/migrate: ended with 4"]
    assert here.docker.named("shop-web-1").status == "created"
    here.docker.ends.clear()
    assert not here.apply().errors
    assert here.docker.named("shop-web-1").status == "running"


def test_one_that_never_gets_healthy_is_named_after_the_deadline(here: Place) -> None:
    here.write("shop", {"db": {**DB, "health": "starting"}})
    assert here.apply().errors == ["shop/db: not well after 0 s: shop-db-1 is starting"]


def test_release_that_compose_rejects_changes_nothing_of_its_stack(shop: Place) -> None:
    before = starts(shop)
    shop.docker.rejects = {"shop": "services.web: unknown key imagee"}
    shop.write("shop", {**SHOP, "web": {**WEB, "image": "web:2"}}, routes=[ROUTE])
    shop.write("good", {"app": {"image": "good:1"}})
    answer = shop.apply()
    assert answer.errors == ["shop: Compose: services.web: unknown key imagee; version 1 serves on"]
    assert starts(shop).items() >= before.items() and shop.docker.named("good-app-1").status == "running"


@pytest.mark.parametrize("gone", ["web/token", "web.env"])
def test_missing_secret_changes_nothing_of_its_stack(shop: Place, gone: str) -> None:
    folder = shop.layout.secrets("shop")
    reads = {**WEB, "image": "web:2", "env_file": str(folder / "web.env")}
    secrets = {"web/token": "x", "web.env": "x=y"}
    shop.write("shop", {**SHOP, "web": reads}, routes=[ROUTE], secrets=secrets)
    (folder / gone).unlink()
    before = starts(shop)
    missing = f"{folder / gone} is missing; run the playbook, which puts it there"
    assert shop.apply().errors == [f"shop: {missing}; version 1 serves on"]
    assert starts(shop) == before


def test_missing_image_changes_nothing_of_its_stack(shop: Place) -> None:
    before = starts(shop)
    shop.write("shop", {**SHOP, "web": {**WEB, "image": "web:9"}}, routes=[ROUTE])
    del shop.docker.images["web:9"]
    missing = "image web:9 is not here and could not be pulled: manifest unknown"
    assert shop.apply().errors == [f"shop: {missing}; version 1 serves on"]
    assert starts(shop) == before


def test_unreadable_manifest_is_an_error_of_its_stack_only(shop: Place) -> None:
    shop.write("blog", {"app": {"image": "blog:1"}})
    (shop.layout.stack("shop") / "wanted" / "manifest.json").write_text("{")
    answer = shop.apply()
    assert len(answer.errors) == 1 and answer.errors[0].startswith("shop: ")
    assert shop.docker.of("blog") == ["blog-app-1"]


def test_boot_brings_back_what_ran_and_not_what_failed(shop: Place) -> None:
    good = shop.state("shop")
    shop.docker.ends["web"] = 3
    shop.write("shop", {**SHOP, "web": {**WEB, "image": "web:2"}}, routes=[ROUTE])
    assert shop.apply().errors
    shop.docker.ends.clear()
    assert not shop.boot().errors
    assert shop.state("shop") == good


# Docker dies


def told_of(here: Place) -> tuple[set[str], set[str]]:
    """Stacks whose last line of history is a failure, and stacks of which an event tells."""
    host = here.host()
    keys = [key for (key,) in host.state.db.execute("SELECT key FROM events WHERE severity = 'failure'")]
    failed = {row.stack for row in host.state.last().values() if row.result == "failed"}
    return failed, {key.split(":")[1] for key in keys}


@pytest.mark.parametrize("word", ["create", "start", "connect", "ps", "inspect"])
def test_engine_that_dies_is_recorded_and_told_for_every_stack_that_was_pending(
    here: Place, word: str
) -> None:
    told = []
    for name in ("blog", "shop"):
        route = {**ROUTE, "host": f"{name}.example.com"}
        told.append(here.told(name, here.write(name, SHOP, routes=[route], wanted=False)))
    here.docker.dies_before = word
    answer = here.apply(told, only=frozenset(["blog", "shop"]))
    assert answer.errors
    assert told_of(here) == ({"blog", "shop"}, {"blog", "shop"})
    assert answer.changed == (word not in ("ps", "inspect"))
    assert here.link("shop", "wanted") == told[1]["release"]
    here.docker.dies_before, here.docker.dead = "", False
    assert not here.apply(told).errors
    assert told_of(here)[0] == set()


def test_engine_that_dies_while_the_stacks_start(shop: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "observe", dies(shop.docker))
    shop.write("blog", {"app": {"image": "blog:1"}})
    answer = shop.apply()
    assert answer.changed and len(answer.errors) == 1 and "blog: Docker does not answer" in answer.errors[0]
    assert told_of(shop) == ({"blog"}, {"blog"})


def test_proxy_that_could_not_be_connected_anew_is_told_of(
    shop: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.docker.named("proxy-traefik-1").status = "exited"
    monkeypatch.setattr("drover.apply.observe", dies(shop.docker))
    assert shop.apply().errors == ["proxy: Docker does not answer: Cannot connect to the Docker daemon"]
    assert told_of(shop) == ({"proxy"}, {"proxy"})


def dies(docker: Docker) -> Any:
    """`observe`, which finds the engine gone."""

    def look(run: Any) -> Any:
        docker.dead = True
        return observe(run)

    return look


def test_answer_of_docker_that_was_cut_off_is_no_traceback(shop: Place) -> None:
    shop.docker._inspect = lambda words: Result(1, "[{", "")  # type: ignore[method-assign,assignment,return-value]
    assert "Docker does not answer" in shop.apply().errors[0]


def test_boot_without_docker_tells_of_it_and_hides_secrets(
    shop: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.secret("shop", "web/password", "hunter2-secret")
    monkeypatch.setattr(cli, "DOCKER_SECONDS", 0.0)
    runs_by(monkeypatch, lambda *_, **__: Result(1, "", "no hunter2-secret"))
    assert cli.main(["--root", str(shop.layout.root), "boot"]) == 1
    said = capsys.readouterr().err
    assert "no ***" in said and "hunter2" not in said
    ((key, body),) = shop.host().state.db.execute("SELECT key, body FROM events")
    assert key == "docker" and body.endswith("no ***")


def test_boot_is_tried_again_and_not_for_ever() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.read(Path(cli.__file__).parents[1] / "etc/systemd/system/drover-boot.service")
    assert unit["Service"]["Restart"] == "on-failure"
    once = cli.DOCKER_SECONDS + float(unit["Service"]["RestartSec"])
    assert unit["Unit"]["StartLimitIntervalSec"] == "1h"
    assert once * int(unit["Unit"]["StartLimitBurst"]) < 3600


# Moving


@pytest.fixture
def moving(shop: Place) -> list[dict[str, Any]]:
    """The host name of the shop becomes the blog's, which was there before; what the host is told."""
    blog, other = {"app": {"image": "blog:1", "public": True}}, {**ROUTE, "host": "other.example.com"}
    shop.write("blog", blog, routes=[{**other, "service": "app"}])
    assert not shop.apply().errors
    newer = {"app": {**blog["app"], "image": "blog:2"}}  # which takes longer than the shop's route alone
    told = {
        "shop": shop.write("shop", SHOP, routes=[{**ROUTE, "host": "new.example.com"}], wanted=False),
        "blog": shop.write("blog", newer, routes=[{**ROUTE, "service": "app"}], wanted=False),
    }
    return [shop.told(*each) for each in told.items()]


def leads(here: Place, host: str) -> set[str]:
    return {path.stem for path in here.layout.routes.iterdir() if f'"{host}"' in path.read_text()}


def test_host_name_that_moves_always_leads_somewhere(shop: Place, moving: list[dict[str, Any]]) -> None:
    seen: list[set[str]] = []
    shop.docker.watching = lambda: seen.append(leads(shop, "shop.example.com"))
    real = routes.write

    def write(*arguments: Any) -> None:
        real(*arguments)
        seen.append(leads(shop, "shop.example.com"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routes, "write", write)
        assert not shop.apply(moving).errors
    assert all(seen) and seen[-1] == {"blog"} and leads(shop, "new.example.com") == {"shop"}


def test_host_name_stays_where_it_was_if_who_gains_it_fails(
    shop: Place, moving: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("drover.finish.lead", lambda *_: (_ for _ in ()).throw(DroverError("no")))
        errors = shop.apply(moving).errors
    assert len(errors) == 2 and "shop.example.com/ goes to blog, which did not get there" in errors[1]
    assert leads(shop, "shop.example.com") == {"shop"}
    assert not shop.apply(moving).errors and leads(shop, "shop.example.com") == {"blog"}


def test_host_name_that_one_stack_alone_can_have_moves_in_two_runs(
    shop: Place, moving: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drover.wishes.proxy", lambda *_: Proxy("nginx"))
    assert not shop.apply().errors
    changes, wanted = shop.docker.changes, shop.link("shop", "wanted")
    errors = shop.apply(moving).errors
    assert len(errors) == 2 and all("shop.example.com goes from shop to blog" in each for each in errors)
    assert "first of shop alone (playbooks/deploy.yml -e stack=shop)" in errors[0]
    assert (shop.docker.changes, shop.link("shop", "wanted")) == (changes, wanted)
    assert not shop.apply(moving[:1], only=frozenset(["shop"])).errors
    assert not shop.apply(moving).errors and leads(shop, "shop.example.com") == {"blog"}


# Going


def gone(data: str) -> dict[str, Any]:
    return {"stack": "shop", "state": "absent", "data": data}


@pytest.mark.parametrize("data", ["keep", "delete"])
@pytest.mark.parametrize("without_release", [False, True])
def test_absent_stack_goes_and_its_data_as_told(shop: Place, data: str, without_release: bool) -> None:
    (shop.layout.stack("shop") / "data").mkdir()
    (shop.layout.stack("shop") / "data" / "file").write_text("kept")
    if without_release:
        (shop.layout.stack("shop") / "wanted").unlink()
        import shutil

        shutil.rmtree(shop.layout.stack("shop") / "releases")
    assert not shop.apply([gone(data)]).errors
    assert not shop.docker.of("shop") and shop.docker.networks == {"public", "proxy_default", "proxy_public"}
    assert not (shop.layout.routes / "shop.yml").exists()
    assert bool(shop.docker.volumes) == (data == "keep")
    left = (
        [path.name for path in shop.layout.stack("shop").iterdir()]
        if shop.layout.stack("shop").exists()
        else []
    )
    assert left == (["data"] if data == "keep" else [])
    again = shop.apply([gone(data)])
    assert not again.changed and not again.errors
    assert [row.action for row in shop.host().state.last().values() if row.stack == "shop"] == ["remove"]


def test_data_kept_first_can_be_deleted_later(shop: Place) -> None:
    shop.apply([gone("keep")])
    assert shop.apply([gone("delete")]).changed
    assert not shop.docker.volumes


def test_stack_whose_wish_was_taken_away_goes_without_being_told_again(shop: Place) -> None:
    (shop.layout.stack("shop") / "wanted").unlink()
    assert shop.apply().changed
    assert not shop.docker.of("shop") and shop.docker.volumes


# Dry runs


def test_dry_run_says_the_same_and_touches_nothing(here: Place, tmp_path: Path) -> None:
    here.write("shop", SHOP, routes=[ROUTE])
    changes = here.docker.changes
    files = sorted(str(path) for path in tmp_path.rglob("*"))
    dry = here.apply(check=True)
    assert here.docker.changes == changes and sorted(str(path) for path in tmp_path.rglob("*")) == files
    assert [step.text for step in dry.plans["shop"].steps] == [
        step.text for step in here.apply().plans["shop"].steps
    ]


def test_dry_run_foresees_a_rotation(shop: Place) -> None:
    shop.secret("shop", "web/password", "old")
    shop.apply()
    path = str(shop.layout.secrets("shop") / "web" / "password")
    answer = shop.apply(check=True, touched=frozenset([path]))
    assert [step.text for step in answer.plans["shop"].steps] == [
        "replace web: a secret is newer than its start (start-first)",
        "change the route of shop.example.com",
    ]


# Killed


def scenario(root: Path) -> Place:
    """Everything at once: a changed service, a changed one-shot, a rotation, a new stack, one that goes."""
    here = place(root, Docker())
    here.write("shop", SHOP, routes=[ROUTE], secrets={"db/password": "old"})
    here.write(
        "old",
        {"app": {"image": "old:1", "public": True}},
        routes=[{**ROUTE, "host": "old.example.com", "service": "app"}],
    )
    assert not here.apply().errors
    services = {
        "web": {**WEB, "image": "web:2", "replicas": 2},
        "db": DB,
        "migrate": {**MIGRATE, "image": "web:2"},
    }
    here.write("shop", services, routes=[ROUTE], secrets={"db/password": "new"}, version="2")
    here.write(
        "new",
        {"app": {"image": "new:1", "public": True}},
        routes=[{**ROUTE, "host": "new.example.com", "service": "app"}],
    )
    here.docker.changes = 0
    return here


OLD = {"stack": "old", "state": "absent", "data": "keep"}


def ends(here: Place) -> dict[str, Any]:
    return {name: here.state(name) for name in ("shop", "new", "old")}


def test_killed_anywhere_and_run_again_it_ends_the_same(tmp_path: Path) -> None:
    for point, here, whole in killed_anywhere(tmp_path, scenario, [OLD]):
        assert not here.apply([OLD]).errors, point
        assert ends(here) == ends(whole), point
        assert not here.apply([OLD]).changed, point


@pytest.mark.parametrize(
    "function",
    [
        "drover.routes.write",
        "drover.disk.point",
        "drover.disk.remove",
        "drover.state.State.record_applied",
        "drover.state.State.record",
        "drover.state.State.forget",
    ],
)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_round_a_write_and_run_again_it_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, moment: str
) -> None:
    whole = scenario(tmp_path / "whole")
    whole.apply([OLD])
    here = scenario(tmp_path / "killed")
    module, _, name = function.rpartition(".")
    with monkeypatch.context() as patch:
        owner: Any = __import__("importlib").import_module(
            module if module != "drover.state.State" else "drover.state"
        )
        owner = owner.State if module == "drover.state.State" else owner
        real = getattr(owner, name)

        def killed(*arguments: Any, **named: Any) -> None:
            if moment == "after":
                real(*arguments, **named)
            raise Killed

        patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            here.apply([OLD])
    assert not here.apply([OLD]).errors
    assert ends(here) == ends(whole)
    assert not here.apply([OLD]).changed
