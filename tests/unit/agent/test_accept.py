"""What the controller tells becomes wanted, all or nothing; one stack's trouble stays its own."""

from __future__ import annotations

import io
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from docker_model import Place, runs_by
from drover import cli, disk, layout, prune, status
from drover.run import DroverError
from drover.state import Row, State

pytestmark = pytest.mark.usefixtures("fast")
APP = {"app": {"image": "app:1"}}
NEW = {"app": {"image": "app:2"}}
GONE = {"state": "absent", "data": "keep"}


@pytest.fixture
def two(here: Place) -> Place:
    """The stacks `blog` and `shop` as the controller puts them there: without `wanted`."""
    told = [here.told(name, here.write(name, APP, wanted=False)) for name in ("blog", "shop")]
    assert not here.apply(told).errors
    return here


def new(here: Place, *names: str) -> list[dict[str, Any]]:
    return [here.told(name, here.write(name, NEW, wanted=False)) for name in names]


def links(here: Place, name: str) -> tuple[str, str]:
    return here.link(name, "wanted"), here.link(name, "current")


def lines(here: Place) -> dict[str, list[str]]:
    return {line["name"]: line["problems"] for line in status.status(here.host(write=False))["stacks"]}


def events(here: Place) -> list[str]:
    return [key for (key,) in here.host().state.db.execute("SELECT key FROM events ORDER BY key")]


# Told


def test_what_is_told_becomes_wanted_and_runs(two: Place) -> None:
    told = new(two, "shop")
    assert [step.text for step in two.apply(told).plans["shop"].steps] == [
        "replace app: image app:1 → app:2 (start-first)"
    ]
    assert links(two, "shop") == (told[0]["release"],) * 2
    assert not two.apply(told).changed and not two.apply().changed


def test_wanted_is_set_before_the_first_step(two: Place) -> None:
    told = new(two, "shop")
    two.docker.ends["app"] = 3
    assert two.apply(told).errors
    assert two.link("shop", "wanted") == told[0]["release"] != two.link("shop", "current")


def test_missing_release_is_the_error_of_its_stack_only(two: Place) -> None:
    told = new(two, "blog", "shop")
    (two.layout.release("shop", told[1]["release"]) / "manifest.json").unlink()
    before = links(two, "shop")
    answer = two.apply(told)
    assert len(answer.errors) == 1 and answer.errors[0].startswith("shop: ")
    assert links(two, "shop") == before and two.link("blog", "current") == told[0]["release"]


