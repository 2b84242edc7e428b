"""How one stack's containers are replaced: in which order, what a failure leaves, what a kill leaves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from docker_model import Box, Docker, Killed, Place, killed_anywhere, place
from drover import commands, deploy, finish, routes, start, watch, wishes
from drover.release import Manifest, Proxy
from drover.run import Result

pytestmark = pytest.mark.usefixtures("fast")
Services = dict[str, dict[str, Any]]
ROUTE = {"host": "shop.example.com", "path": "/", "service": "web", "port": 80, "health": None}
WEB: dict[str, Any] = {"image": "web:1", "public": True}
DB: dict[str, Any] = {"image": "db:1", "order": "stop-first", "volume": True}
SHOP: Services = {"web": {**WEB, "depends": "db:service_started:false"}, "db": DB, "job": {"image": "job:1"}}


def version(services: Services, tag: str, *names: str) -> Services:
    """The services, those named with another image."""
    return {
        name: {**each, "image": f"{name}:{tag}"} if name in names else each for name, each in services.items()
    }


@pytest.fixture
def shop(here: Place) -> Place:
    here.write("shop", SHOP, routes=[ROUTE])
    assert not here.apply().errors
    here.docker.commands.clear()
    return here


def change(here: Place, services: Services, tag: str = "2", **more: Any) -> str:
    return here.write("shop", services, routes=[ROUTE], version=tag, **more)


def actions(here: Place) -> list[str]:
    """What was done to containers of the shop, and when the route changed."""
    names = {box.identity: box.name for box in here.docker.boxes.values()}
    found = []
    for words in here.docker.commands:
        if words[1] in ("start", "stop", "rm", "update"):
            known = [names.get(word, "gone") for word in words[2:] if not word.startswith("-")]
            found.append(f"{words[1]} {' '.join(known)}")
        elif words[0] == "route":
            found.append("route")
    return found


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch, docker: Docker) -> None:
    """Changes of routes stand among the commands."""
    real = routes.write

    def write(*arguments: Any) -> None:
        docker.commands.append(["route", "-"])
        real(*arguments)

    monkeypatch.setattr(routes, "write", write)


def boxes(here: Place) -> dict[str, tuple[str, str]]:
    return {box.name: (box.image, box.status) for box in here.docker.boxes.values() if box.stack == "shop"}


def servers(here: Place) -> list[str]:
    file = yaml.safe_load((here.layout.routes / "shop.yml").read_text())
    return [each["url"] for each in file["http"]["services"]["shop-0"]["loadBalancer"]["servers"]]


# Order


@pytest.mark.usefixtures("noted")
def test_new_beside_old_then_the_route_then_the_old_stops(shop: Place) -> None:
    old = shop.docker.named("shop-web-1").identity[:6]
    change(shop, version(SHOP, "2", "web"))
    assert not shop.apply().errors
    assert actions(shop) == ["start shop-web-2", "route", "stop gone", "rm gone"]
    assert servers(shop) == ["http://shop-web-2:80"]
    assert not any(box.identity.startswith(old) for box in shop.docker.boxes.values())


@pytest.mark.usefixtures("noted")
def test_what_cannot_run_twice_stops_just_before_its_successor_starts(shop: Place) -> None:
    change(shop, version(SHOP, "2", "web", "db"))
    answer = shop.apply()
    assert [step.text for step in answer.plans["shop"].steps] == [
        "replace web: image web:1 → web:2 (start-first)",
        "replace db: image db:1 → db:2 (stop-first)",
        "change the route of shop.example.com",
    ]
    assert actions(shop) == [
        "update gone", "stop gone", "start shop-db-2", "start shop-web-2", "route",
        "stop gone gone", "rm gone gone",
    ]  # fmt: skip


def test_replicas_are_replaced_together_and_scaled_through_the_route(shop: Place) -> None:
    def scaled(count: int, tag: str) -> Services:
        return version({**SHOP, "web": {**SHOP["web"], "replicas": count}}, tag, "web")

    for count, tag, steps in (
        (3, "1", "start 2 of 3 web: web:1"),
        (3, "2", "replace web: image web:1 → web:2 (start-first)"),
        (1, "2", "remove shop-web-5: 1 wanted"),
    ):
        change(shop, scaled(count, tag), f"{count}-{tag}")
        answer = shop.apply()
        assert not answer.errors and answer.plans["shop"].steps[0].text == steps
        assert len(servers(shop)) == count
        assert [image for image, _ in boxes(shop).values()].count(f"web:{tag}") == count
        assert not shop.apply().changed


def test_service_that_went_is_removed_after_the_route_changed(shop: Place) -> None:
    change(shop, {"web": WEB})
    answer = shop.apply()
    texts = [step.text for step in answer.plans["shop"].steps]
    assert "remove shop-db-1: the release has no service db" in texts
    assert [name for name in boxes(shop) if "web" not in name] == []


def test_renamed_database_stops_before_its_successor_starts(shop: Place) -> None:
    change(shop, {"web": SHOP["web"], "job": SHOP["job"], "postgres": DB})
    old = shop.docker.named("shop-db-1")
    seen: list[str] = []
    real = Docker._start

    def begin(docker: Docker, words: list[str]) -> Result:
        seen.append(old.status)
        return real(docker, words)

    shop.docker._start = begin.__get__(shop.docker)  # type: ignore[method-assign]
    assert not shop.apply().errors
    assert seen == ["exited"]


@pytest.mark.usefixtures("noted")
def test_container_with_a_nameless_volume_is_renewed_in_its_place(here: Place) -> None:
    keeping = {"web": {**WEB, "keeps": True}}
    here.write("shop", keeping, routes=[ROUTE])
    here.apply()
    here.docker.commands.clear()
    change(here, version(keeping, "2", "web"))
    answer = here.apply()
    assert [step.text for step in answer.plans["shop"].steps] == [
        "replace web: image web:1 → web:2 (in-place)"
    ]
    assert boxes(here) == {"shop-web-1": ("web:2", "running")}
    assert not here.apply().changed


def test_image_that_keeps_data_without_a_name_comes_back_in_its_place(here: Place) -> None:
    keeping = {"web": {**WEB, "keeps": True}}
    here.write("shop", keeping, routes=[ROUTE])
    here.apply()
    fails_from(here.docker, "web:2")
    change(here, version(keeping, "2", "web"))
    assert here.apply().errors == ["shop/web: ended with 3; version 1 serves on"]
    assert boxes(here) == {"shop-web-1": ("web:1", "running")}


def test_way_back_renews_nothing_that_the_release_before_has_not(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deploy was killed that had begun a service whose containers are renewed in their place."""

    def dies(self: deploy.Deploy, seconds: float) -> None:
        raise KeyboardInterrupt

    keeping = {"web": WEB, "kept": {"image": "kept:1", "keeps": True}}
    here.write("shop", {"web": WEB}, routes=[ROUTE])
    here.apply()
    web = here.docker.named("shop-web-1").identity
    change(here, version(keeping, "2", "web"))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(deploy.Deploy, "_stay_well", dies)
        here.apply()
    fails_from(here.docker, "web:3")
    change(here, version(keeping, "3", "web", "kept"), "3")
    assert here.apply().errors == ["shop/web: ended with 3; version 1 serves on"]
    assert boxes(here) == {"shop-web-1": ("web:1", "running")}
    assert here.docker.boxes[web].status == "running"


