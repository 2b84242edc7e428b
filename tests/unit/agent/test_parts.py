"""The agent's parts by themselves: manifests, routes, health, secrets, commands, the lock, the state."""

from __future__ import annotations

import copy
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from drover import compose, database, disk, facts, health, proxy, release, routes, secrets, wishes
from drover.docker import Container, Dependency, dependencies, parse, seconds
from drover.layout import Layout
from drover.lock import held
from drover.release import Manifest, Probe, Service
from drover.route import Route
from drover.run import TIMED_OUT, DroverError, environment, runner
from drover.state import Row, Seen, State
from hypothesis import given, settings
from hypothesis import strategies as st

SERVICE = {
    "digest": "abc123",
    "image": "web:1",
    "kind": "service",
    "replicas": 1,
    "health": None,
    "uid": None,
}
MANIFEST: dict[str, Any] = {
    "format": 1,
    "file": "compose.yaml",
    "stack": "shop",
    "release": "0123456789abcdef",
    "version": "1",
    "services": {"web": SERVICE},
    "routes": [{"host": "a.example", "path": "/", "service": "web", "port": 80, "health": None}],
    "data_folders": ["uploads"],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    copy = json.loads(json.dumps(MANIFEST))
    *way, last = path.split(".")
    at = copy
    for step in way:
        at = at[int(step)] if isinstance(at, list) else at[step]
    at[last] = value
    return dict(copy)


# Manifests


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", 2),
        ("stack", "../etc"),
        ("stack", ""),
        ("release", "current"),
        ("services", []),
        ("services.web.image", "--privileged"),
        ("services.web.kind", "daemon"),
        ("services.web.replicas", -1),
        ("services.web.replicas", True),
        ("services.web.uid", "root"),
        ("services.web.health", {"port": 80, "path": "/up\r\nHost: x"}),
        ("routes.0.host", "a.example`) || Host(`b.example"),
        ("routes.0.path", "/`"),
        ("routes.0.port", 70000),
        ("routes.0.service", "other"),
        ("data_folders", ["../../etc"]),
        ("data_folders", ["/etc"]),
        ("networks", ["bridge"]),
        ("services.web.secrets", ["../key"]),
    ],
)
def test_manifest_that_could_become_something_else_is_refused_by_name(path: str, value: Any) -> None:
    with pytest.raises(DroverError) as caught:
        release.read(changed(path, value))
    assert path.split(".")[-1] in str(caught.value) or "leads to" in str(caught.value)


def test_manifest_is_read() -> None:
    found = release.read(changed("services.web.health", {"port": 8080, "path": "/up"}))
    assert found.services["web"].health == Probe(8080, "/up")
    assert (found.routes[0].host, found.data_folders, found.absent) == ("a.example", ("uploads",), False)
    assert release.read({"stack": "shop", "state": "absent", "data": "delete"}).delete


def test_manifest_of_another_stack_is_not_taken(tmp_path: Path) -> None:
    folder = Layout(tmp_path).release("blog", "0123456789abcdef")
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    with pytest.raises(DroverError, match="describes shop"):
        wishes.load(Layout(tmp_path), "blog", "0123456789abcdef")


# Routes

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}[a-z0-9]", fullmatch=True)
HOSTS = st.lists(NAMES, min_size=1, max_size=4).map(".".join)
SEGMENTS = st.from_regex(r"[A-Za-z0-9._~-]{1,9}", fullmatch=True).filter(
    lambda each: each.strip(".") or each[2:]
)
PATHS = st.builds(
    "/{}{}".format, st.lists(SEGMENTS, max_size=3).map("/".join), st.sampled_from(["", "/"])
).map(lambda path: path.replace("//", "/"))
ROUTES = st.tuples(HOSTS, PATHS, st.just("web"), st.integers(1, 65535), st.none() | PATHS).map(
    lambda found: Route(*found)
)


@given(NAMES, st.lists(ROUTES, min_size=1, max_size=5), st.integers(1, 4))
@settings(max_examples=60)
def test_what_is_rendered_is_valid(stack: str, found: list[Route], count: int) -> None:
    names = [f"{stack}-web-{number}" for number in range(1, count + 1)]
    text = proxy.render(Manifest(stack, routes=tuple(found)), {"web": names})
    assert proxy.mark(text)
    assert text.count('"http://') == count * len(found)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, item in inside for each in leaves(item, (*path, key)))]


GOOD = proxy.render(
    Manifest(
        "shop",
        routes=(Route("a.example", "/api", "web", 80, "/up"), Route("a.example", "/", "web", 80, None)),
    ),
    {"web": ["shop-web-1"]},
)


