"""What a file of another server is, and how it gets in; as far as that needs no Docker."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from drover.arguments import parser
from drover.backups import arrivals, dumps, importing, restic, room
from drover.backups.copies import Copy
from drover.backups.engines import mariadb, postgres
from drover.backups.engines.common import Named
from drover.backups.settings import Settings
from drover.layout import Layout
from drover.run import DroverError, Result, runner

PLAIN = rb"""--
-- PostgreSQL database dump
--

\restrict abc
SET client_encoding = 'UTF8';
CREATE TABLE public.items (id integer);
ALTER TABLE public.items OWNER TO "Old ""1"" one";
COPY public.items (id, note) FROM stdin;
1	x
GRANT ALL ON x TO nobody;
\.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT SELECT ON TABLE public.items TO readers WITH GRANT OPTION;
GRANT SELECT ON TABLE public.items TO pg_monitor;
ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA public GRANT SELECT ON TABLES TO reporter;
\unrestrict abc
--
-- PostgreSQL database dump complete
--

"""
CREATE = PLAIN.replace(
    b"CREATE TABLE",
    b"CREATE DATABASE old WITH TEMPLATE = template0;\nALTER DATABASE old OWNER TO shop;\n\\connect old\n"
    b"ALTER DATABASE old SET work_mem TO '4MB';\n\\connect old\nCREATE TABLE",
)
CLUSTER = b"""--
-- PostgreSQL database cluster dump
--
CREATE ROLE shop;
CREATE DATABASE shop WITH TEMPLATE = template0;
\\connect shop
--
-- PostgreSQL database dump
--
--
-- PostgreSQL database dump complete
--
--
-- PostgreSQL database cluster dump complete
--
"""
SQL = b"""/*M!999999\\- enable the sandbox mode */
-- MariaDB dump 10.19  Distrib 11.8
--
CREATE TABLE `items` (
  `id` int(11)
);
INSERT INTO `items` VALUES (1);
-- Dump completed on 2026-11-30  3:00:00
"""
SEVERAL = b"""-- MySQL dump 10.13  Distrib 8.0.40
-- Current Database: `mysql`
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `mysql`;
USE `mysql`;
CREATE TABLE `user` (x int);
-- Current Database: `old``shop`
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `old``shop`;
USE `old``shop`;
CREATE TABLE `items` (x int);
-- Dump completed
"""
RDB = b"REDIS0011\xfa\tredis-ver" + b"\xff" + b"12345678"
MONGO = b"\x6d\xe2\x99\x81" + b"x" * 90 + b"\xff" * 4


def tar() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        found = tarfile.TarInfo("one")
        found.size = 8192
        archive.addfile(found, io.BytesIO(b"x" * 8192))
    return made.getvalue()


WHOLE = {
    "pg_dump": (PLAIN, dumps.PLAIN),
    "pg_dump --create": (CREATE, dumps.PLAIN),
    "pg_dumpall": (CLUSTER, dumps.CLUSTER),
    "mysqldump": (SQL, dumps.SQL),
    "mysqldump --all-databases": (SEVERAL, dumps.SQL),
    "rdb": (RDB, dumps.RDB),
    "rdb as it was sent": (RDB + b"0123456789abcdef" * 2 + b"01234567", dumps.RDB),
    "mongodump": (MONGO, dumps.ARCHIVE),
    "tar": (tar(), dumps.TAR),
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


def read(path: Path, content: bytes) -> dumps.Dump:
    path.write_bytes(content)
    return dumps.read(dumps.recognise(path))


# What it is


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("packer", PACKERS)
def test_it_is_told_by_its_first_bytes(tmp_path: Path, name: str, packer: str) -> None:
    content, kind = WHOLE[name]
    found = read(tmp_path / "misleading.sql.gz", PACKERS[packer](content))
    assert (found.found.kind, found.found.packed, found.size) == (kind, packer, len(content))


@pytest.mark.parametrize("name", WHOLE)
def test_one_that_was_cut_off_is_refused(tmp_path: Path, name: str) -> None:
    content = WHOLE[name][0]
    with pytest.raises(DroverError, match="not whole"):
        read(tmp_path / "dump", content[: len(content) - len(content) // 4 - 5])


@pytest.mark.parametrize("packer", [each for each in PACKERS if each])
def test_one_that_was_packed_and_cut_off_is_refused(tmp_path: Path, packer: str) -> None:
    packed = PACKERS[packer](PLAIN + os.urandom(200_000) + PLAIN)
    with pytest.raises(DroverError, match=packer):
        read(tmp_path / "dump", packed[:-20])


def test_what_nobody_knows_is_refused(tmp_path: Path) -> None:
    for content, said in {
        b"": "known are",
        b"PK\3\4": "known are",
        b"CREATE TABLE x (y int);\n": "comments",
        b"toc.dat\0" + bytes(600): "-Fc",
    }.items():
        with pytest.raises(DroverError, match=said):
            read(tmp_path / "dump", content)
    with pytest.raises(DroverError, match="No such file"):
        dumps.recognise(tmp_path / "absent")


def test_a_program_that_is_not_here_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dumps, "PACKED", {b"\x1f\x8b": "no-such-gzip"})
    with pytest.raises(DroverError, match="no-such-gzip, which is not installed"):
        read(tmp_path / "dump", gzip.compress(PLAIN))


def test_a_folder_is_files(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 5000)
    found = dumps.read(dumps.recognise(tmp_path))
    assert found.found.kind is dumps.FOLDER and found.size >= 5000


def test_a_dump_for_another_engine_names_both(tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(SQL)
    job: Any = SimpleNamespace(name="ledger/db", wanted=SimpleNamespace(engine="postgres"))
    with pytest.raises(DroverError, match=r"MariaDB or MySQL, and ledger/db is a PostgreSQL"):
        importing.refuse(dumps.recognise(tmp_path / "dump"), job, free=True)


def test_names_of_files_can_be_shown(tmp_path: Path) -> None:
    for name in (b"not \xff utf-8", b"line\nbreak", "größe".encode()):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    place: Any = SimpleNamespace(place=tmp_path)
    job: Any = SimpleNamespace(key="x", name="files/x")
    nobody: Any = None
    told = Copy(nobody, job, {}, place, "").content()["files"]
    assert told.endswith(": größe, line?break, not ? utf-8") and told.startswith("3 files")


# What it names


def test_roles_that_a_dump_names(tmp_path: Path) -> None:
    named = read(tmp_path / "dump", PLAIN).named
    assert named.roles == {'Old "1" one', "readers", "maker", "reporter"}
    assert not named.databases


def test_databases_that_a_dump_makes(tmp_path: Path) -> None:
    assert read(tmp_path / "one", CREATE).named.databases == {"old"}
    assert read(tmp_path / "two", CLUSTER).named.databases == {"shop"}
    assert read(tmp_path / "three", SEVERAL).named.databases == {"old`shop"}
    assert not read(tmp_path / "four", SQL).named.databases


def test_a_dump_of_one_database_forgets_its_name() -> None:
    assert b"".join(postgres.theirs(io.BytesIO(CREATE), {})) == PLAIN


@pytest.mark.parametrize("nameless", [False, True])
def test_the_systems_own_tables_stay_out(nameless: bool) -> None:
    left = b"".join(mariadb.theirs(io.BytesIO(SEVERAL), {}, nameless=nameless))
    assert b"`user`" not in left and b"USE `mysql`" not in left and b"CREATE TABLE `items`" in left
    assert (b"USE `old``shop`" in left) is not nameless
    assert (b"CREATE DATABASE" in left) is not nameless


def test_roles_of_today_come_along() -> None:
    said = b'WARNING: no swap\nCREATE ROLE app;\nALTER ROLE app WITH SUPERUSER;\nCREATE ROLE "a b";\n'
    assert postgres.made_roles(said) == {"app", "a b"}
    assert postgres.of_roles(said, {"POSTGRES_USER": "app"}) == b'CREATE ROLE "a b";\n'


def test_roles_that_stand_in_go_again() -> None:
    before, after = postgres.instead(['a"b', "c"])
    assert before == b'CREATE ROLE "a""b";\nCREATE ROLE "c";\n'
    assert b'DROP ROLE "a""b", "c";' in after and after.startswith(b"REASSIGN OWNED")
    assert postgres.instead([]) == (b"", b"")


# Where to


def dump(kind: dumps.Kind, *databases: str, ours: bool = False) -> dumps.Dump:
    return dumps.Dump(dumps.Found(Path("/dump"), "", kind), 10, Named({*databases}, set(), ours))


def test_a_cluster_has_to_have_the_services_own_database() -> None:
    with pytest.raises(DroverError, match="the databases a, b and not shop"):
        arrivals.cluster(dump(dumps.CLUSTER, "a", "b"), {"POSTGRES_USER": "shop"})
    for variables in ({"POSTGRES_DB": "a", "POSTGRES_USER": "shop"}, {}):
        assert arrivals.cluster(dump(dumps.CLUSTER, "a", "b"), variables).words == "load"


@pytest.mark.parametrize(
    ("databases", "own", "expected"),
    [
        ((), "shop", "accept"),
        (("other",), "shop", "accept nameless"),
        (("other", "shop"), "shop", "accept"),
        (("other", "more"), "shop", "and not shop"),
        ((), "", "names no database"),
        (("other",), "", "accept"),
    ],
)
def test_where_a_mysqldump_goes(databases: tuple[str, ...], own: str, expected: str) -> None:
    variables = {"MARIADB_DATABASE": own} if own else {}
    try:
        way = arrivals.sql(dump(dumps.SQL, *databases), variables)
    except DroverError as error:
        assert expected in str(error)
        return
    left = b"".join(way.chunks(io.BytesIO(SEVERAL), variables))
    assert f"{way.words}{'' if b'USE' in left else ' nameless'}" == expected


def test_what_a_backup_took_is_loaded_as_one() -> None:
    assert arrivals.sql(dump(dumps.SQL, "a", "b", ours=True), {"MYSQL_DATABASE": "c"}).words == "load"


def test_what_can_be_typed() -> None:
    wish = parser().parse_args(["import", "shop/db", "/x", "--replace", "--no-owner"])
    assert (wish.command, wish.job, wish.path, wish.no_owner) == ("import", "shop/db", Path("/x"), True)


# The same room


def repository(place: str) -> restic.Restic:
    return restic.Restic(Layout(), runner(), Settings(place, "here", {}, 1.0, 0, 1))


def test_a_repository_that_cannot_be_written_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository(str(tmp_path)).need_writable()
    assert not [*tmp_path.iterdir()]
    for place in ("s3:https://x/y", "rest:http://x", f"{tmp_path}/absent"):
        repository(place).need_writable()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DroverError, match=f"{tmp_path} cannot be written: No space left"):
        repository(f"local:{tmp_path}").need_writable()


def test_a_command_that_does_not_end_has_said_something() -> None:
    done = runner()(["sh", "-c", "echo out; echo asked in vain >&2; sleep 9"], timeout=0.3)
    assert done == Result(124, "out\n", "asked in vain\nno end after 0 s")
    assert runner()(["sleep", "9"], timeout=0.1).words == "no end after 0 s"


def test_a_repository_that_does_not_answer_says_why() -> None:
    tried = "Stat(<config/>) returned error, retrying after 1s: dial tcp: connection refused"
    said = f"{tried}\nsignal terminated received\nFatal: context canceled\nno end after 120 s"
    told = str(repository("/x").failure(Result(124, "", said)))
    assert told == f"restic: {tried} (no end after 120 s)"


def test_a_copy_never_takes_the_name_of_a_container() -> None:
    def host(said: Result) -> Any:
        return SimpleNamespace(run=lambda command: said)

    room.need_free(host(Result(1, "", "no such container")), "look")
    with pytest.raises(DroverError, match="which is no copy"):
        room.need_free(host(Result(0, "\n", "")), "shop-db-1")
    with pytest.raises(DroverError, match="docker rm --force look && docker volume rm look"):
        room.need_free(host(Result(0, "ledger/db\n", "")), "look")