# Commands


BEFORE = {"service": "web", "command": ["./manage", "migrate it"]}
AFTER = {"service": "job", "command": ["warm", "up"]}


def test_commands_run_once_for_a_release_at_their_moments(shop: Place) -> None:
    change(shop, version(SHOP, "2", "web"), deploy={"before": [BEFORE], "after": [AFTER]})
    answer = shop.apply()
    assert [step.text for step in answer.plans["shop"].steps] == [
        "before web starts: ./manage 'migrate it'",
        "replace web: image web:1 → web:2 (start-first)",
        "change the route of shop.example.com",
        "after it serves, in job: warm up",
    ]
    assert shop.docker.ran == [("web", "./manage migrate it"), ("job", "warm up")]
    order = [words[1] if words[1] != "compose" else words[-1] for words in shop.docker.commands]
    assert order.index("migrate it") < order.index("start") < order.index("stop") < order.index("up")
    assert not shop.docker.commands_left and not shop.apply().changed
    shop.docker.boxes.pop(shop.docker.named("shop-web-2").identity)
    assert not shop.apply().errors
    assert len(shop.docker.ran) == 2


def test_failed_migration_changes_nothing_and_is_tried_again(shop: Place) -> None:
    before = shop.state("shop")
    shop.docker.ends["./manage migrate it"] = 7
    shop.docker.logs["./manage migrate it"] = "table shop: locked"
    change(shop, version(SHOP, "2", "web"), deploy={"before": [BEFORE]})
    assert shop.apply().errors == [
        "shop/web: the command before the deploy ended with 7: ./manage 'migrate it'; version 1 serves on\n"
        "  | table shop: locked"
    ]
    assert shop.state("shop") == before and not shop.docker.commands_left
    shop.docker.ends.clear()
    assert not shop.apply().errors and servers(shop) == ["http://shop-web-2:80"]


