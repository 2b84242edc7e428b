"""Stacks that are read while their host is frozen: what reaches them, and when their data may change."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docker_model import Docker, Place, killed_anywhere, place, runs_by
from drover import cli, deploy, lifecycle, status, takeover
from drover.apply import Answer
from drover.backups import hold
from drover.backups.engines import ENGINES
from drover.lifecycle import PARTS
from drover.release import Manifest
from drover.run import DroverError
from drover.wishes import standing
from test_lifecycle import ALL, JOB, ROUTE, SERVICES, become, route, running

pytestmark = pytest.mark.usefixtures("fast")
READ = {"routes": [ROUTE], "backups": [JOB], "frozen": "read"}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "PAUSE", 0.0)


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return described(tmp_path)


def described(root: Path, **more: Any) -> Place:
    """The shop and the site of test_lifecycle, both running; the shop is read while it is frozen."""
    here = place(root, Docker())
    here.write("shop", SERVICES, **{**READ, **more})
    here.write("site", {"web": SERVICES["web"] | {"depends": ""}}, routes=[ROUTE | {"host": "example.com"}])
    assert not here.apply().errors
    here.docker.changes = 0
    here.docker.watching = lambda: only_read_while_held(here)
    return here


def boot(here: Place) -> Answer:
    """As the command line does it."""
    host = here.host()
    try:
        return takeover.bring(host, standing, "boot")
    finally:
        host.state.close()


def is_held(here: Place) -> bool:
    return here.docker.named("shop-db-1").held


def is_open(here: Place) -> bool:
    """Whether any request reaches the shop."""
    return "http://shop-web-1" in route(here, "shop") and "maintenance.html" not in route(here, "shop")


def only_read_while_held(here: Place) -> None:
    """Nobody is told that a stack serves whose database refuses to write."""
    assert not (is_held(here) and is_open(here))


def told(here: Place) -> dict[str, Any]:
    host = here.host(write=False)
    try:
        return status.status(host)
    finally:
        host.state.close()


def test_frozen_it_is_read_and_its_database_takes_no_writes(here: Place) -> None:
    before = {box.name: box.identity for box in here.docker.boxes.values()}
    become(here, "frozen")
    assert running(here) == ALL - {"shop/mailer"}
    assert is_held(here) and "http://shop-web-1" in route(here, "shop") and not is_open(here)
    assert "maintenance.html" not in route(here, "site"), "it keeps no data"
    assert not here.apply().changed and not become(here, "frozen").changed
    found = told(here)
    assert found["fine"] and not found["lifecycle_problem"], found
    become(here, "active")
    assert running(here) == ALL and is_open(here) and not is_held(here) and not here.layout.held.exists()
    assert not here.apply().changed and told(here)["fine"]
    assert {box.name: box.identity for box in here.docker.boxes.values()} == before, "nothing is made anew"


def test_who_takes_over_serves_what_it_reads_and_lets_its_workers_wait(here: Place) -> None:
    """The new one is frozen for a moment, to ask whether it had requests."""
    become(here, "serving")
    become(here, "frozen")
    assert is_held(here)
    become(here, "serving")
    assert is_open(here) and not is_held(here) and running(here) == ALL - {"shop/mailer"}


def test_only_a_frozen_host_is_read(here: Place) -> None:
    for part in PARTS.values():
        wish = lifecycle.reduced(Manifest("shop", backups=(JOB,), frozen_reads=True), part)  # type: ignore[arg-type]
        assert wish.reads_only == (part.name == "frozen") and wish.maintenance == (not part.serves)


def test_a_page_for_all_is_shown_as_before(tmp_path: Path) -> None:
    here = described(tmp_path, maintenance=True)
    become(here, "frozen")
    assert "http://shop-web-1" not in route(here, "shop") and is_held(here)
    become(here, "active")
    assert not is_held(here)


def test_a_database_that_is_not_backed_up_is_left_alone(tmp_path: Path) -> None:
    volume = {"name": "files", "engine": "volume", "data": {"volume": "shop_files"}, "services": ["web"]}
    here = described(tmp_path, backups=[volume])
    become(here, "frozen")
    assert not is_held(here) and not is_open(here) and told(here)["fine"]


def test_nothing_that_runs_once_begins(here: Place) -> None:
    deployed = {
        "before": [{"service": "web", "command": ["go"]}],
        "after": [{"service": "web", "command": ["tell"]}],
    }
    here.write("shop", SERVICES, version="2", deploy=deployed, **READ)
    lifecycle.note(here.layout, PARTS["frozen"])
    host = here.host()
    host.state.close()
    wish = standing(here.layout, "shop")
    assert wish and wish.services["seed"].rests and not wish.services["web"].rests
    (seed,) = [box for box in here.docker.boxes.values() if box.service == "seed"]
    del here.docker.boxes[seed.identity]
    become(here, "frozen")
    assert "shop-seed-1" not in here.docker.of("shop") and not here.docker.ran


def test_requests_under_way_have_their_time_before_the_database_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = described(tmp_path, deploy={"drain": 7})
    waited = list[tuple[float, bool]]()

    def stay_well(*words: Any) -> None:
        waited.append((words[4], is_held(here)))

    monkeypatch.setattr(deploy.start, "stay_well", stay_well)
    become(here, "frozen")
    become(here, "active")
    assert waited == [(7, False)]


# What goes wrong


def failing(here: Place, part: str) -> list[str]:
    """What is said of a change that is not whole."""
    host = here.host()
    try:
        return list(takeover.become(host, part).errors)
    finally:
        host.state.close()


def asked(here: Place) -> str:
    """The part that the host says it has."""
    host = here.host(write=False)
    try:
        return takeover.part_of(host).name
    finally:
        host.state.close()


def test_half_frozen_is_not_frozen(
    here: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here.docker.refuses["db"] = "psql: error: permission denied"
    assert failing(here, "frozen") == [
        "shop/db takes writes still, so this host is not frozen: psql: error: permission denied"
    ]
    assert "shop/db takes writes still: run drover lifecycle frozen again" in told(here)["lifecycle_problem"]
    with pytest.raises(DroverError, match=r"^this host is not frozen: shop/db takes writes still"):
        asked(here)
    runs_by(monkeypatch, here.docker)
    query = ["--root", str(here.layout.root), "lifecycle", "--json"]
    assert cli.main(query) == 1 and "is not frozen" in capsys.readouterr().out
    here.docker.refuses.clear()
    become(here, "frozen")
    assert asked(here) == "frozen"
    assert cli.main(query) == 0 and json.loads(capsys.readouterr().out) == {"part": "frozen"}


def test_one_that_has_just_started_is_asked_again(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    here.docker.refuses["db"] = "psql: error: starting up"
    monkeypatch.setattr(hold.time, "sleep", lambda seconds: seconds and here.docker.refuses.clear())
    monkeypatch.setattr(hold, "PAUSE", 1.0)
    become(here, "frozen")
    assert is_held(here)


def test_a_database_that_does_not_start_fails_the_freeze_with_its_own_reason(here: Place) -> None:
    here.docker.ends["db"] = 1
    here.docker.named("shop-db-1").status = "exited"
    (error,) = failing(here, "frozen")
    assert "db" in error and "ended with 1" in error
    with pytest.raises(DroverError, match="not frozen"):
        asked(here)


def test_while_it_cannot_be_let_go_its_stack_is_only_read(here: Place) -> None:
    become(here, "frozen")
    here.docker.refuses["db"] = "psql: error: starting up"
    (error,) = failing(here, "active")
    assert error == "shop/db takes no writes yet, so its stack is only read: psql: error: starting up"
    assert not is_open(here) and running(here) == ALL - {"shop/mailer"}
    assert "shop/db takes no writes yet: run drover lifecycle active again" in told(here)["lifecycle_problem"]
    assert not here.apply().errors and not is_open(here), "nor by a deploy"
    here.docker.refuses.clear()
    assert not boot(here).errors
    assert is_open(here) and running(here) == ALL and told(here)["fine"]


def test_one_that_was_stopped_is_started_to_be_let_go(here: Place) -> None:
    become(here, "frozen")
    here.docker.named("shop-db-1").status = "exited"
    become(here, "active")
    assert is_open(here) and not is_held(here)


def test_one_that_forgets_it_at_a_restart_is_held_again_by_a_boot(here: Place) -> None:
    become(here, "frozen")
    here.docker.named("shop-db-1").held = False
    with pytest.raises(DroverError, match="not frozen"):
        asked(here)
    assert not boot(here).errors
    assert is_held(here) and asked(here) == "frozen"


def test_a_stack_that_went_meanwhile_holds_nothing_up(here: Place) -> None:
    here.layout.held.write_text("gone/db\n")
    become(here, "active")
    assert not here.layout.held.exists()


def test_a_stack_that_cannot_be_read_stays_as_it_is(here: Place) -> None:
    become(here, "frozen")
    release = here.link("shop", "current")
    path = here.layout.release("shop", release) / "manifest.json"
    whole = path.read_text()
    path.write_text("{")
    assert any("shop/db takes no writes yet" in each for each in failing(here, "active"))
    path.write_text(whole)
    become(here, "active")
    assert is_open(here)


# Killed


@pytest.mark.parametrize("then", ["again", "back", "boot"])
@pytest.mark.parametrize("to", ["frozen", "active", "serving"])
def test_killed_anywhere_it_ends_whole(tmp_path: Path, to: str, then: str) -> None:
    """Run again, taken back, or brought up by a boot first."""

    def prepared(root: Path) -> Place:
        here = described(root)
        if to != "frozen":
            become(here, "frozen")
        here.docker.changes = 0
        return here

    for point, here, whole in killed_anywhere(tmp_path, prepared, act=lambda here: become(here, to)):
        end = ("active" if to == "frozen" else "frozen") if then == "back" else to
        if then == "boot":
            here.docker.cut_power()
            assert not boot(here).errors, point
            assert is_held(here) != is_open(here), point
        become(here, end)
        assert is_held(here) == (end == "frozen") != is_open(here), point
        assert here.layout.held.exists() == (end == "frozen"), point
        assert asked(here) == end and not here.apply().changed, point
        if then == "again":
            assert here.state("shop") == whole.state("shop"), point


# The engines' own functions

PSQL = r"""#!/bin/sh
for word in "$@"; do
  case "$word" in
    *"RESET default"*) echo off >mode; echo reset >>log ;;
    *"SET default"*) echo on >mode; echo set >>log ;;
    *"SHOW default"*) cat mode ;;
    *clock_timestamp*) echo 12:00 ;;
    *"count(*)"*) cat open ;;
    *terminate*) echo end >>log; echo 0 >open ;;
  esac