HEAD, DATA, BODY = (*GOOD.split("\n", 2)[:2], json.loads(GOOD.split("\n", 2)[2]))


@pytest.mark.parametrize("path", leaves(BODY), ids=str)
@pytest.mark.parametrize("damage", [None, {"surprise": 1}, ["`"], "x` || Host(`y", 10**9, True], ids=str)
def test_route_file_with_anything_unexpected_is_refused(path: tuple[Any, ...], damage: Any) -> None:
    content = damaged(BODY, path, damage)
    with pytest.raises(ValueError):
        proxy.mark(f"{HEAD}\n{DATA}\n{json.dumps(content, indent=2)}\n")


@pytest.mark.parametrize("path", leaves(json.loads(DATA[2:])), ids=str)
@pytest.mark.parametrize("damage", [None, {"surprise": 1}, ["`"], "x` || Host(`y", -1], ids=str)
def test_route_file_that_says_anything_else_of_itself_is_refused(path: tuple[Any, ...], damage: Any) -> None:
    data = damaged(json.loads(DATA[2:]), path, damage)
    if data == json.loads(DATA[2:]):  # null was null
        return
    with pytest.raises(ValueError):
        proxy.mark(GOOD.replace(DATA, f"# {json.dumps(data, sort_keys=True)}"))


def damaged(content: Any, path: tuple[Any, ...], damage: Any) -> Any:
    if not path:
        return damage
    at = content = copy.deepcopy(content)
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = damage
    return content


@pytest.mark.parametrize("text", ["", "{", GOOD[:-10], "http: {}", "{}", "[]"])
def test_route_file_that_is_cut_off_or_empty_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        proxy.mark(text)


def test_path_route_matches_whole_segments_and_wins_over_its_host() -> None:
    routers = BODY["http"]["routers"]
    assert routers["shop-0"]["rule"] == "Host(`a.example`) && (Path(`/api`) || PathPrefix(`/api/`))"
    assert routers["shop-0"]["priority"] > routers["shop-1"]["priority"]


SHOP = Route("a.example", "/api/", "web", 80, None)


def test_places_are_read_back_from_a_route_file(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert routes.places(layout, "shop") == frozenset()
    found = Manifest("shop", services={"web": PLAIN}, routes=(SHOP, SHOP._replace(path="/")))
    routes.write(layout, "shop", routes.text(found, {"web": ["shop-web-1"]}))
    assert (
        routes.places(layout, "shop")
        == set(map(routes.place, found.routes))
        == {
            ("a.example", "/api"),
            ("a.example", "/"),
        }
    )


# Docker's answers


@given(st.datetimes(min_value=__import__("datetime").datetime(1971, 1, 1)), st.integers(0, 999_999_999))
def test_docker_times(moment: Any, nanoseconds: int) -> None:
    whole = moment.replace(microsecond=0, tzinfo=__import__("datetime").timezone.utc)
    stamp = whole.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + f".{nanoseconds:09d}"
    expected = pytest.approx(whole.timestamp() + nanoseconds / 1e9, abs=1e-3)
    assert seconds(f"{stamp}Z") == expected
    assert seconds(f"{stamp}+02:00") == pytest.approx(whole.timestamp() + nanoseconds / 1e9 - 7200, abs=1e-3)


def test_never_is_zero() -> None:
    assert seconds("0001-01-01T00:00:00Z") == 0 == seconds("")


def test_dependencies_as_compose_writes_them() -> None:
    assert dependencies("db:service_healthy:false,migrate:service_completed_successfully:true") == (
        Dependency("db", "service_healthy"),
        Dependency("migrate", "service_completed_successfully"),
    )
    assert dependencies("") == ()


def test_containers_of_compose_run_are_left_alone() -> None:
    raw = {"Config": {"Labels": {"com.docker.compose.oneoff": "True"}}}
    assert parse(json.dumps([raw])) == ()


def test_compose_makes_what_is_missing_and_removes_nothing() -> None:
    wish = Manifest("shop", file="docker-compose.yml")
    command = compose.create(Path("/r"), wish, {"web": 3})
    assert command[-3:] == ["--scale", "web=3", "--no-recreate"]
    assert not {"up", "--remove-orphans"} & set(command) and "/r/docker-compose.yml" in command
    renew = compose.renew(Path("/r"), wish, {"web": 1}, ["web"])
    assert renew[-4:] == ["--scale", "web=1", "--force-recreate", "web"]
    assert "--volumes" not in compose.down("shop", volumes=False)


# Health


def container(service: str, status: str = "running", **more: Any) -> Container:
    empty: dict[str, Any] = {
        "identity": service, "name": f"shop-{service}-1", "stack": "shop", "service": service, "number": 1,
        "hash": "h", "image": "i", "image_id": "", "status": status, "code": 0, "health": "", "note": "",
        "created": 1.0, "started": 100.0, "finished": 0.0, "restarts": 0, "networks": {}, "depends": (),
    }  # fmt: skip
    return Container(**{**empty, **more})


def wish(**services: Service) -> Manifest:
    return Manifest("shop", services=services)


PLAIN = Service("d", "i", False, 1, None, None)
ONCE = PLAIN._replace(oneshot=True)
BEGAN, NOW = 50.0, 200.0


def judge(manifest: Manifest, *found: Container, **silent: str) -> health.Judgement:
    return health.judge(manifest, found, BEGAN, NOW, silent)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (container("web"), "well"),
        (container("web", health="healthy"), "well"),
        (container("web", health="starting"), "waits"),
        (container("web", health="unhealthy"), "failed"),
        (container("web", health="unhealthy", started=10.0), "waits"),
        (container("web", started=199.0), "waits"),
        (container("web", started=199.0, health="healthy"), "well"),
        (container("web", "created", started=0.0), "start"),
        (container("web", "exited", started=10.0), "start"),
        (container("web", "exited"), "failed"),
        (container("web", "exited", code=1), "failed"),
        (container("web", "restarting", restarts=1), "waits"),
        (container("web", "restarting", restarts=5), "failed"),
        (container("web", "paused"), "waits"),
        (container("web", "dead"), "failed"),
    ],
)
def test_judgement_of_a_service(found: Container, outcome: str) -> None:
    judgement = judge(wish(web=PLAIN), found)
    assert judgement.well if outcome == "well" else bool(getattr(judgement, outcome)), judgement
    assert judgement.well == (outcome == "well")


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (container("job", "exited"), "well"),
        (container("job", "exited", started=10.0), "well"),
        (container("job", "created", started=0.0), "start"),
        (container("job", "exited", code=1), "failed"),
        (container("job", "exited", code=255, started=10.0), "start"),
        (container("job"), "waits"),
    ],
)
def test_judgement_of_a_one_shot(found: Container, outcome: str) -> None:
    judgement = judge(wish(job=ONCE), found)
    assert judgement.well if outcome == "well" else getattr(judgement, outcome), judgement


