"""What stands in the way of a restore or an import, and when that is said; as far as that needs no Docker."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from drover.arguments import parser
from drover.backups import arrivals, choice, clients, importing, jobs, place, restore, room, verbs
from drover.backups.backup import Outcome
from drover.backups.ledger import Complete
from drover.backups.restic import Snapshot
from drover.backups.undo import undo
from drover.host import Host
from drover.layout import Layout
from drover.release import Job as Wanted
from drover.release import Manifest, Service
from drover.run import DroverError, Result
from drover.state import State

SERVICE = Service("d1", "postgres:17.5", oneshot=False, replicas=1, health=None, uid=None)
FOLDER = jobs.Job(Manifest("shop"), Wanted("media/large", jobs.FILES, folder="media/large"))
VOLUME = jobs.Job(Manifest("shop"), Wanted("uploads", jobs.FILES, volume="shop_uploads"))
DATABASE = jobs.Job(
    Manifest("shop", services={"db": SERVICE}), Wanted("db", "postgres", "db", volume="shop_uploads")
)


class Docker:
    """Volumes by name; nothing else can be asked."""

    def __init__(self) -> None:
        self.volumes = dict[str, dict[str, Any]]()

    def __call__(self, command: Sequence[str], **_: object) -> Result:
        assert command[:3] == ["docker", "volume", "inspect"], command
        found = self.volumes.get(command[3])
        return Result(0, json.dumps([found]), "") if found else Result(1, "", "no such volume")


@pytest.fixture
def docker() -> Docker:
    return Docker()


@pytest.fixture
def host(tmp_path: Path, docker: Docker) -> Host:
    layout = Layout(tmp_path)
    folder = layout.stack("shop") / "data/media/large"
    folder.mkdir(parents=True)
    (folder / "one").write_text("x")
    volume = tmp_path / "var/lib/docker/volumes/shop_uploads/_data"
    volume.mkdir(parents=True)
    (volume / "one").write_text("x")
    docker.volumes["shop_uploads"] = {"Driver": "local", "Mountpoint": str(volume), "Options": None}
    return Host(layout, docker, State(layout.state), lambda _: None)


class Repository:
    class settings:  # noqa: N801
        reserve = 0


@pytest.fixture(autouse=True)
def chosen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The record of the newest snapshot of each job; a test may change it. Nothing is ever made."""
    told = {"engine": jobs.FILES, "bytes": 5, "image": "postgres:17.4"}
    none = Snapshot("0123456789", 1.0, frozenset(), (), "")

    def choose(_: Host, __: object, job: jobs.Job, ___: object) -> choice.Chosen:
        return choice.Chosen(job, Complete(none, none), told)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it began")

    monkeypatch.setattr(choice, "choose", choose)
    monkeypatch.setattr(place, "lacks", lambda *_: False)
    for module, name in ((room, "make"), (place, "make"), (place, "exchange")):
        monkeypatch.setattr(module, name, never)
    return told


def restored(host: Host, *wanted: jobs.Job, **asked: Any) -> dict[str, Outcome]:
    return restore.restore(host, Repository, wanted, choice.Asked(**asked))  # type: ignore[arg-type]


# A dry run


def test_a_dry_run_says_what_has_to_be_said(host: Host) -> None:
    done = restored(host, FOLDER, VOLUME, check=True)
    assert [*done] == ["shop/media/large", "shop/uploads"]
    for each in done.values():
        assert each.result in verbs.GOOD and "snapshot 01234567" in each.text, each
        assert "in its way: there is data; say --replace" in each.text, each
    (each,) = restored(host, FOLDER, check=True, replace=True).values()
    assert "in its way" not in each.text
    with pytest.raises(DroverError, match=r"nothing was changed: shop/media/large: there is data; say --rep"):
        restored(host, FOLDER)


def test_a_dry_run_says_that_the_version_is_another_one(host: Host, chosen: dict[str, Any]) -> None:
    chosen |= {"engine": "postgres", "image": "postgres:16.9"}
    (each,) = restored(host, DATABASE, check=True, replace=True).values()
    assert each.result in verbs.GOOD and "in its way: the snapshot was taken with postgres:16.9" in each.text
    assert "--other-version" in each.text
    with pytest.raises(DroverError, match="nothing was changed: shop/db: the snapshot was taken with"):
        restored(host, DATABASE, replace=True)