done
"""
MARIADB = """#!/bin/sh
for word in "$@"; do echo "$word" >>log; done
case "$*" in *SHOW*) printf 'read_only\\t%s\\n' "$MODE" ;; esac
"""


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., tuple[int, str, list[str]]]:
    """call(engine, client, its program, function, **variables) → status, what was said, the client's log."""

    def called(engine: str, client: str, text: str, function: str, **more: str) -> tuple[int, str, list[str]]:
        for name, content in ((client, text), ("sleep", "#!/bin/sh"), ("pg_isready", "#!/bin/sh")):
            path = tmp_path / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
            path.chmod(0o755)
        (tmp_path / "log").write_text("")
        done = subprocess.run(
            ["sh", "-c", f"{ENGINES[engine].SCRIPT}\n{function}"],
            env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "GRACE": "3", **more},
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr, (tmp_path / "log").read_text().splitlines()

    return called


def test_postgres_ends_who_writes_on_and_forgets_it_all(call: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "mode").write_text("off\n")
    (tmp_path / "open").write_text("0\n")
    assert call("postgres", "psql", PSQL, "held") == (0, "off\n", [])
    assert call("postgres", "psql", PSQL, "hold") == (0, "", ["set"]), "nobody writes"
    (tmp_path / "open").write_text("2\n")
    assert call("postgres", "psql", PSQL, "hold") == (0, "", ["set", "end"])
    (tmp_path / "open").write_text("2\n")
    status, said, log = call("postgres", "psql", PSQL.replace("echo 0 >open", ":"), "hold")
    assert (status, said) == (1, "2 sessions do not end\n") and set(log[1:]) == {"end"}
    (tmp_path / "open").write_text("")
    assert call("postgres", "psql", PSQL, "hold")[0] == 1, "the server went"
    assert call("postgres", "psql", PSQL, "release") == (0, "", ["reset"])
    assert call("postgres", "psql", PSQL, "held") == (0, "off\n", [])


def test_a_copy_out_of_the_log_of_a_frozen_host_takes_writes(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    """A base backup has the settings that were made in the server."""
    (tmp_path / "mode").write_text("on\n")
    arrived = PSQL.replace("    *clock", "    *recovery*) echo f ;;\n    *clock")
    assert call("postgres", "psql", arrived, "arrive") == (0, "", ["reset"])


@pytest.mark.parametrize("client", ["mariadb", "mysql"])
def test_mariadb_waits_for_nobody_for_ever(call: Callable[..., Any], client: str) -> None:
    status, _, log = call("mariadb", client, MARIADB, "hold")
    assert status == 0
    assert log[-1] == "--execute=SET SESSION lock_wait_timeout = 3; SET GLOBAL read_only = 1"
    assert call("mariadb", client, MARIADB, "release")[2][-1] == "--execute=SET GLOBAL read_only = 0"
    assert [call("mariadb", client, MARIADB, "held", MODE=mode)[1] for mode in ("ON", "OFF")] == [
        "on\n",
        "off\n",
    ]
    assert call("mariadb", client, "#!/bin/sh\nexit 1", "held")[0] == 1
