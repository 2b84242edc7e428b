"""The way back, what is kept for it, what was rolled back, windows, the lock and history."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker_model import Docker, Killed, Place, place, runs_by
from drover import cli, guard, history, lockout, marks, prune, windows
from drover.apply import Answer, Options
from drover.guard import Asked
from drover.release import Deploy, Manifest
from drover.rollback import _saved, rollback
from drover.run import DroverError, Result
from drover.state import Kept, Lock, Mark, Row

pytestmark = pytest.mark.usefixtures("fast")
ROUTE = {"host": "shop.example.com", "path": "/", "service": "web", "port": 80, "health": None}


def deploy(here: Place, version: str, image: str = "", **options: Any) -> Answer:
    """Tell the host this version of the shop."""
    web = {"image": image or f"web:{version}", "public": True}
    release = here.write("shop", {"web": web}, routes=[ROUTE], version=version, wanted=False)
    return here.apply([here.told("shop", release)], only=frozenset(["shop"]), **options)


def back(here: Place, to: str = "", **options: Any) -> Answer:
    host = here.host()
    try:
        return rollback(host, "shop", to, Options(**options))
    finally:
        host.state.close()


def runs(here: Place) -> list[str]:
    return [box.image for box in here.docker.boxes.values() if box.stack == "shop"]


@pytest.fixture
def three(here: Place) -> Place:
    """Versions 1, 2 and 3 ran one after the other."""
    for version in "123":
        assert not deploy(here, version).errors
    return here


# The way back


def test_back_needs_no_argument_no_registry_and_runs_no_command(three: Place) -> None:
    three.docker.commands.clear()
    assert not back(three).errors
    assert runs(three) == ["web:2"] and three.link("shop", "wanted") == three.link("shop", "current")
    assert not any("pull" in words for words in three.docker.commands)
    assert not back(three).errors and runs(three) == ["web:1"]
    with pytest.raises(DroverError, match="nothing to go back to: version 2 was itself rolled back on"):
        back(three)
    assert [row.action for row in three.host().state.history("shop", 2)] == ["rollback"] * 2


def test_back_from_a_release_that_never_served_keeps_what_serves(three: Place) -> None:
    three.docker.ends["web"] = 3
    assert deploy(three, "4").errors
    three.docker.ends.clear()
    for check in (True, False):
        answer = back(three, check=check)
        assert answer.changed and not answer.errors
        assert [step.text for step in answer.plans["shop"].steps] == ["stay with version 3, leave version 4"]
    assert runs(three) == ["web:3"] and three.link("shop", "wanted") == three.link("shop", "current")
    (row,) = three.host().state.history("shop", 1)
    assert (row.action, row.version, row.result) == ("rollback", "3", "ok")
    assert "version 4 was rolled back" in deploy(three, "4").errors[0]


def test_back_within_a_version_means_its_configuration(here: Place) -> None:
    deploy(here, "1", "web:1")
    deploy(here, "1", "web:1b")
    assert not back(here).errors and runs(here) == ["web:1"]
    assert "was rolled back" in deploy(here, "1", "web:1b").errors[0]
    assert not deploy(here, "1", "web:1c").errors


def test_image_or_release_that_is_gone_is_passed_over_by_name(three: Place) -> None:
    del three.docker.images["web:2"]
    assert not back(three).errors and runs(three) == ["web:1"]


def test_back_by_name_and_in_a_dry_run(three: Place) -> None:
    (first,) = [row.release for row in three.host().state.history("shop", 9) if row.version == "1"]
    changes = three.docker.changes
    answer = back(three, first, check=True)
    assert answer.changed and three.docker.changes == changes and runs(three) == ["web:3"]
    assert not back(three, first).errors and runs(three) == ["web:1"]


def test_back_to_what_stands_changes_nothing(three: Place) -> None:
    assert back(three, three.host().state.applied("shop")[1]).changed
    rows, marks = three.host().state.history("shop", 9), three.host().state.marks()
    for check in (True, False):
        answer = back(three, three.link("shop", "current"), check=check)
        assert not answer.changed and not answer.errors
    assert (three.host().state.history("shop", 9), three.host().state.marks()) == (rows, marks)


def test_back_that_was_killed_goes_on_and_a_boot_does_not_undo_it(three: Place) -> None:
    for way in ("again", "boot"):
        deploy(three, "3", force_image := "web:3", asked=Asked(force=True))
        three.docker.kill_after = three.docker.changes + 1
        with pytest.raises(Killed):
            back(three)
        three.docker.kill_after = None
        assert runs(three)[0] == force_image
        answer = back(three) if way == "again" else three.apply(choose=standing(three), action="boot")
        assert not answer.errors and runs(three) == ["web:2"], way


def test_what_a_killed_back_was_leaving_is_refused_until_it_is_forced(three: Place) -> None:
    """Killed before the other one stands: what is wished is what still runs."""
    three.docker.kill_after = three.docker.changes + 1
    with pytest.raises(Killed):
        back(three)
    three.docker.kill_after = None
    left = three.link("shop", "current")
    (error,) = deploy(three, "3").errors
    assert "version 3 was rolled back by" in error
    assert three.link("shop", "wanted") != left and three.host().state.marks()
    assert not back(three).errors and runs(three) == ["web:2"]
    assert deploy(three, "3").errors
    assert not deploy(three, "3", asked=Asked(force=True)).errors and not three.host().state.marks()


def test_mending_what_runs_takes_no_mark_away(three: Place) -> None:
    """Only who forces a version says that it is good after all."""
    host, release = three.host(), three.link("shop", "current")
    host.state.mark(Mark("shop", release, "3", 0.0, "anna"))
    host.state.close()
    three.docker.boxes.pop(three.docker.named(three.docker.of("shop")[0]).identity)
    assert not deploy(three, "3").errors and runs(three) == ["web:3"]
    assert [each.release for each in three.host().state.marks()] == [release]


def standing(here: Place) -> Any:
    return guard.standing(here.host().state.marks())


def test_back_of_the_proxy_keeps_it_connected(three: Place) -> None:
    three.write("proxy", {"traefik": {"image": "traefik:v4"}}, version="4")
    assert not three.apply().errors
    host = three.host()
    assert not rollback(host, "proxy", "", Options()).errors
    (proxy,) = [box for box in three.docker.boxes.values() if box.stack == "proxy"]
    assert proxy.image == "traefik:v3" and "shop_public" in proxy.networks


def test_back_from_a_release_that_is_damaged(three: Place) -> None:
    (three.layout.stack("shop") / "current" / "manifest.json").write_text("{")
    assert not back(three).errors and runs(three) == ["web:2"]


# What was rolled back


def test_marked_version_stays_away_until_it_changes_or_is_forced(three: Place) -> None:
    back(three)
    (error,) = deploy(three, "3").errors
    assert error.startswith("shop: version 3 was rolled back by") and error.endswith(
        "write another version, or force it (-e force=true on the controller, --force on the host)"
    )
    assert runs(three) == ["web:2"] and three.link("shop", "wanted") == three.link("shop", "current")
    dry = deploy(three, "3", check=True)
    assert dry.changed and dry.errors[0].startswith("shop: would be refused: version 3 was rolled back")
    assert not deploy(three, "4").errors
    assert deploy(three, "3").errors
    assert not deploy(three, "3", asked=Asked(force=True)).errors and runs(three) == ["web:3"]
    assert not deploy(three, "4").errors and not deploy(three, "3").errors


def test_marked_version_is_not_wanted_either_while_docker_does_not_answer(three: Place) -> None:
    back(three)
    three.docker.dead = True
    for version, wanted in (("3", "2"), ("4", "4")):
        assert "Docker does not answer" in deploy(three, version).errors[0]
        path = three.layout.release("shop", three.link("shop", "wanted")) / "manifest.json"
        assert json.loads(path.read_text())["version"] == wanted


def test_refusal_stands_in_history_and_wakes_nobody(three: Place) -> None:
    back(three)
    deploy(three, "3", asked=Asked("a try"))
    host = three.host()
    (row,) = host.state.history("shop", 1)
    assert (row.result, row.reason, row.version) == ("refused", "a try", "3")
    assert not host.state.db.execute("SELECT key FROM events").fetchall()


# Windows


SPANS = ["mon-thu", "fri 00:00-12:00"]


@pytest.mark.parametrize(
    ("spans", "moment", "expected"),
    [
        (SPANS, "2026-11-19 23:59", True),
        (SPANS, "2026-11-20 11:59", True),
        (SPANS, "2026-11-20 12:00", False),
        (SPANS, "2026-11-21 10:00", False),
        (SPANS, "2026-11-23 00:00", True),
        (["fri-mon"], "2026-11-22 10:00", True),
        (["fri-mon"], "2026-11-24 10:00", False),
        (["sun 22:00-24:00"], "2026-11-22 23:30", True),
    ],
)
def test_windows(spans: list[str], moment: str, expected: bool) -> None:
    assert windows.opened(spans, datetime.fromisoformat(moment)) == expected


def told(here: Place, **more: Any) -> None:
    path = here.layout.host
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"deploy": {"windows": ["mon 00:00-00:01"], "timezone": "Europe/Berlin"}, **more})
    )


def test_closed_window_refuses_without_a_reason(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    friday = datetime.fromisoformat("2026-11-20T15:00+01:00").timestamp()
    assert not deploy(here, "1").errors, "the first one replaces nothing"
    told(here)
    monkeypatch.setattr("drover.apply.time.time", lambda: friday)
    (error,) = deploy(here, "2").errors
    assert error == (
        "shop: it is Friday 15:00 (CET), and deploys are for mon 00:00-00:01 "
        "(drover_platform.deploy.windows): give a reason if it cannot wait "
        "(-e \"reason='…'\" on the controller, --reason on the host)"
    )
    assert not deploy(here, "1").changed
    assert not deploy(here, "2", asked=Asked("the shop is down")).errors
    assert here.host().state.history("shop", 1)[0].reason == "the shop is down"
    assert not back(here).errors, "a way back is always open"
    told(here, environment="staging")
    assert not deploy(here, "3").errors


def test_deploy_that_was_begun_is_finished_though_the_window_has_closed(three: Place) -> None:
    told(three)
    three.docker.kill_after = three.docker.changes + 1
    with pytest.raises(Killed):
        deploy(three, "4", asked=Asked("now"))
    three.docker.kill_after = None
    assert not deploy(three, "4").errors and runs(three) == ["web:4"]


def test_what_was_begun_opens_the_window_and_the_lock_for_no_other_release(three: Place) -> None:
    told(three)
    three.docker.kill_after = three.docker.changes + 1
    with pytest.raises(Killed):
        deploy(three, "4", asked=Asked("now"))
    three.docker.kill_after = None
    assert "deploys are for" in deploy(three, "5").errors[0]
    three.host().state.set_lock(Lock("anna", time.time(), "audit"))
    assert "locked by anna" in deploy(three, "5", asked=Asked("now")).errors[0]
    assert not deploy(three, "4").errors and runs(three) == ["web:4"]


# The lock


def test_lock_names_its_owner_and_age_and_a_stale_one_can_be_taken(three: Place) -> None:
    anna, bert = three.host()._replace(who="anna"), three.host()._replace(who="bert")
    lockout.locked(anna, "take", "the fair is on", False)
    assert not deploy(three, "4", asked=Asked(force=True)).errors
    (error,) = deploy(three, "5").errors
    assert "deploys are locked by anna since" in error and "(0 min): the fair is on" in error
    assert "-e force=true" in error and "--force" in error
    with pytest.raises(DroverError, match="ask anna, or use --force"):
        lockout.locked(bert, "release", "", False)
    bert.state.set_lock(Lock("anna", time.time() - 13 * 3600, ""))
    assert "(13 h, and stale)" in deploy(three, "5").errors[0]
    assert lockout.locked(bert, "take", "", False) and lockout.locked(anna, "show", "", False).who == "bert"
    assert lockout.locked(bert, "release", "", False) is None and not deploy(three, "5").errors


def test_locked_stack_is_not_removed(three: Place) -> None:
    three.host().state.set_lock(Lock("anna", time.time(), "audit"))
    gone = {"stack": "shop", "state": "absent", "data": "delete"}
    assert "locked by anna" in three.apply([gone]).errors[0] and runs(three) == ["web:3"]
    assert not three.apply([gone], asked=Asked(force=True)).errors and not runs(three)


# History


def test_history_is_a_table_and_json(
    three: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    three.docker.ends["web"] = 3
    deploy(three, "4", asked=Asked("now"))
    assert cli.main(["--root", str(three.layout.root), "history", "shop", "--lines", "2"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["AT", "WHO", "ACTION", "STACK", "VERSION", "RESULT", "SECONDS"]
    assert said[1].split()[3:7] == ["apply", "shop", "4", "failed"]
    assert said[2:4] == ["    because: now", "  ! shop/web: ended with 3; version 3 serves on"]
    assert cli.main(["--root", str(three.layout.root), "history", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["version"] == "4"
    assert history.table([]) == "nothing was done on this host yet"


def test_lines_of_an_older_state_are_read(tmp_path: Path) -> None:
    from drover.state import State, _row

    assert _row((1, 2.0, "me", "apply", "shop", "r", "1", "ok", 1.0, "")) == Row(
        2.0, "me", "apply", "shop", "r", "1", "ok", 1.0, ""
    )
    assert State(tmp_path / "none.db", write=False).marks() == []


# The verbs


def test_verbs(three: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    runs_by(monkeypatch, three.docker)
    root = ["--root", str(three.layout.root)]
    assert cli.main([*root, "rollback", "shop", "--who", "anna", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stacks"]["shop"]["changed"]
    left = next(row.release for row in three.host().state.history("shop", 9) if row.version == "3")
    assert cli.main([*root, "deploy", "shop", "--release", left]) == 1
    assert "was rolled back by anna" in capsys.readouterr().out
    assert cli.main([*root, "deploy", "shop", "--release", left, "--force"]) == 0
    assert runs(three) == ["web:3"] and three.link("shop", "wanted") == left
    assert cli.main([*root, "lock", "take", "--who", "anna", "--reason", "audit"]) == 0
    assert cli.main([*root, "lock"]) == 0
    assert "locked by anna" in capsys.readouterr().out
    assert cli.main([*root, "rollback", "ghost"]) == 1


# What is kept


def test_what_no_rollback_needs_is_removed(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "KEEP", 1)
    monkeypatch.setattr(prune, "YOUNG", -1.0)
    removed: list[str] = []

    def image_rm(docker: Docker, words: list[str]) -> Result:
        removed.append(words[-1])
        return Result(0, "", "")

    monkeypatch.setattr(Docker, "_image_rm", image_rm, raising=False)
    here.write("other", {"web": {"image": "web:1"}})
    shipped = here.layout.stack("shop") / "files" / "0123456789abcdef"
    shipped.mkdir(parents=True)
    for version in "1234":
        assert not deploy(here, version).errors
    kept = [path.name for path in (here.layout.stack("shop") / "releases").iterdir()]
    assert len(kept) == 2 and here.link("shop", "current") in kept
    assert removed == ["web:2"], "web:1 is another stack's too"
    assert not shipped.exists()
    assert not back(here).errors and runs(here) == ["web:3"]


def test_what_another_controller_has_just_put_there_stays(here: Place) -> None:
    """Its release comes next; after an hour nobody wants it."""
    deploy(here, "1")
    young = {"web/fresh": "x", "queue/fresh": "x", "web.env": "x=y"}
    for path, text in young.items():
        here.secret("shop", path, text)
    here.layout.users.mkdir(parents=True)
    (here.layout.users / "shop.staff").touch()
    folder = here.layout.secrets("shop")
    put = {*(folder / path for path in young), here.layout.users / "shop.staff"}
    assert not deploy(here, "2").errors
    assert {path for path in put if path.exists()} == put
    for path in (*put, folder / "web", folder / "queue"):
        age(path)
    assert not deploy(here, "3").errors
    assert not any(path.exists() for path in put)


def test_what_a_young_release_reads_stays_however_old_it_is(here: Place) -> None:
    """It is on its way, and its secrets and users were there before; after an hour nobody wants it."""
    deploy(here, "1")
    folder, users = here.layout.secrets("shop"), here.layout.users / "shop.staff"
    ahead = here.write(
        "shop",
        {"web": {"image": "web:9", "env_file": str(folder / "web.env")}},
        routes=[{**ROUTE, "auth": "staff"}],
        version="9",
        secrets={"web/ahead": "x", "web.env": "x=y"},
        wanted=False,
    )
    users.parent.mkdir(parents=True)
    users.touch()
    read = {folder / "web/ahead", folder / "web.env", users}
    for path in (*read, folder / "web"):
        age(path)
    assert not deploy(here, "2").errors
    assert {path for path in read if path.exists()} == read
    age(here.layout.release("shop", ahead))
    assert not deploy(here, "3").errors
    assert not any(path.exists() for path in read)


def age(path: Path) -> None:
    os.utime(path, (time.time() - prune.YOUNG - 60,) * 2)


def test_defaults_of_host_and_schema_are_the_same() -> None:
    from ansible_collections.drover.platform.plugins.plugin_utils.schema import PLATFORM

    file = Path(__file__).parents[3] / "roles/agent/vars/main.yml"
    text = yaml.safe_load(file.read_text())["__agent_host"]["deploy"]
    for key, value in PLATFORM.keys["deploy"].keys.items():
        default = list(value.default) if isinstance(value.default, tuple) else value.default
        assert f"default({default!r})" in text[key], key
    assert PLATFORM.keys["deploy"].keys["keep"].default == prune.KEEP


# Data


def test_the_backup_from_before_the_version_that_is_left_is_named(here: Place) -> None:
    """Not one of a try that failed, nor of what ran since."""
    host = here.host()
    rows = [("1", 10, "ok"), ("2", 20, "failed"), ("2", 30, "ok"), ("2", 40, "ok")]
    for release, at, result in rows:
        host.state.record(Row(at, "root", "apply", "shop", release, "", result, 0.0, ""))
    for at, snapshot in ((5, "early"), (15, "try"), (25, "before"), (35, "since")):
        host.state.keep(Kept("backup", "shop/db", snapshot * 4, at, 1.0, 1, "ok", ""))
    bad = Manifest("shop", "2", deploy=Deploy(backup=True))
    (said,) = _saved(host, bad)
    assert said.endswith("drover restore shop/db --snapshot beforebe --replace")
    assert _saved(host, bad._replace(deploy=Deploy())) == []


# Another generation


def test_the_next_generation_refuses_what_was_rolled_back(three: Place, tmp_path: Path) -> None:
    """Also as the first release that it ever gets."""
    assert not back(three).errors
    text = json.dumps(marks.told(three.host().state.marks()))
    there = place(tmp_path / "next", Docker())
    found = marks.given(text)
    assert marks.take(there.host().state, found) == 1 and marks.take(there.host().state, found) == 0
    answer = deploy(there, "3")
    assert "version 3 was rolled back by" in answer.errors[0] and runs(there) == []
    assert not deploy(there, "2").errors
    assert not deploy(there, "3", asked=Asked(force=True)).errors


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[1]",
        '[{"stack": "../x", "release": "0123456789abcdef", "at": 1}]',
        '[{"stack": "x"}]',
        "no JSON",
    ],
)
def test_what_is_no_mark_is_told(text: str) -> None:
    with pytest.raises(DroverError, match="marks"):
        marks.given(text)


def test_marks_are_a_table() -> None:
    assert marks.table([]) == "no version was rolled back"
    head, row = marks.table([Mark("shop", "0" * 16, "", 0.0, "anna")]).splitlines()
    assert head.startswith("STACK") and row.split()[:2] == ["shop", "-"] and row.endswith("anna")
