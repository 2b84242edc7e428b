# GPL-3.0-or-later
"""What is backed up, by which names, and what the model refuses because no backup could bring it back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.drover.platform.plugins.filter.backup import of as filtered
from ansible_collections.drover.platform.plugins.plugin_utils import backup, release
from ansible_collections.drover.platform.plugins.plugin_utils import model as models
from ansible_collections.drover.platform.plugins.plugin_utils.schema import PLATFORM
from drover.backups import settings
from drover.layout import Layout
from drover.release import Manifest, read

COLLECTION = Path(__file__).resolve().parents[3] / "compose"
CHECKED = ", healthcheck: {test: [CMD, x]}"
DATABASE = "services: {db: {image: 'postgres:17.5', volumes: ['db:/var/lib/postgresql/data']MORE}}\n"
VOLUME = "volumes: {db: }\n"
REPOSITORY = {"repository": "s3:https://s3.eu-central-1.amazonaws.com/acme", "password": "k4nary-6b1f"}
Wrong = Callable[..., str]
Released = Callable[..., release.Release]


def database(more: str = "") -> str:
    return DATABASE.replace("MORE", more and f", {more}") + VOLUME


def one(image: str, volumes: str, more: str = "") -> str:
    """A file with one service, and the volumes `a` and `b`."""
    return (
        f"services: {{db: {{image: '{image}', volumes: {volumes}{CHECKED}{more}}}}}\nvolumes: {{a: , b: }}\n"
    )


def jobs(made: release.Release) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.manifest["backups"]
    return found


def names(made: release.Release) -> list[str]:
    return [job["name"] for job in jobs(made)]


def test_a_database_in_a_volume_of_its_own_name(released: Released) -> None:
    assert jobs(released(database())) == [
        {
            "name": "db",
            "engine": "postgres",
            "service": "db",
            "data": {"volume": "shop_db"},
            "target": "/var/lib/postgresql/data",
        }
    ]


@pytest.mark.parametrize(
    ("image", "target", "engine"),
    [
        ("postgres:17.5", "/var/lib/postgresql", "postgres"),
        ("registry.example:5000/acme/postgres:17@sha256:" + "0" * 64, "/var/lib/postgresql", "postgres"),
        ("postgis/postgis:17-3.5", "/var/lib/postgresql/data", "postgres"),
        ("pgvector/pgvector:pg17", "/var/lib/postgresql/data/", "postgres"),
        ("timescale/timescaledb:2.20.0-pg17", "/var/lib//postgresql/data", "postgres"),
        ("timescale/timescaledb-ha:pg17", "/home/postgres/pgdata/data", "postgres"),
        ("mariadb:11.4", "/var/lib/mysql", "mariadb"),
        ("mysql:8.4", "/var/lib", "mariadb"),
        ("percona:8.0", "/var/lib/mysql", "mariadb"),
        ("mongo:8.0.20", "/data", "mongodb"),
        ("valkey/valkey:8.1.1", "/data", "valkey"),
        ("docker.io/library/redis:7.4-alpine", "/data", "valkey"),
        ("acme/postgres-exporter:1", "/var/lib/postgresql", "volume"),
    ],
)
def test_engines_by_image(released: Released, image: str, target: str, engine: str) -> None:
    [job] = jobs(released(one(image, f"['a:{target}']")))
    assert job["engine"] == engine and job["name"] == ("a" if engine == "volume" else "db")
    assert job.get("target", "/") == ("/" if engine == "volume" else str(Path(target)))


@pytest.mark.parametrize("said", ["postgres", "mariadb", "mongodb", "valkey", "none"])
def test_the_label_says_it_better(released: Released, said: str) -> None:
    mounts = "['a:/var/lib/postgresql', 'a:/var/lib/mysql', 'a:/data']"
    for image in ("acme/ledger:3", "postgres:17.5"):
        [job] = jobs(released(one(image, mounts, f", labels: {{drover.engine: {said}}}")))
        assert job["engine"] == said.replace("none", "volume")


@pytest.mark.parametrize(
    ("image", "mounts", "more", "expected"),
    [
        ("postgres:17.5", "['a:/var/lib/postgresql', 'b:/var/lib/postgresql/data']", "", "b"),
        ("postgres:17.5", "['a:/var/lib/postgresql/wal', 'b:/var/lib/postgresql/data']", "", "b"),
        ("postgres:17.5", "['a:/var/lib/postgresql', 'b:/pg']", ", environment: {PGDATA: /pg/17}", "b"),
        ("mongo:8.0.20", "['a:/data', 'b:/data/db']", "", "b"),
        ("mongo:8.0.20", "['a:/data/configdb', 'b:/data/db']", "", "b"),
    ],
)
def test_of_several_mounts_the_data_s(
    released: Released, image: str, mounts: str, more: str, expected: str
) -> None:
    first, second = jobs(released(one(image, mounts, more)))
    other = {"a": "b", "b": "a"}[expected]
    assert [first["name"], second["name"]] == [other, "db"]
    assert second["data"] == {"volume": f"shop_{expected}"} and first["engine"] == "volume"


EVERYTHING = """
services:
  web:
    image: web:1
    healthcheck: {test: [CMD, x]}
    volumes:
      - uploads:/uploads
      - ./media/large:/media
      - ./conf:/conf:ro
      - ./one.conf:/one.conf
      - /mnt/nfs:/nfs
      - /anonymous
      - {type: tmpfs, target: /scratch}
      - memory:/memory
      - common:/common
  worker: {image: 'web:1', healthcheck: {test: [CMD, x]}, volumes: ['uploads:/in:ro', './media/large:/m']}
  prepare: {image: 'web:1', restart: 'no', volumes: ['prepared:/x']}
  asleep: {image: 'web:1', restart: 'no', profiles: [x], volumes: ['asleep:/x', 'uploads:/x']}
  cache: {image: 'valkey/valkey:8.1.1'}