def test_missing_container_and_silence() -> None:
    failed = judge(wish(web=PLAIN)).failed
    assert failed and "0 of 1" in failed.reason
    asked = wish(web=PLAIN._replace(health=Probe(80, "/")))
    assert judge(asked, container("web"), web="refused").waits == ("shop-web-1 does not answer: refused",)
    assert judge(asked, container("web")).well


@pytest.mark.parametrize(
    ("condition", "needed", "starts"),
    [
        ("service_started", container("db"), True),
        ("service_started", container("db", "created", started=0.0), False),
        ("service_healthy", container("db", health="starting"), False),
        ("service_healthy", container("db", health="healthy"), True),
        ("service_completed_successfully", container("db", "exited"), True),
        ("service_completed_successfully", container("db"), False),
    ],
)
def test_what_waits_starts_when_its_need_is_met(condition: str, needed: Container, starts: bool) -> None:
    web = container(
        "web", "created", started=0.0, depends=(Dependency("db", condition), Dependency("gone", condition))
    )
    needs = ONCE if condition.endswith("successfully") else PLAIN
    judgement = judge(wish(web=PLAIN, db=needs), web, needed)
    assert (web in judgement.start) == starts


@pytest.fixture
def server() -> Any:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.strip("/")) if self.headers["Host"] == "a.example" else 421)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield http.server_port
        http.shutdown()


@pytest.mark.parametrize(
    ("status", "well"), [(200, True), (204, True), (302, True), (404, False), (503, False)]
)
def test_probe(server: int, status: int, well: bool) -> None:
    asked = health.Question("c", "127.0.0.1", Probe(server, f"/{status}"), "a.example")
    assert (health.ask(asked) == "") == well
    assert bool(health.ask_all([asked])) != well


def test_probe_of_nothing_says_why() -> None:
    assert "refused" in health.ask(health.Question("c", "127.0.0.1", Probe(1, "/"), "a")).lower()
    assert "address" in health.ask(health.Question("c", "", Probe(1, "/"), "a"))


# Secrets