def test_failed_command_after_the_deploy_is_told_and_run_again(shop: Place) -> None:
    shop.docker.ends["warm up"] = 1
    release = change(shop, version(SHOP, "2", "web"), deploy={"after": [AFTER]})
    (error,) = shop.apply().errors
    assert error == "shop/job: the command after the deploy ended with 1: warm up"
    assert shop.link("shop", "current") == release and servers(shop) == ["http://shop-web-2:80"]
    shop.docker.ends.clear()
    assert not shop.apply().errors and not shop.apply().changed
    assert len(shop.docker.ran) == 2


@pytest.mark.parametrize(("status", "runs"), [("running", 0), ("exited", 0), ("created", 1)])
def test_command_of_a_run_that_was_killed_is_not_run_twice(shop: Place, status: str, runs: int) -> None:
    release = change(shop, version(SHOP, "2", "web"), deploy={"before": [BEFORE]})
    shop.docker.commands_left[f"shop-web-before-0-{release}"] = (status, 0)
    assert not shop.apply().errors
    assert len(shop.docker.ran) == runs and not shop.docker.commands_left


def migrating(shop: Place) -> str:
    """A migration of a run that was killed still runs; the name of its container."""
    release = change(shop, version(SHOP, "2", "web"), deploy={"before": [BEFORE]})
    name = f"shop-web-before-0-{release}"
    shop.docker.commands_left[name] = ("running", 0)
    return name