volumes:
  {uploads: , prepared: , asleep: , unused: , memory: {driver_opts: {type: tmpfs}}, common: {name: of-old}}
"""
FILES = {"conf/a": "x", "one.conf": "x"}


def test_volumes_and_folders_of_data(released: Released) -> None:
    made = released(EVERYTHING, FILES)
    assert jobs(made) == [
        {"name": "common", "engine": "volume", "data": {"volume": "of-old"}, "services": ["web"]},
        {
            "name": "media/large",
            "engine": "volume",
            "data": {"folder": "media/large"},
            "services": ["web", "worker"],
        },
        {
            "name": "prepared",
            "engine": "volume",
            "data": {"volume": "shop_prepared"},
            "services": ["prepare"],
        },
        {
            "name": "uploads",
            "engine": "volume",
            "data": {"volume": "shop_uploads"},
            "services": ["web", "worker"],
        },
    ]
    assert "asleep" in names(released(EVERYTHING, FILES, profiles=["x"]))


def test_what_is_left_out_by_name(released: Released, wrong: Wrong) -> None:
    out = {"media/large": False, "prepared": False, "common": True}
    assert names(released(EVERYTHING, FILES, backup=out)) == ["common", "uploads"]
    assert names(released(database(), backup={"db": False})) == [], "nor as files that a server writes"
    found = wrong(EVERYTHING, FILES, backup={"upload": False})
    assert 'backup.upload: the stack keeps no data called "upload"; did you mean "uploads"?' in found
    assert "write one of: cache, common, media/large, prepared, uploads" in found


def test_a_database_s_own_volume_has_the_database_s_name(wrong: Wrong) -> None:
    for place in ("kept", "./kept"):
        text = OTHER.replace("MINE", place) + "volumes: {kept: }\n"
        found = wrong(text, backup={"kept": False})
        assert 'backup.kept: "kept" is the data of db; write db' in found
        assert wrong(text, backup={"db": False}) == ""


def test_one_word_for_a_whole_stack(wrong: Wrong) -> None:
    found = wrong(EVERYTHING, FILES, backup=False)
    names = ("cache", "common", "media/large", "prepared", "uploads")
    fix = ", ".join(f"{name}: false" for name in names)
    assert found.endswith(f"backup: found true or false (false) instead of a mapping; write {{{fix}}}")
    assert wrong(EVERYTHING, FILES, backup=dict.fromkeys(names, False)) == ""
    assert "write a mapping" in wrong(EVERYTHING, FILES, backup="x")
    assert "remove it: all that the stack keeps is backed up" in wrong(EVERYTHING, FILES, backup=True)
    stateless = "services: {web: {image: 'web:1', healthcheck: {test: [CMD, x]}}}"
    assert "remove it: the stack keeps no data" in wrong(stateless, backup=False)


def test_a_one_shot_of_a_database_s_image_is_none(released: Released) -> None:
    more = "  seed: {image: 'postgres:17.5', restart: 'no', volumes: ['seed:/seed']}\n"
    file = f"services:\n  db: {{image: 'postgres:17.5', volumes: ['a:/var/lib/postgresql']}}\n{more}"
    assert names(released(file + "volumes: {a: , seed: }\n")) == ["db", "seed"]


NO_PLACE = "services.db: the database keeps its data only as long as its container"


@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("postgres:17.5", "/var/lib/postgresql"),
        ("mariadb:11.4", "/var/lib/mysql"),
        ("mongo:8.0.20", "/data/db"),
    ],
)
@pytest.mark.parametrize("mounts", ["[]", "['a:/elsewhere']", "['PATH']", "[{type: tmpfs, target: PATH}]"])
def test_a_database_needs_a_place_for_its_data(wrong: Wrong, image: str, path: str, mounts: str) -> None:
    text = one(image, mounts.replace("PATH", path))
    found = wrong(text)
    assert f"{NO_PLACE}; mount a volume of the file at {path}, or backup: {{db: false}}" in found
    assert wrong(text, backup={"db": False}) == ""
    assert wrong(text.replace(CHECKED, f"{CHECKED}, labels: {{drover.engine: none}}")) == ""


def test_a_database_on_a_path_of_the_host(wrong: Wrong) -> None:
    text = one("postgres:17.5", "['/mnt/pg:/var/lib/postgresql/data']")
    assert 'services.db: its data lies in "/mnt/pg", which no backup covers; mount a volume' in wrong(text)
    assert wrong(text, backup={"db": False}) == ""


@pytest.mark.parametrize("key", ["scale: 2", "deploy: {replicas: 2}"])
def test_a_database_runs_once(wrong: Wrong, key: str) -> None:
    found = wrong(database(key))
    place = "services.db.deploy.replicas" if "deploy" in key else "services.db.scale"
    assert f"{place}: the database runs 2 times, and nothing says which one holds the data" in found
    assert "write one replica, or backup: {db: false} for this stack" in found
    assert wrong(database(key), backup={"db": False}) == ""


OTHER = "services:\n  db: {image: 'postgres:17.5', volumes: ['MINE:/var/lib/postgresql']}\n"
WEB = f"  web: {{image: 'web:1', volumes: ['THEIRS:/x']{CHECKED}}}\n"


def test_two_backups_of_one_name(wrong: Wrong) -> None:
    text = (OTHER + WEB).replace("MINE", "a").replace("THEIRS", "db") + "volumes: {a: , db: }\n"
    found = wrong(text)
    assert 'volumes.db: "db" would be the name of two backups, of a database and of a volume' in found
    assert "write another key for the volume, and name: shop_db for what it holds by now" in found
    assert wrong(text, backup={"db": False}) == ""
    text = (OTHER + WEB).replace("MINE", "a").replace("THEIRS", "./db") + "volumes: {a: }\n"
    assert (
        'services.web.volumes[0]: "db" would be the name of two backups, of a database and of a fo'
        in wrong(text)
    )
    text = OTHER.replace("MINE", "./db") + WEB.replace("'THEIRS:/x'", "'data:/x', './data:/y'")
    found = wrong(text + "volumes: {data: }\n")
    assert 'services.web.volumes[1]: "data" would be the name of two backups, of a volume and of' in found


def test_a_folder_that_no_backup_can_name(wrong: Wrong) -> None:
    text = one("web:1", "['./my data:/x']")
    assert 'services.db.volumes[0]: the folder "my data" is not a name that a backup can have' in wrong(text)


def test_the_proxy_keeps_nothing() -> None:
    for kind in ("traefik", "nginx"):
        found = models.load([], {"proxy": {"kind": kind}}, [COLLECTION], "proxy")
        assert release.build(found.stacks[0]).manifest["backups"] == []


def test_a_backup_before_each_deploy(released: Released) -> None:
    made = released(database(), platform={"backup": REPOSITORY}, deploy={"backup": "before"})
    assert made.manifest["deploy"]["backup"] is True and read(made.manifest).deploy.backup
    assert "backup" not in released(database()).manifest["deploy"]


# --- the agent's side


def test_the_agent_reads_what_the_model_writes(released: Released) -> None:
    found = read(released(EVERYTHING, FILES).manifest).backups
    assert [job.name for job in found] == ["common", "media/large", "prepared", "uploads"]
    assert found[0].volume == "of-old" and found[1].folder == "media/large"
    assert found[3] == ("uploads", "volume", "", "shop_uploads", "", "", ("web", "worker"), False)
    [job] = read(released(database()).manifest).backups
    assert job == ("db", "postgres", "db", "shop_db", "", "/var/lib/postgresql/data", (), False)


def changed(manifest: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**manifest, "backups": [{**manifest["backups"][0], **more}]}


def test_an_older_manifest_has_none(released: Released) -> None:
    manifest = released(database()).manifest
    del manifest["backups"]
    assert read(manifest).backups == () == Manifest("shop").backups


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "../db"),
        ("name", "-rf"),
        ("name", "a//b"),
        ("engine", "oracle"),
        ("service", "other"),
        ("service", None),
        ("target", "var/lib"),
        ("data", {"volume": "x y"}),
        ("data", {"folder": "../x"}),
        ("data", {"volume": "a-b", "folder": "x"}),
        ("data", {}),
        ("data", "shop_db"),
    ],
)
def test_the_agent_reads_strictly(released: Released, key: str, value: object) -> None:
    with pytest.raises(Exception, match="manifest of shop: backups"):
        read(changed(released(database()).manifest, **{key: value}))


# --- the platform's side


@pytest.mark.parametrize(
    "repository",
    [
        "s3:https://s3.eu-central-1.amazonaws.com/acme-backup",
        "s3:s3.amazonaws.com/acme/deep/er",
        "rest:https://backup.acme.example:8000",
        "rest:http://[fd00::1]:8000/acme",
        "sftp:drover@backup.acme.example:/srv/backup",
        "sftp://drover@backup.acme.example:2222//srv/backup",
        "b2:acme:drover",
        "azure:acme:/drover",
        "gs:acme:/drover",
        "swift:acme:/drover",
        "rclone:remote:acme/drover",
        "/mnt/backup",
    ],
)
def test_repositories(wrong: Wrong, repository: str) -> None:
    assert wrong(database(), platform={"backup": {**REPOSITORY, "repository": repository}}) == ""


@pytest.mark.parametrize(
    ("backup", "expected"),
    [
        ({"repository": "acme-backup"}, "repository: it is not a repository as restic writes it"),
        ({"repository": "s3:https://s3.amazonaws.com"}, "repository: it is not a repository"),
        ({"repository": "s3:s3.amazonaws.com/acme/"}, "repository: it is not a repository"),
        ({"repository": "b2:acme"}, "repository: it is not a repository"),
        ({"repository": "/"}, "repository: it is not a repository"),
        (
            {"repository": "rest:https://acme:hunter2@host/x"},
            "repository: its address holds a password; write user and password under environment",
        ),
        ({"repository": "sftp:acme:hunter2@host:/x"}, "repository: its address holds a password"),
        ({"password": None}, 'backup: the key "password" is missing; write the repository'),
        ({"password": "changeme"}, "password: found a placeholder; write the real value"),
        ({"password": "hunter2\nx"}, "password: found several lines, or a character that nobody sees"),
        ({"environment": {"B2_KEY": ""}}, "environment.B2_KEY: found an empty value"),
        ({"environment": {"B2_KEY": "a\nhunter2"}}, "environment.B2_KEY: found several lines"),
        ({"environment": {"B2_KEY": "a\u2028hunter2"}}, "environment.B2_KEY: found several lines"),
        ({"environment": {"b2-key": "x"}}, "environment.…: this name is not a variable name"),
        (
            {"environment": {"AWS_ACCESS_KEY_ID": "hunter2"}},
            "AWS_ACCESS_KEY_ID: in AWS the instance's own role counts, and no key lies on a host; remove it",
        ),
        ({"environment": {"AWS_SECRET_ACCESS_KEY": "x"}}, "no key lies on a host"),
        ({"environment": {"RESTIC_PASSWORD_FILE": "x"}}, "the platform sets this name itself"),
        ({"keep": {"hourly": -1}}, "keep.hourly: -1 is too small"),
        (
            {"keep": {"hourly": 0, "daily": 0, "weekly": 0, "monthly": 0}},
            "keep: no backup would stay; write 1 or more for one of them",
        ),
        ({"schedule": "often"}, 'schedule: "often" is not a time as systemd'),
        ({"verify": "*-*-* 04:40:00; rm"}, "is not a time as systemd"),
        ({"schedule": "daily at 3"}, 'schedule: "daily at 3" is not a time as systemd'),
        ({"verify": "0 3 * * *"}, 'verify: "0 3 * * *" is not a time as systemd'),
        (
            {"max_age_hour": 5},
            'backup.max_age_hour: no such key; did you mean "max_age_hours"?; write',
        ),
        ({"frequency": "daily"}, "drover_platform.backup.frequency: no such key; write one of: repository, "),
        ({"max_age_hours": 0}, "max_age_hours: 0 is too small"),
        ({"reserve": "2"}, 'reserve: "2" is not a size'),
        ({"safety_days": 0}, "safety_days: 0 is too small"),
    ],
)
def test_mistakes_of_the_platform(wrong: Wrong, backup: dict[str, Any], expected: str) -> None:
    found = wrong(database(), platform={"backup": {**REPOSITORY, **backup}})
    assert expected in found and "drover_platform.backup" in found and "hunter2" not in found


@pytest.mark.parametrize(
    "when", ["daily", "*-*-* 00/6:20:00", "Sun *-*-* 03:10", "Mon..Fri 22:30 Europe/Berlin"]
)
def test_times(wrong: Wrong, when: str) -> None:
    keys = dict.fromkeys(("schedule", "verify", "retention"), when)
    assert wrong(database(), platform={"backup": {**REPOSITORY, **keys}}) == ""


def test_without_a_repository_nothing_else_is_needed(wrong: Wrong, released: Released) -> None:
    assert wrong(database(), platform={"backup": {}}) == ""
    assert names(released(database())) == ["db"], "who adds a repository makes no new release"
    assert PLATFORM.keys["backup"].keys["repository"].default is None


# --- what a host is told


def told(host: str = "web", **platform: Any) -> dict[str, Any]:
    found, wrong = backup.load({"backup": REPOSITORY, **platform}, host)
    assert not wrong, wrong
    return found


def test_a_host_has_a_repository_of_its_own() -> None:
    ours = REPOSITORY["repository"]
    assert told()["told"]["repository"] == f"{ours}/production/web"
    found = told(client="acme", environment="staging")
    assert found["told"]["repository"] == f"{ours}/acme/staging/web"
    assert found["times"] == {
        "backup": "*-*-* 04/6:20:00",
        "verify": "*-*-* 23:20:00",
        "retention": "Sun *-*-* 03:10:00",
    }


def test_its_key_is_no_part_of_what_everybody_reads() -> None:
    found = told(backup={**REPOSITORY, "environment": {"B": "b c", "A": "$a"}})
    assert found["secrets"] == {backup.PASSWORD: "k4nary-6b1f\n", backup.ENVIRONMENT: "A=$a\nB=b c\n"}
    assert "k4nary" not in str(found["told"]) and told()["secrets"].keys() == {backup.PASSWORD}


def test_without_a_repository_no_key_lies_on_the_host() -> None:
    found = told(backup={"password": "k4nary-6b1f", "environment": {"A": "a"}})
    assert found["told"]["repository"] == "" and found["secrets"] == {}
    assert told(backup=None)["told"]["repository"] == ""


def test_the_agent_reads_what_it_is_told(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.backup.parent.mkdir(parents=True)
    found = told(backup={**REPOSITORY, "reserve": "3g", "environment": {"B2_ACCOUNT_KEY": "a = $b"}})
    layout.backup.write_text(json.dumps(found["told"]))
    for path, content in found["secrets"].items():
        (tmp_path / path.lstrip("/")).write_text(content)
    read_back = settings.read(layout)
    assert read_back and read_back.repository.endswith("/acme/production/web")
    assert (read_back.host, read_back.reserve, read_back.max_age) == ("web", 3 << 30, 26 * 3600)
    assert read_back.environment == {"B2_ACCOUNT_KEY": "a = $b"}
    layout.backup.write_text(json.dumps(told(backup=None)["told"]))
    assert settings.read(layout) is None


def test_the_filter_refuses_what_validate_would() -> None:
    assert filtered({"backup": REPOSITORY}, "web") == told()
    assert filtered(None, "web")["secrets"] == {}
    for platform, host in (({"backup": {"repository": "x"}}, "web"), ({"backup": REPOSITORY}, "a b")):
        with pytest.raises(AnsibleFilterError, match="The inventory has 1 problem; nothing was changed"):
            filtered(platform, host)


def test_hosts_that_verify_each_other() -> None:
    platform = {"client": "acme", "environment": "production", "backup": REPOSITORY}
    told = filtered(platform, "check", (), ["db"], "")["told"]
    root = f"{REPOSITORY['repository']}/acme/production"
    assert told["verifies"] == {"db": f"{root}/db"} and told["repository"] == f"{root}/check"
    assert filtered(platform, "db", (), (), "check")["told"]["verified_by"] == "check"


@pytest.mark.parametrize(
    ("verifies", "by", "said"),
    [
        (["db", "check"], "", r"backup_verifies\[1\].*it is this host itself"),
        (["a/b"], "", r"backup_verifies\[0\]"),
        ([1], "", r"backup_verifies\[0\].*it is no text"),
        ([], "check", "backup_verified_by.*it is this host itself"),
    ],
)
def test_hosts_that_cannot_verify(verifies: list[Any], by: str, said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        filtered({"backup": REPOSITORY}, "check", (), verifies, by)


def test_nothing_is_verified_without_a_repository() -> None:
    with pytest.raises(AnsibleFilterError, match=r"backup_verifies.*there is no repository"):
        filtered({}, "check", (), ["db"])