def test_stack_that_goes_is_unwanted_before_it_is_removed(
    two: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise DroverError("Docker: no")

    with monkeypatch.context() as patch:
        patch.setattr("drover.remove._must", fails)
        assert two.apply([{"stack": "shop", **GONE}]).errors
    assert two.link("shop", "wanted") == "" != two.link("shop", "current")
    assert not two.apply().errors
    assert not two.docker.of("shop")


def test_dry_run_moves_no_link_and_needs_no_release(two: Place) -> None:
    before = links(two, "shop")
    told = {**new(two, "shop")[0], "release": "0" * 16}
    answer = two.apply([told], check=True)
    assert answer.changed and not answer.errors
    assert links(two, "shop") == before


def test_unlisted_are_named_when_all_were_told_and_only_then(two: Place) -> None:
    shop = two.told("shop", two.link("shop", "wanted"))
    assert two.apply([shop], complete=True).data()["unlisted"] == ["blog"]
    assert two.apply([shop], complete=True, check=True).unlisted == ("blog",)
    assert two.apply([], complete=True).unlisted == ("blog", "shop")
    assert two.apply([shop]).unlisted == () == two.apply().unlisted


def drover(
    here: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: str, *words: str
) -> tuple[int, dict[str, Any]]:
    runs_by(monkeypatch, here.docker)
    monkeypatch.setattr("sys.stdin", io.StringIO(told))
    code = cli.main(["--root", str(here.layout.root), "apply", "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def test_no_stack_at_all_applies_nothing_and_names_what_runs(
    two: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    two.docker.named("shop-app-1").status = "exited"
    code, found = drover(two, monkeypatch, capsys, "[]", "--manifests=-", "--all")
    assert (code, found["changed"], found["stacks"]) == (0, False, {})
    assert found["unlisted"] == ["blog", "shop"]
    assert two.docker.named("shop-app-1").status == "exited"


def test_all_applies_what_was_told_and_nothing_else(
    two: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    two.docker.named("shop-app-1").status = "exited"
    code, found = drover(two, monkeypatch, capsys, json.dumps(new(two, "blog")), "--manifests=-", "--all")
    assert (code, set(found["stacks"]), found["unlisted"]) == (0, {"blog"}, ["shop"])
    with pytest.raises(SystemExit, match="2"):
        drover(two, monkeypatch, capsys, "", "--all")


ROUTE = {"host": "a.example.com", "path": "/", "service": "app", "port": 80, "health": None}
PUBLIC = {"app": {"image": "app:1", "public": True}}


@pytest.fixture
def old(two: Place) -> Place:
    """The stack `old` has a route."""
    release = two.write("old", PUBLIC, routes=[ROUTE], wanted=False)
    assert not two.apply([two.told("old", release)]).errors
    return two


@pytest.mark.parametrize("lost", ["nothing", "route", "manifest"])
@pytest.mark.parametrize("check", [False, True])
def test_route_of_an_unlisted_stack_is_not_taken(old: Place, lost: str, check: bool) -> None:
    if lost == "route":
        (old.layout.routes / "old.yml").unlink()
    if lost == "manifest":
        (old.layout.stack("old") / "current" / "manifest.json").write_text("{")
    told = [
        old.told("renamed", old.write("renamed", PUBLIC, routes=[ROUTE], wanted=False)),
        *new(old, "blog", "shop"),
    ]
    before = old.docker.changes
    answer = old.apply(told, complete=True, check=check)
    assert answer.errors == [
        "renamed: a.example.com/ leads to old, which runs here and is not in the inventory: "
        "write {name: old, state: absent} to take it away"
    ]
    assert not answer.changed and answer.unlisted == ("old",)
    assert old.docker.changes == before and old.link("shop", "wanted") != told[2]["release"]
    assert bool(events(old)) != check
    assert not old.apply([*told, {"stack": "old", **GONE}], complete=True, check=check).errors


def test_another_path_of_the_host_may_be_used(old: Place) -> None:
    route = {**ROUTE, "path": "/api"}
    told = [old.told("api", old.write("api", PUBLIC, routes=[route], wanted=False))]
    assert not old.apply(told, complete=True, only=frozenset(["api"])).errors


# Trouble of one stack


@pytest.mark.parametrize("trouble", ["rejected", "damaged"])
def test_boot_brings_the_others(two: Place, trouble: str) -> None:
    for name in ("blog", "shop"):
        two.docker.boxes.pop(two.docker.named(f"{name}-app-1").identity)
    if trouble == "rejected":
        two.docker.rejects = {"blog": "no"}
    else:
        (two.layout.stack("blog") / "current" / "manifest.json").write_text("{")
    answer = two.boot()
    assert len(answer.errors) == 1 and answer.errors[0].startswith("blog: ")
    assert two.docker.named("shop-app-1").status == "running"
    assert not two.docker.of("blog")
    assert len(events(two)) == 1


def test_boot_needs_no_wanted(two: Place) -> None:
    (two.layout.stack("blog") / "wanted").unlink()
    (two.layout.stack("shop") / "wanted").unlink()
    (two.layout.stack("shop") / "wanted").mkdir()
    assert not two.boot().changed
    assert two.docker.of("blog") and two.docker.of("shop")
    assert lines(two)["blog"] == ["it shall go and is still here"]


@pytest.mark.parametrize("which", ["wanted", "current"])
def test_what_is_no_link_never_removes_a_stack(two: Place, which: str) -> None:
    path = two.layout.stack("shop") / which
    path.unlink()
    path.mkdir()
    with pytest.raises(DroverError, match="is not a link"):
        layout.link(path)
    answer = two.apply(new(two, "blog"))
    assert len(answer.errors) == 1 and answer.errors[0].startswith("shop: ")
    assert two.docker.of("shop") and two.docker.named("blog-app-2").image == "app:2"
    assert any("is not a link" in text for text in lines(two)["shop"])


@pytest.mark.parametrize("link", ["wanted", "current"])
def test_full_disk_fails_one_stack(two: Place, monkeypatch: pytest.MonkeyPatch, link: str) -> None:
    real = disk.point

    def point(path: Path, target: str) -> None:
        if path == two.layout.stack("blog") / link:
            raise OSError(28, "No space left on device")
        real(path, target)

    monkeypatch.setattr(disk, "point", point)
    told = new(two, "blog", "shop")
    answer = two.apply(told)
    assert len(answer.errors) == 1 and "blog: [Errno 28]" in answer.errors[0]
    assert two.link("shop", "current") == told[1]["release"]


@pytest.mark.parametrize("what", ["record", "record_applied"])
def test_full_disk_at_the_record_fails_one_stack(
    two: Place, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    real = getattr(State, what)

    def record(self: State, first: Row | str, *rest: Any) -> None:
        if "blog" in (first, getattr(first, "stack", "")):
            raise sqlite3.OperationalError("database or disk is full")
        real(self, first, *rest)

    monkeypatch.setattr(State, what, record)
    told = new(two, "blog", "shop")
    answer = two.apply(told)
    assert len(answer.errors) == 1 and "disk is full" in answer.errors[0]
    assert two.link("shop", "current") == told[1]["release"]


# Retired secrets


def test_retired_secrets_go_with_the_last_release_that_reads_them(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = here.layout.secrets("shop")
    old = {"app/key": "1", "app/old": "2", "gone/key": "3", "gone.env": "T=4"}
    env = str(secrets / "gone.env")
    services = {"app": {"image": "app:1"}, "gone": {"image": "app:1", "env_file": env}}
    here.apply([here.told("shop", here.write("shop", services, secrets=old, wanted=False))])
    told = [
        here.told("shop", here.write("shop", NEW, secrets={"app/key": "1", "app/new": "2"}, wanted=False))
    ]
    here.docker.ends["app"] = 3
    assert here.apply(told).errors
    assert (secrets / "app/old").exists() and (secrets / "gone.env").exists()
    here.docker.ends.clear()
    here.host().state.forget("shop")
    assert not here.boot().errors
    assert (secrets / "app/old").exists() and (secrets / "app/new").exists()
    assert not here.apply(told).errors
    assert (secrets / "app/old").exists(), "a rollback would need it"
    here.host().state.forget("shop")
    monkeypatch.setattr(prune, "KEEP", 1)
    monkeypatch.setattr(prune, "YOUNG", -1.0)
    assert not here.apply(told).errors
    assert sorted(str(path.relative_to(secrets)) for path in secrets.rglob("*")) == [
        "app",
        "app/key",
        "app/new",
    ]
    (app,) = here.docker.of("shop")
    started = here.docker.named(app).started
    time.sleep(0.01)
    (secrets / "app/stray").write_text("")
    (secrets / "app/stray").unlink()
    assert not here.apply(told).changed
    assert here.docker.named(app).started == started


# Going


@pytest.mark.parametrize("data", ["keep", "delete"])
def test_removal_takes_what_lies_about(two: Place, data: str) -> None:
    folder = two.layout.stack("shop")
    (folder / "data").mkdir()
    (folder / "data/file").write_text("kept")
    (folder / "notes.txt").write_text("stray")
    (folder / "stray").mkdir()
    (folder / "stray/file").write_text("stray")
    (folder / "away").symlink_to(folder / "data")
    told = [{"stack": "shop", "state": "absent", "data": data}]
    assert not two.apply(told).errors
    left = sorted(path.name for path in folder.rglob("*"))
    assert left == (["data", "file"] if data == "keep" else [])
    assert not two.apply(told).changed


def test_current_goes_last(two: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[str] = []
    monkeypatch.setattr(disk, "remove", lambda path: gone.append(path.name) or path.unlink(missing_ok=True))
    for number in range(20):
        (two.layout.stack("shop") / f"stray{number}").write_text("")
    two.apply([{"stack": "shop", **GONE}])
    assert len(gone) > 20 and gone[-1] == "current"


# The proxy's way


def test_proxy_joins_what_the_manifest_says(here: Place) -> None:
    told = here.told("shop", here.write("shop", {"app": {"image": "app:1", "public": True}}, wanted=False))
    root = here.layout.release("shop", told["release"]) / "manifest.json"
    here.apply([told])
    assert "shop_public" not in here.docker.named("proxy-traefik-1").networks
    root.write_text(json.dumps({**told, "networks": ["shop_public"]}))
    assert [step.kind for step in here.apply([told]).plans["shop"].steps] == ["connect"]
    assert "shop_public" in here.docker.named("proxy-traefik-1").networks