def test_what_no_word_takes_out_of_the_way_is_refused_in_a_dry_run_too(
    host: Host, chosen: dict[str, Any]
) -> None:
    chosen["engine"] = "mariadb"
    with pytest.raises(DroverError, match="shop/uploads: the snapshot is of mariadb, not volume"):
        restored(host, VOLUME, check=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/file").write_text("x" * 100)
    return tmp_path / "old"


def test_a_dry_run_of_an_import_reads_first(host: Host, source: Path) -> None:
    told = importing.bring_in(host, None, FOLDER, source, importing.Asked(check=True))
    assert told.result in verbs.GOOD and "a folder of files" in told.text and "it is whole" in told.text
    assert "in its way: there is data; say --replace" in told.text
    told = importing.bring_in(host, None, FOLDER, source, importing.Asked(check=True, replace=True))
    assert told.result in verbs.GOOD and "in its way" not in told.text
    with pytest.raises(DroverError, match=r"nothing was changed: .*say --replace"):
        importing.bring_in(host, None, FOLDER, source, importing.Asked())


def test_a_dry_run_of_an_import_names_roles_that_are_missing(
    host: Host, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise arrivals.UnsaidError("it names the role readers. Say --no-owner")

    monkeypatch.setattr(arrivals, "plan", missing)
    told = importing.bring_in(host, None, FOLDER, source, importing.Asked(check=True))
    assert told.result in verbs.GOOD and "it is whole" in told.text and "--no-owner" in told.text
    with pytest.raises(DroverError, match="--no-owner"):
        importing.bring_in(host, None, FOLDER, source, importing.Asked(replace=True))


# What nothing can take the place of


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Paths that are mounts."""
    found = set[str]()
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) in found)
    return found


@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize("job", [FOLDER, VOLUME], ids=["folder", "volume"])
def test_a_mount_is_refused_before_anything_begins(
    host: Host, mounted: set[str], source: Path, job: jobs.Job, inner: bool
) -> None:
    """Of its own, or above it: after hours of filling the stack would stand still in the middle of it."""
    target = jobs.folder(host.layout, host.run, job)
    mounted.add(str(target if inner else target.parent))
    said = f"nothing was changed: {job.name}: {next(iter(mounted))} is a mount of its own"
    for asked in ({"replace": True}, {"check": True}):
        with pytest.raises(DroverError, match=said):
            restored(host, job, **asked)
    with pytest.raises(DroverError, match=said):
        importing.bring_in(host, None, job, source, importing.Asked(replace=True))
    with pytest.raises(DroverError, match="is a mount of its own"):
        room.exchange(host, job, room.Room("", target, is_volume=False))


def test_a_mount_is_refused_before_anything_is_put_back(host: Host, mounted: set[str]) -> None:
    (host.layout.stack("shop") / "data" / f".{room._kept(FOLDER)}20261130-030000").mkdir()
    assert undo(host, [FOLDER], check=True)
    mounted.add(str(jobs.folder(host.layout, host.run, FOLDER)))
    with pytest.raises(DroverError, match=r"nothing was changed: shop/media/large: .* is a mount of its own"):
        undo(host, [FOLDER], check=True)


@pytest.mark.parametrize("later", [0, -3600, 5])
def test_what_was_replaced_last_is_the_newest_whatever_the_clock_does(
    host: Host, monkeypatch: pytest.MonkeyPatch, later: int
) -> None:
    """Also within one second: nothing that is kept gets the name of another."""
    folder, now = jobs.folder(host.layout, host.run, FOLDER), [1796099024.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    for number in range(3):
        copy = host.layout.stack("shop") / "data/copy"
        copy.mkdir()
        (copy / "one").write_text(str(number))
        before = (folder / "one").read_text()
        room.exchange(host, FOLDER, room.Room(str(copy), copy, is_volume=False))
        kept = room.newest(host, FOLDER)
        assert kept and (kept.place / "one").read_text() == before
        now[0] += later
    assert len(list((host.layout.stack("shop") / "data").glob(".drover-before-*"))) == 3


def test_what_is_above_both_is_no_obstacle(host: Host, mounted: set[str]) -> None:
    mounted |= {str(host.layout.stack("shop") / "data"), str(host.layout.root / "var/lib/docker/volumes")}
    assert room.obstacles(host, [FOLDER, VOLUME]) == []


def test_a_volume_that_is_mounted_only_while_used_is_refused(host: Host, docker: Docker) -> None:
    docker.volumes["shop_uploads"]["Options"] = {"type": "nfs", "device": ":/x"}
    with pytest.raises(DroverError, match=r"nothing was changed: shop/uploads: .* only while a container"):
        restored(host, VOLUME, replace=True)
    docker.volumes["shop_uploads"]["Driver"] = "elsewhere"
    with pytest.raises(DroverError, match=r"nothing was changed: shop/uploads: .* of the driver elsewhere"):
        restored(host, VOLUME, replace=True)


def test_of_a_volume_that_was_never_made_it_is_asked_once_it_is(
    host: Host, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = docker.volumes.pop("shop_uploads")

    def make(*_: object) -> None:
        docker.volumes["shop_uploads"] = {**late, "Options": {"type": "nfs"}}

    monkeypatch.setattr(place, "lacks", lambda *_: True)
    monkeypatch.setattr(place, "make", make)
    with pytest.raises(DroverError, match=r"nothing was restored: shop/uploads: .* only while a container"):
        restored(host, VOLUME)


# Everything


@pytest.mark.parametrize("words", [("--replace",), ("--replace", "--check"), ("--undo",)])
def test_who_wants_everything_hears_of_what_cannot_be_read(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """The others come back all the same."""
    release = host.layout.release("broken", "abc")
    release.mkdir(parents=True)
    (release / "manifest.json").write_text("{")
    (host.layout.stack("broken") / "wanted").symlink_to("releases/abc")
    host.layout.backup.parent.mkdir(parents=True)
    host.layout.backup.write_text(json.dumps(SETTINGS))
    for module, name in ((verbs.back, "restore"), (verbs, "undo")):
        monkeypatch.setattr(module, name, lambda *_, **__: {"shop/db": Outcome("ok", "is back")})
    monkeypatch.setattr(clients, "tidy", lambda _: None)
    wish = parser().parse_args(["restore", "--all", *words])
    assert verbs._restore(wish, host.layout) == 1
    said = capsys.readouterr().out
    assert "shop/db: ok: is back" in said and "error: broken: failed: nothing of it comes back: " in said


SETTINGS = {
    "repository": "/nowhere",
    "host": "here",
    "keep": dict.fromkeys(("hourly", "daily", "weekly", "monthly"), 1),
    "max_age_hours": 26,
    "reserve_bytes": 0,
    "safety_days": 1,
}


# The best that comes back whole


def snapshot(number: int, verdict: str = "") -> Complete:
    of = Snapshot(f"{number}" * 10, float(number), frozenset(), (), "")
    return Complete(of, of, verdict)


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Five snapshots, two of which were verified; what of them does not come back whole."""
    kept = [snapshot(number, "verified" if number in (1, 3) else "") for number in range(1, 6)]
    told = {"engine": jobs.FILES, "bytes": 5, "image": ""}
    broken = list[str]()

    def copied(_: Host, __: object, each: choice.Chosen) -> room.Room:
        if each.found.data.identity[0] in broken:
            raise DroverError("it is torn")
        return room.Room(each.found.data.identity, Path("/x"), is_volume=False)

    monkeypatch.setattr(choice.ledger, "complete", lambda *_: kept)
    monkeypatch.setattr(choice.ledger, "record", lambda *_: told)
    monkeypatch.setattr(restore, "_copied", copied)
    return broken


@pytest.mark.parametrize(
    ("broken", "taken", "said"),
    [("", "5", ""), ("5", "3", "5555"), ("53", "1", "3333"), ("5341", "", "1111")],
)
def test_the_best_is_the_newest_that_comes_back_whole(
    host: Host, history: list[str], broken: str, taken: str, said: str
) -> None:
    history.extend(broken)
    newest = choice.Chosen(FOLDER, snapshot(5), {"engine": jobs.FILES, "bytes": 5})
    if not taken:
        with pytest.raises(DroverError, match="it is torn"):
            restore._whole(host, Repository(), newest, best=True)  # type: ignore[arg-type]
        return
    found, _ = restore._whole(host, Repository(), newest, best=True)  # type: ignore[arg-type]
    assert found.found.data.identity[0] == taken
    assert said in found.noted and ("did not come back whole: it is torn" in found.noted) == bool(said)


def test_a_snapshot_without_a_readable_record_is_not_the_best(
    host: Host, history: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def record(_: object, found: Complete) -> dict[str, Any]:
        if found.data.at > 1:
            raise DroverError("it is torn")
        return {"engine": jobs.FILES, "bytes": 5}

    monkeypatch.undo()
    monkeypatch.setattr(choice.ledger, "complete", lambda *_: [snapshot(n, "verified") for n in (1, 2, 3)])
    monkeypatch.setattr(choice.ledger, "record", record)
    found = choice.choose(host, Repository(), FOLDER, choice.Asked(best=True))  # type: ignore[arg-type]
    assert found.found.data.at == 1 and "3333" in found.instead and "it is torn" in found.instead
    with pytest.raises(DroverError, match="it is torn"):
        choice.choose(host, Repository(), FOLDER, choice.Asked())  # type: ignore[arg-type]


def test_what_has_no_snapshot_begins_empty(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(choice.ledger, "complete", lambda *_: [])
    done = restored(host, FOLDER, best=True)
    assert done["shop/media/large"].result == "ok" and "begins empty" in done["shop/media/large"].text
    with pytest.raises(DroverError, match="there is no snapshot"):
        restored(host, FOLDER)


def test_nothing_else_is_taken_unasked(host: Host, history: list[str]) -> None:
    history.append("5")
    newest = choice.Chosen(FOLDER, snapshot(5), {"engine": jobs.FILES, "bytes": 5})
    with pytest.raises(DroverError, match="it is torn"):
        restore._whole(host, Repository(), newest, best=False)  # type: ignore[arg-type]
