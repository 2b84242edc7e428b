"""Verification on another host: what a record says of a server, and what of that counts where it is read."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from drover.backups import copies, elsewhere, ledger, servers, settings
from drover.backups.engines import mongodb, postgres
from drover.backups.jobs import Job
from drover.backups.restic import Snapshot
from drover.backups.servers import Mount, Server
from drover.host import Host
from drover.layout import Layout
from drover.release import Job as Wanted
from drover.release import Manifest
from drover.run import DroverError, Result
from drover.state import State

JOB = Job(Manifest("shop"), Wanted("db", "postgres", "db", "shop_db", target="/var/lib/postgresql/data"))
DIGEST = "postgres@sha256:" + "1" * 64
SERVER = Server(
    identity="c1",
    name="shop-db-1",
    running=True,
    image="postgres:17",
    image_id="sha256:" + "2" * 64,
    variables={"POSTGRES_USER": "shop", "POSTGRES_PASSWORD_FILE": "/run/secrets/a", "PGPASSWORD": "k4nary"},
    mounts=(Mount("/opt/a", "/run/secrets"), Mount("/opt/spool", "/opt/pgbackrest-spool")),
    options=(*servers.CLOSED, "--memory=1000", "--cap-add=CHOWN"),
    words=("docker-entrypoint.sh", "postgres"),
    uid=0,
    grace=30,
)


class Engine:
    """Docker, as far as it knows images; what it was told to run."""

    def __init__(self, here: dict[str, str], pulled: dict[str, str]) -> None:
        self.here, self.pulled = here, pulled
        self.did: list[list[str]] = []

    def __call__(self, command: list[str], **_: Any) -> Result:
        self.did.append(command)
        name = command[-1]
        if command[1:3] == ["image", "inspect"] and "RepoDigests" in command[-2]:
            return Result(0, json.dumps([DIGEST]), "")
        if command[1] == "pull":
            self.here |= {each: self.pulled[each] for each in [name] if each in self.pulled}
            return Result(int(name not in self.pulled), "", f"no such host: {name}")
        if command[1] == "info":
            return Result(0, "/var/lib/docker\n", "")
        return Result(int(name not in self.here), self.here.get(name, "") + "\n", "")


def hosted(tmp_path: Path, docker: Engine) -> Host:
    layout = Layout(tmp_path)
    layout.state.parent.mkdir(parents=True)
    return Host(layout, docker, State(layout.state), lambda _: None)  # type: ignore[arg-type]


def recorded(host: Host) -> dict[str, Any]:
    found = servers.described(host, JOB, SERVER, postgres)
    told = {"engine": "postgres", "image": SERVER.image, "image_id": SERVER.image_id, "bytes": 5}
    return {**told, "server": json.loads(json.dumps(found))}


def copied(host: Host, told: dict[str, Any]) -> Server:
    what = elsewhere._copied(host, elsewhere._named("shop/db"), told)
    assert what.like and what.job.wanted.target == JOB.wanted.target
    return what.like


def test_a_record_has_no_password_and_a_copy_has_its_own(tmp_path: Path) -> None:
    host = hosted(tmp_path, Engine({SERVER.image_id: SERVER.image_id}, {}))
    told = recorded(host)
    assert "k4nary" not in json.dumps(told)
    made = copied(host, told)
    assert (
        made.options == (*servers.CLOSED, *elsewhere.LIMITS, *SERVER.options[2:])
        and made.words == SERVER.words
    )
    (mount,) = made.mounts
    password = Path(mount.source).read_text()
    assert mount.target == "/run/secrets/a" and len(password) == 32
    assert made.variables == {**SERVER.variables, "PGPASSWORD": password}


def test_the_image_is_fetched_by_its_digest(tmp_path: Path) -> None:
    docker = Engine({}, {DIGEST: "sha256:new"})
    host = hosted(tmp_path, docker)
    assert copied(host, recorded(host)).image_id == "sha256:new"
    assert [each[-1] for each in docker.did if each[1] == "pull"] == [DIGEST]


def test_an_image_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    host = hosted(tmp_path, Engine({}, {}))
    with pytest.raises(elsewhere.UnfitError, match=r"postgres:17 cannot be had here: no such host"):
        copied(host, recorded(host))


@pytest.mark.parametrize(
    "odd",
    [
        {"options": ["--privileged"]},
        {"options": ["--cap-add=SYS_ADMIN"]},
        {"options": ["--memory=1 --privileged"]},
        {"options": ["--tmpfs=/x:exec,--volume=/:/host"]},
        {"target": "/data,volume-opt=device=/"},
        {"digests": ["--all"]},
        {"variables": {"../../etc/PASSWORD_FILE": "/run/x"}},
        {"variables": {"PATH": "/var/lib/docker/volumes/drover-scratch-shop-db/_data:/usr/bin"}},
        {"variables": {"LD_PRELOAD": "/x"}},
        {"variables": {"POSTGRES_PASSWORD_FILE": "/run/x,source=/etc/shadow"}},
    ],
)
def test_a_record_makes_nothing_but_a_container(tmp_path: Path, odd: dict[str, Any]) -> None:
    """Whoever took the other host over wrote it."""
    host = hosted(tmp_path, Engine({SERVER.image_id: SERVER.image_id}, {}))
    told = recorded(host)
    told["server"] |= odd
    with pytest.raises(elsewhere.UnfitError, match="no server is made with here"):
        copied(host, told)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"server": None}, "the next backup's does"),
        ({"engine": "other"}, "other is not known here"),
        ({"engine": "volume", "parts": {"../x": "1"}, "databases": []}, "outside of the volume"),
        ({"engine": "volume", "parts": {}, "databases": ["/etc/passwd"]}, "outside of the volume"),
    ],
)
def test_what_cannot_be_compared_here_is_told(tmp_path: Path, odd: dict[str, Any], said: str) -> None:
    host = hosted(tmp_path, Engine({SERVER.image_id: SERVER.image_id}, {}))
    with pytest.raises(elsewhere.UnfitError, match=said):
        elsewhere._copied(host, JOB, {**recorded(host), **odd})


@pytest.mark.parametrize(
    ("mount", "variables"),
    [
        (Mount("/x", "/etc/postgresql.conf"), {}),
        (Mount("/x", "/run/secrets/user"), {"POSTGRES_USER_FILE": "/run/secrets/user"}),
    ],
)
def test_a_configuration_of_its_own_is_told(tmp_path: Path, mount: Mount, variables: dict[str, str]) -> None:
    host = hosted(tmp_path, Engine({SERVER.image_id: SERVER.image_id}, {}))
    which = SERVER._replace(mounts=(*SERVER.mounts, mount), variables={**SERVER.variables, **variables})
    told = {**recorded(host), "server": servers.described(host, JOB, which, postgres)}
    with pytest.raises(elsewhere.LeftError, match=rf"its own host does: it needs {mount.target}"):
        copied(host, told)
    assert servers.reads(SERVER, mongodb) and not servers.reads(SERVER, postgres)


def test_a_link_leads_a_database_nowhere_else(tmp_path: Path) -> None:
    place, outside, staging = tmp_path / "place", tmp_path / "outside", tmp_path / "staging"
    for each in (place, outside, staging / "folder"):
        each.mkdir(parents=True)
    (staging / "file").write_text("new")
    (staging / "folder" / "kept").write_text("new")
    (outside / "kept").write_text("kept")
    (place / "folder").symlink_to(outside)
    (place / "file").symlink_to(outside / "kept")
    with pytest.raises(DroverError, match="leads out of the volume"):
        copies._put(staging, place, "folder/kept")
    copies._put(staging, place, "file")
    assert (outside / "kept").read_text() == "kept" and (place / "file").read_text() == "new"


class Repository:
    """Verdicts of another host."""

    settings = settings.Settings("/srv/x", "web", {}, 1.0, 0, 1, verified_by="check")

    def __init__(self, *results: str) -> None:
        self.results = results

    def snapshots(self, *_: str) -> list[Snapshot]:
        found = []
        for number, result in enumerate(self.results):
            of = f"of=s{number}"
            for name, *tags in (("s", "data"), ("r", "record", of), ("v", "verdict", of, f"result={result}")):
                if result or name != "v":
                    identity = f"{name}{number}"
                    found.append(Snapshot(identity, float(number), frozenset((*tags, JOB.tag)), ("/x",), ""))
        return found

    def text(self, snapshot: Snapshot) -> str:
        failed = "result=failed" in snapshot.tags
        return json.dumps({"text": "one row differs" if failed else ""})


def test_verdicts_of_another_host_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(elsewhere, "report", lambda _, event: events.append(event.title))
    host = hosted(tmp_path, Engine({}, {}))
    with closing(host.state):
        said = elsewhere.heard(host, Repository(""), [JOB])["shop/db"]  # type: ignore[arg-type]
        assert said.result == elsewhere.WAITS and "check has not said" in said.text
        assert not host.state.kept()
        for _ in range(2):
            repository = Repository("verified", "failed", "")
            said = elsewhere.heard(host, repository, [JOB])["shop/db"]  # type: ignore[arg-type]
            assert (said.result, said.text) == (ledger.FAILED, "one row differs")
        assert events == ["shop/db: verify failed on check"]
        assert [(row.snapshot, row.result) for row in host.state.kept("shop/db")] == [
            ("s0", "verified"),
            ("s1", "failed"),
        ]