def test_every_usual_form_of_a_secret_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "key").write_text("line-one/+&\nline-two\n")
    (tmp_path / "web" / "pin").write_text("7a")
    (tmp_path / "web.env").write_text("URL=postgres://u:p%40ss@db/x\nQUOTED='a b$$c'\n")
    hide = secrets.redactor([tmp_path])
    text = (
        "line-one/+& line-two line-one%2F%2B%26 bGluZS10d28 postgres://u:p%40ss@db/x 'a b$$c' [a b$c] 7a 17a9"
    )
    found = hide(text)
    for part in ("line", "postgres", "p%40", "a b", "bGlu"):
        assert part not in found, found
    assert "17a9" in found and " 7a " not in found


def test_owner_is_given_file_by_file_and_future_times_become_now(tmp_path: Path) -> None:
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "key").write_text("x")
    os.utime(folder / "key", (time.time() + 999,) * 2)
    secrets.give(folder, os.getuid())
    assert (folder / "key").stat().st_mtime <= time.time() + 0.1
    if os.getuid() == 0:
        secrets.give(folder, 4321)
        assert {path.stat().st_uid for path in (folder, folder / "key")} == {4321}


def test_link_is_never_followed(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "web").symlink_to("other")
    secrets.give(tmp_path / "web", 4321)
    assert (tmp_path / "other").stat().st_uid == os.getuid()


@pytest.mark.parametrize(("user", "uid"), [("", 0), ("root", 0), ("999:999", 999), ("70", 70), ("0:0", 0)])
def test_numeric_user_needs_no_container(user: str, uid: int) -> None:
    def run(*_: Any) -> Any:
        raise AssertionError

    assert secrets.image_uid(run, "image", user) == uid


def test_ages_come_from_what_is_listed_and_from_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "key").write_text("x")
    (tmp_path / "web.env").write_text("x")
    os.utime(tmp_path / "web" / "key", (500, 500))
    os.utime(tmp_path / "web", (900, 900))
    os.utime(tmp_path / "web.env", (300, 300))
    service = release.read(MANIFEST).services["web"]
    listed = service._replace(secrets=frozenset(["key"]), secret_env=True)
    assert facts.secrets(tmp_path, {"web": listed})["web"][:2] == (500, 300)
    assert facts.secrets(tmp_path, {"web": service})["web"][:2] == (0, 0)


# Programs


def test_commands_get_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERSION", "stray")
    monkeypatch.setenv("COMPOSE_FILE", "stray")
    assert not {"VERSION", "COMPOSE_FILE"} & set(environment())
    assert "stray" not in runner()(["env"]).out


def test_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! > {tmp_path}/child; sleep 60"
    assert runner()(["sh", "-c", script], timeout=0.3).code == TIMED_OUT
    child = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    until = time.monotonic() + 2
    while _lives(child) and time.monotonic() < until:  # the signal was sent; the kernel takes its moment
        time.sleep(0.01)
    assert not _lives(child)


def _lives(process: Path) -> bool:
    try:
        return process.read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_missing_program_is_said() -> None:
    assert runner()(["no-such-program"]).words == "no-such-program is not installed"


# The lock


def test_second_waits_and_then_names_the_holder(tmp_path: Path) -> None:
    told: list[str] = []
    lock = tmp_path / "run/lock"
    said = rf"drover apply \(pid {os.getpid()}, since"
    with held(lock, "apply", 1, told.append), pytest.raises(DroverError, match=said):  # noqa: SIM117
        with held(lock, "boot", 0.2, told.append):
            pass
    assert told and "waiting for drover apply" in told[0]
    with held(tmp_path / "run/lock", "boot", 0, told.append):
        pass


def test_lock_outlives_its_holder_as_long_as_its_command_runs(tmp_path: Path) -> None:
    """The agent is killed while `docker compose` works: the next one must not start beside it."""
    program = (
        "import os, threading, pathlib, drover.lock, drover.run\n"
        f"with drover.lock.held(pathlib.Path({str(tmp_path / 'lock')!r}), 'apply', 0, print) as lock:\n"
        " threading.Timer(0.1, lambda: os.kill(os.getpid(), 9)).start()\n"
        " drover.run.runner([lock])(['sleep', '1'])\n"
    )
    package = Path(compose.__file__).parent.parent
    subprocess.run([sys.executable, "-c", program], check=False, env={"PYTHONPATH": str(package)})
    with (
        pytest.raises(DroverError, match="which was killed; what it started still runs"),
        held(tmp_path / "lock", "apply", 0.1, print),
    ):
        pass
    with held(tmp_path / "lock", "apply", 5, print):
        pass


# The disk and the state


def test_file_is_replaced_whole_past_a_leftover(tmp_path: Path) -> None:
    (tmp_path / ".a.yml.tmp").write_text("left")
    disk.replace(tmp_path / "a.yml", "new")
    assert (tmp_path / "a.yml").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.yml"]


