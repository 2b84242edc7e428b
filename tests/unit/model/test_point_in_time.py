"""Point in time: what is added to a database's service, what its host is told, and what is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.drover.platform.plugins.filter.backup import of as filtered
from ansible_collections.drover.platform.plugins.plugin_utils import backup, pgbackrest, release
from ansible_collections.drover.platform.plugins.plugin_utils.derive import point_in_time
from drover.release import read

FILE = """
services: {db: {image: 'postgres:17.5', volumes: ['db:/var/lib/postgresql/data']MORE}}
volumes: {db: }
"""
BACKUP = {"repository": "s3:https://s3.eu-central-1.amazonaws.com/acme", "password": "k4nary-6b1f"}
WISH: dict[str, Any] = {"platform": {"backup": BACKUP}, "backup": {"db": {"point_in_time": True}}}
Wrong = Callable[..., str]


def file(more: str = "") -> str:
    return FILE.replace("MORE", more and f", {more}")


def test_the_server_hands_its_log_to_a_folder(override: Callable[..., Any]) -> None:
    service = override(file(), **WISH)["services"]["db"]
    assert service["command"][0] == "postgres"
    assert (
        "archive_mode=on" in service["command"]
        and f"archive_timeout={point_in_time.SECONDS}" in service["command"]
    )
    (command,) = (word for word in service["command"] if word.startswith("archive_command"))
    assert "pgbackrest" in command, "pgBackRest refuses another one"
    mounts = {each["target"]: each for each in service["volumes"]}
    assert mounts["/var/spool/pgbackrest"]["source"] == "/var/lib/drover/wal/shop/db"
    assert mounts["/opt/pgbackrest-spool"]["read_only"] and mounts["/opt/pgbackrest-spool"][
        "source"
    ].startswith("/srv/")
    assert not mounts["/var/spool/pgbackrest"].get("read_only")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("command: [postgres, -c, fsync=on]", ["postgres", "-c", "fsync=on"]),
        ("command: postgres -c 'log_line_prefix=%m '", ["postgres", "-c", "log_line_prefix=%m "]),
        ("command: '-c work_mem=${VERSION}MB'", ["-c", "work_mem=${VERSION}MB"]),
        ("command: [postgres, -c, 'a.b=$$x']", ["postgres", "-c", "a.b=$$x"]),
    ],
)
def test_its_own_command_stays(override: Callable[..., Any], said: str, expected: list[str]) -> None:
    found = override(file(said).replace("17.5", "${VERSION}"), version="17", **WISH)["services"]["db"][
        "command"
    ]
    assert found[: len(expected)] == expected and "archive_mode=on" in found[len(expected) :]


def test_who_does_not_ask_for_it_has_nothing_of_it(released: Callable[..., release.Release]) -> None:
    plain = released(file(), platform={"backup": BACKUP})
    other = released(file(), platform={"backup": BACKUP}, backup={"db": {"point_in_time": False}})
    assert plain.manifest == other.manifest and plain.files == other.files
    assert "archive" not in plain.files["platform.yaml"].decode()
    assert not plain.shipped


def test_the_agent_reads_that_the_log_is_kept(released: Callable[..., release.Release]) -> None:
    made = released(file(), **WISH)
    assert [job.point_in_time for job in read(made.manifest).backups] == [True]
    assert [each.name for each in made.shipped] == ["pgbackrest-spool"]
    assert [job.point_in_time for job in read(released(file()).manifest).backups] == [False]


@pytest.mark.parametrize(
    ("more", "change", "expected"),
    [
        ("", {"platform": {}}, "backup.db.point_in_time: there is no repository for backups"),
        (
            "",
            {"platform": {"backup": {**BACKUP, "repository": "rest:https://h/x"}}},
            "backup.db.point_in_time: pgBackRest does not reach a repository of this kind; write",
        ),
        (
            "",
            {"platform": {"backup": {**BACKUP, "repository": "s3:http://h/x"}}},
            "does not reach a repository",
        ),
        ("", {"backup": {"dbb": {"point_in_time": True}}}, '"dbb" is no service with PostgreSQL'),
        ("", {"backup": {"db": {"point_in_tim": True}}}, "no such key"),
        ("", {"backup": {"db": {"point_in_time": "yes"}}}, "instead of true or false"),
        ("command: [sh, -c, x]", {}, "services.db.command: no settings can stand after it, which backup.db"),
        ("entrypoint: [/x]", {}, "services.db.entrypoint: no settings can stand after it"),
        (
            "command: [postgres, -c, archive_mode=on]",
            {},
            "it sets archive_mode, which backup.db.point",
        ),
        ("deploy: {replicas: 2}", {}, "the database runs 2 times"),
    ],
)
def test_mistakes(wrong: Wrong, more: str, change: dict[str, Any], expected: str) -> None:
    found = wrong(file(more), **{**WISH, **change})
    assert expected in found, found


def test_another_database_has_no_log(wrong: Wrong) -> None:
    text = "services: {db: {image: 'mariadb:11', volumes: ['db:/var/lib/mysql']}}\nvolumes: {db: }\n"
    assert '"db" is no service with PostgreSQL' in wrong(text, **WISH)


# --- the script that runs in the database's container


def run(tmp_path: Path, name: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "script"
    script.write_text(point_in_time.SCRIPT.replace("/var/spool/pgbackrest", str(tmp_path / "spool")))
    words = ["sh", str(script), str(tmp_path / name), name]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_a_segment_lies_in_the_folder_once_and_whole(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "00000001").write_bytes(b"one")
    for _ in range(2):
        assert run(tmp_path, "00000001").returncode == 0
    assert [each.name for each in (tmp_path / "spool").iterdir()] == ["00000001"]
    (tmp_path / "00000001").write_bytes(b"two")
    done = run(tmp_path, "00000001")
    assert done.returncode == 1 and "another segment" in done.stderr
    assert (tmp_path / "spool/00000001").read_bytes() == b"one"


def test_a_full_folder_takes_no_more_and_notes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "00000001").write_bytes(b"one")
    monkeypatch.setattr(point_in_time, "SCRIPT", point_in_time.SCRIPT.replace("4194304", "0"))
    assert run(tmp_path, "00000001").returncode == 0
    assert [each.name for each in (tmp_path / "spool").iterdir()] == ["lost"]
    assert (tmp_path / "spool/lost").read_text() == "00000001\n"


# --- pgBackRest's configuration


def options(repository: str, **more: Any) -> dict[str, str]:
    platform = {"backup": {**BACKUP, "repository": repository, **more}}
    found, wrong = backup.load(platform, "web", [{"name": "shop", "backup": WISH["backup"]}])
    assert not wrong and found["point_in_time"]
    first, *lines = found["secrets"][pgbackrest.PATH].splitlines()
    assert first == "[global]"
    return dict(line.split("=", 1) for line in lines)


def test_in_s3_it_lies_beside_restics_by_the_instances_role() -> None:
    found = options("s3:https://s3.eu-central-1.amazonaws.com/acme/deep")
    assert found["repo1-path"] == "/deep/production/web/pgbackrest" and found["repo1-s3-bucket"] == "acme"
    assert found["repo1-s3-endpoint"] == "s3.eu-central-1.amazonaws.com"
    assert (found["repo1-s3-region"], found["repo1-s3-uri-style"]) == ("eu-central-1", "host")
    assert found["repo1-s3-key-type"] == "auto" and not [
        name for name in found if "s3-key" in name and "type" not in name
    ]
    other = options("s3:https://s3.acme.example:9000/acme", environment={"AWS_REGION": "home"})
    assert (other["repo1-s3-endpoint"], other["repo1-storage-port"]) == ("s3.acme.example", "9000")
    assert (other["repo1-s3-region"], other["repo1-s3-uri-style"]) == ("home", "path")


def test_in_a_folder_and_always_encrypted() -> None:
    found = options("/srv/backup", keep={"daily": 9})
    assert (found["repo1-type"], found["repo1-path"]) == ("posix", "/srv/backup/production/web/pgbackrest")
    assert (found["repo1-cipher-type"], found["repo1-cipher-pass"]) == ("aes-256-cbc", "k4nary-6b1f")
    assert (found["repo1-retention-full-type"], found["repo1-retention-full"]) == ("time", "9")
    assert found["expire-auto"] == "n", "what is in doubt stays"


def test_a_host_without_such_a_stack_gets_nothing_of_it() -> None:
    for stacks in (
        [],
        None,
        [{"name": "shop", "backup": {"db": False}}],
        [{"backup": {"db": {"point_in_time": False}}}],
    ):
        found = filtered({"backup": BACKUP}, "web", stacks)
        assert not found["point_in_time"] and pgbackrest.PATH not in found["secrets"], stacks
    assert not filtered({}, "web", [{"backup": WISH["backup"]}])["point_in_time"]