@pytest.mark.parametrize("away", ["wait", "inspect"])
def test_engine_that_restarts_neither_kills_a_migration_nor_runs_it_twice(
    shop: Place, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    """With live-restore the container lives on, and whoever waits for it is told an error."""
    monkeypatch.setattr(commands, "PAUSE", 0.0)
    name, fails = migrating(shop), iter([True, True])
    real, removed = getattr(Docker, f"_{away}"), Docker._rm

    def answer(docker: Docker, words: list[str]) -> str | Result:
        gone = words[-1] == name and next(fails, False)
        return Result(1, "", "Cannot connect to the Docker daemon") if gone else real(docker, words)

    def rm(docker: Docker, words: list[str]) -> str:
        assert docker.commands_left.get(words[-1], ("exited", 0))[0] == "exited"
        return removed(docker, words)

    monkeypatch.setattr(Docker, f"_{away}", answer)
    monkeypatch.setattr(Docker, "_rm", rm)
    assert not shop.apply().errors
    assert not shop.docker.ran and not shop.docker.commands_left


def test_migration_that_takes_too_long_is_left_to_run_and_waited_for_again(
    shop: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = migrating(shop)
    with monkeypatch.context() as patch:
        patch.setattr(commands, "LIMIT", 0.0)
        (error,) = shop.apply().errors
    assert "still runs after 0 minutes" in error and "version 1 serves on" in error
    assert shop.docker.commands_left == {name: ("running", 0)}
    assert not shop.apply().errors
    assert not shop.docker.ran and not shop.docker.commands_left


# Failures


def fails_from(docker: Docker, image: str, after: Callable[[Box], None] | None = None) -> None:
    """Containers of this image end with 3, or what `after` does to them."""
    real = Docker._start

    def begin(docker: Docker, words: list[str]) -> Result:
        done = real(docker, words)
        box = docker.boxes.get(words[-1])
        if box and box.image == image:
            if after:
                after(box)
            else:
                box.status, box.code = "exited", 3
        return done

    docker._start = begin.__get__(docker)  # type: ignore[method-assign]


def unhealthy(box: Box) -> None:
    box.health = "unhealthy"


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (None, "shop/web: ended with 3; version 1 serves on"),
        (unhealthy, "shop/web: is unhealthy; version 1 serves on"),
        (
            lambda box: vars(box).update(health="starting"),
            "shop/web: not well after 0 s: shop-web-2 is starting; version 1 serves on",
        ),
    ],
    ids=["crashes", "unhealthy", "never healthy"],
)
def test_bad_image_leaves_the_host_as_it_was(shop: Place, after: Any, reason: str) -> None:
    before, identities = shop.state("shop"), set(shop.docker.boxes)
    fails_from(shop.docker, "web:2", after)
    change(shop, version(SHOP, "2", "web"))
    for _ in range(2):
        assert shop.apply().errors == [reason]
        assert shop.state("shop") == before and set(shop.docker.boxes) == identities
    host = shop.host()
    assert host.state.db.execute("SELECT count(*) FROM events").fetchone() == (1,)


def test_database_that_cannot_start_gives_way_to_the_old_one(shop: Place) -> None:
    shop.docker.named("shop-db-1").restart = "always"
    fails_from(shop.docker, "db:2")
    change(shop, version(SHOP, "2", "web", "db"))
    assert shop.apply().errors == ["shop/db: ended with 3; version 1 serves on"]
    assert boxes(shop) == {
        "shop-web-1": ("web:1", "running"),
        "shop-db-1": ("db:1", "running"),
        "shop-job-1": ("job:1", "running"),
    }
    assert shop.docker.named("shop-db-1").restart == "always"