def test_link_is_moved_past_a_leftover(tmp_path: Path) -> None:
    (tmp_path / ".current.tmp").symlink_to("left")
    disk.point(tmp_path / "current", "releases/a")
    disk.point(tmp_path / "current", "releases/b")
    assert str((tmp_path / "current").readlink()) == "releases/b"


ROW = Row(1.0, "me", "apply", "shop", "r", "1", "ok", 1.0, "")


def test_state_is_kept(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    state.record_applied("shop", "r1", {"web": Seen("hash", frozenset(["a"]))}, 1.0)
    state.record(ROW)
    state.record_image_uids({"sha256:x": 999})
    state.close()
    again = State(tmp_path / "state.db", write=False)
    assert again.seen() == {"shop": {"r1": {"web": Seen("hash", frozenset(["a"]))}}}
    assert again.last()["shop"] == ROW and again.image_uids() == {"sha256:x": 999}
    assert (tmp_path / "state.db").stat().st_mode & 0o777 == 0o600


def test_old_releases_are_forgotten(tmp_path: Path) -> None:
    state = State(tmp_path / "state.db")
    for number in range(70):
        state.record_applied("shop", f"r{number}", {"web": Seen("h", frozenset())}, float(number))
    assert sorted(state.seen()["shop"]) == sorted(f"r{number}" for number in range(10, 70))


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_broken_state_is_put_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.db").write_bytes(content)
    assert State(tmp_path / "state.db").seen() == {}
    assert len(list(tmp_path.glob("state.db.broken-*"))) == 1


def test_reader_of_a_fresh_host_writes_nothing(tmp_path: Path) -> None:
    assert State(tmp_path / "var/state.db", write=False).seen() == {}
    assert not list(tmp_path.iterdir())


def test_two_that_open_a_new_state_at_the_same_time_both_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.db"
    looked: list[str] = []

    class Slow(sqlite3.Connection):
        """Sees a new file, and by then somebody else has made its tables."""

        def execute(self, statement: str, *values: Any) -> Any:
            found = super().execute(statement, *values)
            if "user_version" not in statement or looked:
                return found
            looked.append(statement)
            rows = found.fetchall()
            monkeypatch.undo()
            State(path).record(ROW)
            return SimpleNamespace(fetchone=lambda: rows[0])

    monkeypatch.setattr(database, "opened", lambda path: sqlite3.connect(path, factory=Slow))
    assert State(path).last()["shop"] == ROW


OLD = """
CREATE TABLE history (id INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL,
  stack TEXT NOT NULL, release TEXT NOT NULL, version TEXT NOT NULL, result TEXT NOT NULL,
  seconds REAL NOT NULL, detail TEXT NOT NULL);
CREATE TABLE events (id INTEGER PRIMARY KEY, at REAL NOT NULL, key TEXT NOT NULL, severity TEXT NOT NULL,
  title TEXT NOT NULL, body TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, next REAL NOT NULL DEFAULT 0,
  sent REAL);
INSERT INTO events (at, key, severity, title, body) VALUES (1, 'k', 'info', 'title', '');
PRAGMA user_version = 1;
"""


def test_state_of_an_older_agent_is_kept_and_changed_when_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as old:
        old.executescript(OLD)
    assert State(path, write=False).last() == {}
    assert State(path).db.execute("SELECT title, delivered, error FROM events").fetchall() == [
        ("title", "[]", "")
    ]
    State(path).record(ROW)
    assert State(path, write=False).last()["shop"] == ROW


def test_secrets_never_reach_an_error_of_a_command(tmp_path: Path) -> None:
    """Commands carry names and paths; a failure quotes the program's words, not what it was given."""
    call: Callable[..., Any] = runner()
    done = call(["sh", "-c", "exit 3"], stdin="hunter2")
    assert "hunter2" not in done.words


@pytest.mark.parametrize(
    ("answer", "goes"), [(b"HTTP/1.1 418 no\r\n\r\n", True), (b"HTTP/1.1 404 no\r\n\r\n", False)]
)
def test_proxy_goes_by_a_file_whose_mark_it_answers_itself(answer: bytes, goes: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        asked = health.Question("x", "127.0.0.1", Probe(server.getsockname()[1], "/"), "mark.invalid")

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                assert b"Host: mark.invalid" in connection.recv(2000)
                connection.sendall(answer)

        with ThreadPoolExecutor() as pool:
            served = pool.submit(serve)
            assert health.goes_by(asked) is goes
            served.result()
    assert not health.goes_by(asked), "nobody is there any more"