def falls(here: Place, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new container falls in the soak or while the old one finishes."""
    real = deploy.Deploy._stay_well

    def stay(self: deploy.Deploy, seconds: float) -> None:
        if seconds == {"soak": 1, "drain": 2}[moment]:
            assert "shop-web-2" in boxes(here) and "shop-web-1" in boxes(here)
            raise start.StackError("fell", "web")
        real(self, 0.0)

    monkeypatch.setattr(deploy.Deploy, "_stay_well", stay)


@pytest.fixture
def nginx(shop: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Behind a proxy that still leads some requests by the old route."""
    monkeypatch.setattr(wishes, "proxy", lambda *_: Proxy("nginx"))
    assert not shop.apply().errors
    return shop


def test_old_ones_stay_for_connections_that_the_proxy_still_leads_to_them(
    nginx: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    stayed: list[float] = []
    monkeypatch.setattr(deploy.Deploy, "_stay_well", lambda _, seconds: stayed.append(seconds))
    times = {"soak": 0, "drain": 1}
    two = {**SHOP, "web": {**SHOP["web"], "replicas": 2}}
    for services, seconds in (
        (version(two, "2", "web"), 5),
        (version(SHOP, "2", "web"), 5),
        (version(SHOP, "2", "web", "job"), 1),
    ):
        change(nginx, services, deploy=times)
        assert not nginx.apply().errors
        assert stayed[-1] == seconds
    change(nginx, version(SHOP, "3", "web"), "3", deploy={"drain": 9})
    assert not nginx.apply().errors and stayed[-1] == 9


def test_new_ones_that_were_led_to_stay_for_a_moment_when_the_old_ones_come_back(
    nginx: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def falls(_: deploy.Deploy, seconds: float) -> None:
        if seconds:
            raise start.StackError("fell", "web")

    def pause(_: watch.Watch, seconds: float) -> None:
        file = (nginx.layout.routes / "shop.conf").read_text()
        if seconds > 1:
            paused.append((seconds, "shop-web-2" in boxes(nginx), "server shop-web-1:80" in file))

    paused: list[tuple[float, bool, bool]] = []
    monkeypatch.setattr(deploy.Deploy, "_stay_well", falls)
    monkeypatch.setattr(watch.Watch, "pause", pause)
    change(nginx, version(SHOP, "2", "web"))
    assert nginx.apply().errors == ["shop/web: fell; version 1 serves on"]
    assert paused == [(5, True, True)] and "shop-web-2" not in boxes(nginx)
    fails_from(nginx.docker, "web:3")
    change(nginx, version(SHOP, "3", "web"), "3")
    assert nginx.apply().errors == ["shop/web: ended with 3; version 1 serves on"]
    assert len(paused) == 1, "nobody was led to it"


@pytest.mark.parametrize("moment", ["soak", "drain"])
def test_one_that_falls_before_the_old_is_gone_gives_way_to_it(
    shop: Place, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shop.state("shop")
    falls(shop, moment, monkeypatch)
    change(shop, version(SHOP, "2", "web"), deploy={"soak": 1, "drain": 2})
    assert shop.apply().errors == ["shop/web: fell; version 1 serves on"]
    assert shop.state("shop") == before and servers(shop) == ["http://shop-web-1:80"]
    assert not any("shop-web-2" in name for name in boxes(shop))


def test_restart_in_the_soak_is_a_failure(shop: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "POLL", (0.01,))
    looks = iter(range(100))
    real = Docker._ps

    def ps(docker: Docker, words: list[str]) -> str:
        for box in docker.boxes.values():
            if box.image == "web:2" and next(looks) > 3:
                box.started = time.time()
        return real(docker, words)

    shop.docker._ps = ps.__get__(shop.docker)  # type: ignore[method-assign]
    change(shop, version(SHOP, "2", "web"), deploy={"soak": 1})
    assert shop.apply().errors == ["shop/web: was well, and fell within 1 s; version 1 serves on"]


@pytest.mark.parametrize(("looking", "looks"), [(9.0, 2), (0.01, 4)], ids=["a busy host", "a quiet one"])
def test_soak_is_looked_at_until_it_is_over_however_long_looks_take(
    monkeypatch: pytest.MonkeyPatch, looking: float, looks: int
) -> None:
    """One look may take longer than the whole soak; where it does not, there are several."""
    now, seen = [100.0], list[float]()

    def look() -> list[Any]:
        seen.append(now[0])
        now[0] += looking
        return [SimpleNamespace(identity="a", service="web", started=float(len(seen) >= looks))]

    def pause(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(start.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(start, "_judged", lambda *_: SimpleNamespace(well=True))
    patient = cast("watch.Watch", SimpleNamespace(pause=pause))
    with pytest.raises(start.StackError, match="was well, and fell within 2 s"):
        start.stay_well(Manifest("shop"), patient, look, 0.0, 2.0, lambda _: True)
    assert len(seen) == looks


def test_proxy_that_never_takes_the_route_keeps_the_old_one(
    shop: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shop.state("shop")
    monkeypatch.setattr(finish, "await_proxy", lambda *_: False)
    change(shop, version(SHOP, "2", "web"))
    (error,) = shop.apply().errors
    assert error == "shop: the proxy does not go by the new route after 15 s; version 1 serves on"
    assert shop.state("shop") == before


def test_first_release_that_fails_stays_to_be_looked_at(here: Place) -> None:
    here.docker.ends["web"] = 3
    here.write("shop", {"web": WEB}, routes=[ROUTE])
    assert here.apply().errors == ["shop/web: ended with 3"]
    assert boxes(here) == {"shop-web-1": ("web:1", "exited")}


def test_what_two_failed_deploys_left_is_gone_with_the_third(shop: Place) -> None:
    """Version 2 was killed when its container was made, version 3 fails: version 1 alone is left."""
    before = shop.state("shop")
    change(shop, version(SHOP, "2", "web"))
    shop.docker.kill_after = shop.docker.changes + 1
    with pytest.raises(Killed):
        shop.apply()
    shop.docker.kill_after = None
    assert boxes(shop)["shop-web-2"] == ("web:2", "created")
    fails_from(shop.docker, "web:3")
    change(shop, version(SHOP, "3", "web"), "3")
    assert shop.apply().errors == ["shop/web: ended with 3; version 1 serves on"]
    assert shop.state("shop") == before


def test_killed_between_route_and_link_and_then_failing_the_old_one_is_led_to(
    shop: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shop.state("shop")

    def killed(*_: Any) -> None:
        raise Killed

    change(shop, version(SHOP, "2", "web"))
    with monkeypatch.context() as patch:
        patch.setattr(finish, "stand", killed)
        with pytest.raises(Killed):
            shop.apply()
    assert servers(shop) == ["http://shop-web-2:80"]
    shop.docker.named("shop-web-2").status = "exited"
    fails_from(shop.docker, "web:2")
    assert shop.apply().errors == ["shop/web: ended with 3; version 1 serves on"]
    assert shop.state("shop") == before


@pytest.mark.parametrize("trouble", ["image", "secret"])
def test_what_is_missing_touches_nothing_that_would_go_in_place(here: Place, trouble: str) -> None:
    services = {"web": WEB, "kept": {"image": "kept:1", "keeps": True}}
    here.write("shop", services, routes=[ROUTE])
    here.apply()
    identities = set(here.docker.boxes)
    secrets = {"web/key": "x"} if trouble == "secret" else {}
    change(here, version(services, "2", "web", "kept"), secrets=secrets)
    if trouble == "image":
        del here.docker.images["web:2"]
    else:
        (here.layout.secrets("shop") / "web/key").unlink()
    assert "is missing" in here.apply().errors[0] or trouble == "image"
    assert set(here.docker.boxes) == identities


def test_volume_that_moves_to_another_service_has_one_writer(here: Place) -> None:
    here.write("shop", {"web": {**WEB, "order": "stop-first"}}, routes=[ROUTE])
    here.apply()
    change(here, {"web": {**WEB, "image": "web:2"}, "db": DB})
    seen: list[str] = []
    real = Docker._start
    old = here.docker.named("shop-web-1")

    def begin(docker: Docker, words: list[str]) -> Result:
        if docker.boxes[words[-1]].service == "db":
            seen.append(old.status)
        return real(docker, words)

    here.docker._start = begin.__get__(here.docker)  # type: ignore[method-assign]
    assert not here.apply().errors
    assert seen == ["exited"]


def test_dependency_of_what_goes_in_place_goes_with_it(here: Place) -> None:
    """Compose would make it anew at once, unasked."""
    services = {
        "kept": {"image": "kept:1", "keeps": True, "depends": "api:service_started:false"},
        "api": {"image": "api:1"},
    }
    here.write("shop", services)
    here.apply()
    here.write("shop", version(services, "2", "kept", "api"), version="2")
    answer = here.apply()
    assert [step.text for step in answer.plans["shop"].steps] == [
        "replace kept: image kept:1 → kept:2 (in-place)",
        "replace api: image api:1 → api:2 (in-place)",
    ]
    assert set(boxes(here)) == {"shop-kept-1", "shop-api-1"}


def test_in_place_and_one_less(here: Place) -> None:
    kept = {"kept": {"image": "kept:1", "keeps": True, "replicas": 2}}
    here.write("shop", kept)
    here.apply()
    here.write("shop", {"kept": {**kept["kept"], "image": "kept:2", "replicas": 1}}, version="2")
    assert not here.apply().errors
    assert boxes(here) == {"shop-kept-1": ("kept:2", "running")}
    assert not here.apply().changed


def test_one_that_was_missing_before_does_not_spoil_the_way_back(here: Place) -> None:
    two = {"web": {**WEB, "replicas": 2}}
    here.write("shop", two, routes=[ROUTE])
    here.apply()
    here.docker.boxes.pop(here.docker.named("shop-web-2").identity)
    fails_from(here.docker, "web:2")
    change(here, version(two, "2", "web"))
    assert here.apply().errors == ["shop/web: ended with 3; version 1 serves on"]


def test_commands_run_when_what_they_may_need_has_started(here: Place) -> None:
    services = {"app": {"image": "app:1"}, "mongo": {"image": "mongo:1", "keeps": True}}
    here.write("shop", services)
    here.apply()
    status: list[str] = []
    real = Docker._run

    def run(docker: Docker, words: list[str]) -> Result:
        status.append(docker.named("shop-mongo-1").status)
        return real(docker, words)

    here.docker._run = run.__get__(here.docker)  # type: ignore[method-assign]
    deploy = {"before": [{"service": "app", "command": ["migrate"]}]}
    here.write("shop", version(services, "2", "app", "mongo"), version="2", deploy=deploy)
    assert not here.apply().errors
    assert status == ["running"]


def test_proxy_is_connected_to_every_stack_before_it_starts(shop: Place) -> None:
    ports = {"80/tcp": "0.0.0.0:80"}
    shop.write("proxy", {"traefik": {"image": "traefik:v4", "order": "stop-first", "ports": ports}})
    seen: list[set[str]] = []
    real = Docker._start

    def begin(docker: Docker, words: list[str]) -> Result:
        seen.append(set(docker.boxes[words[-1]].networks))
        return real(docker, words)

    shop.docker._start = begin.__get__(shop.docker)  # type: ignore[method-assign]
    assert not shop.apply().errors
    assert seen == [{"proxy_default", "public", "shop_public"}]


def test_secret_in_the_last_words_of_a_container_is_hidden(shop: Place) -> None:
    shop.secret("shop", "web/password", "hunter2-secret")
    box = shop.docker.named("shop-job-1")
    box.status, box.error = "exited", "auth failed for hunter2-secret"
    answer = shop.apply()
    assert answer.changed and "hunter2" not in json.dumps(answer.data())
    assert "hunter2" not in "\n".join(shop.host().state.db.iterdump())


# Killed


def scenario(root: Path) -> Place:
    """All orders at once: beside, first, in place, a job with commands, one more replica, one that goes."""
    here = place(root, Docker())
    services = {
        **SHOP,
        "kept": {"image": "kept:1", "keeps": True},
        "gone": {"image": "gone:1"},
        "once": {"image": "once:1", "oneshot": True},
    }
    here.write("shop", services, routes=[ROUTE])
    assert not here.apply().errors
    del services["gone"]
    services["web"] = {**services["web"], "replicas": 2}
    deploy = {"before": [BEFORE], "after": [AFTER]}
    change(here, version(services, "2", "web", "db", "kept", "once"), deploy=deploy)
    here.docker.changes = 0
    return here


@pytest.mark.parametrize("then", ["apply", "boot and apply"])
def test_killed_anywhere_and_run_again_it_ends_the_same(tmp_path: Path, then: str) -> None:
    for point, here, whole in killed_anywhere(tmp_path, scenario):
        if then != "apply":
            here.docker.cut_power()
            assert not here.boot().errors, point
        assert not here.apply().errors, point
        assert here.state("shop") == whole.state("shop"), point
        assert not here.docker.commands_left and {*here.docker.ran} == {*whole.docker.ran}, point
        assert not here.apply().changed, point


def test_boot_in_the_middle_brings_back_what_stood(tmp_path: Path) -> None:
    """Before the route has changed the old release stands: what came of the new one goes."""
    before = scenario(tmp_path / "before")
    for point, here, _ in killed_anywhere(tmp_path, scenario):
        here.docker.cut_power()
        assert not here.boot().errors, point
        if here.link("shop", "current") == before.link("shop", "current"):
            assert here.state("shop") == before.state("shop"), point
