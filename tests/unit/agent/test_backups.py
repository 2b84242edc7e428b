"""Backups, as far as they need neither restic nor Docker."""

from __future__ import annotations

import configparser
import io
import json
import os
import shutil
import sqlite3
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from drover.backups import backup, files, jobs, ledger, overview, retention, room, sqlite
from drover.backups.engines import ENGINES, mariadb, postgres
from drover.backups.ledger import Complete
from drover.backups.parts import REST, START, Line, Parts, Reader, differences
from drover.backups.restic import BUSY, Restic, Snapshot, errors, summary
from drover.backups.settings import Settings
from drover.host import Host
from drover.layout import Layout
from drover.release import Job as Wanted
from drover.release import Manifest
from drover.run import DroverError, Result, runner
from drover.state import Kept, State
from hypothesis import given
from hypothesis import strategies as some

HOUR = 3600.0
PROMISED = 256  # MiB for a job
ROLE = Path(__file__).resolve().parents[3] / "roles/backup"

POSTGRES = rb"""--
-- PostgreSQL database cluster dump
--
\restrict abc
SET default_transaction_read_only = off;
CREATE ROLE app;
ALTER ROLE app WITH SUPERUSER PASSWORD 'SCRAM-SHA-256$4096:one';
CREATE ROLE reader;
ALTER ROLE reader WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:two';
\connect app
CREATE TABLE public.people (id integer, name text);
COPY public.people (id, name) FROM stdin;
1	Ann
2	Bo\tb
\.
COPY public.nobody (id) FROM stdin;
\.
\connect -reuse-previous=on "dbname='odd name'"
CREATE ROLE app;
COPY public.people (id, name) FROM stdin;
1	Ann
\.
\unrestrict abc
"""

MARIADB = b"""/*M!999999\\- enable the sandbox mode */
-- MariaDB dump
USE `shop`;
CREATE TABLE `people` (
  `id` int(11)
);
INSERT INTO `people` VALUES
(1),(2);
INSERT INTO `odd``name` VALUES (1);
GRANT in the text of `root`@`a procedure`
-- drover: users
CREATE USER `root`@`%` IDENTIFIED BY PASSWORD '*one';
GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION;
GRANT `boss` TO `root`@`%` WITH ADMIN OPTION;
CREATE USER `shop`@`%` IDENTIFIED BY PASSWORD '*two';
"""


def parts(dump: bytes, engine: str, size: int, **variables: str) -> dict[str, str]:
    found: Reader = ENGINES[engine].reader(variables)
    for at in range(0, len(dump), size):
        found.feed(dump[at : at + size])
    return found.found()


# Parts


def test_postgres_tables_are_parts_with_their_rows() -> None:
    found = parts(POSTGRES, "postgres", 10_000, POSTGRES_USER="app")
    assert {name: value.rpartition(" ")[0] for name, value in found.items()} == {
        REST: "",
        "app: public.people": "2 rows",
        "app: public.nobody": "0 rows",
        "\"dbname='odd name'\": public.people": "1 rows",
    }


@given(some.integers(1, 400))
def test_parts_do_not_depend_on_how_the_bytes_come(size: int) -> None:
    for dump, engine in ((POSTGRES, "postgres"), (MARIADB, "mariadb")):
        assert parts(dump, engine, size) == parts(dump, engine, 1 << 20)


@given(
    some.lists(some.binary(max_size=3 * START).map(lambda each: each.replace(b"\n", b"")), max_size=8),
    some.integers(1, 999),
)
def test_every_byte_counts(lines: list[bytes], size: int) -> None:
    """Lines of any length, the last without an end."""

    def told(content: bytes) -> dict[str, str]:
        found = Parts(lambda start: Line("x" if start[:1] < b"m" else ""))
        for at in range(0, len(content), size):
            found.feed(content[at : at + size])
        return found.found()

    whole = b"\n".join(lines)
    changed = bytes([whole[-1] ^ 1]) if whole and whole[-1:] not in (b"\n", b"\x0b") else b""
    if changed:
        assert told(whole) != told(whole[:-1] + changed)


def test_one_row_more_or_another_one_is_a_difference() -> None:
    before = parts(POSTGRES, "postgres", 100, POSTGRES_USER="app")
    other = parts(POSTGRES.replace(b"2\tBo", b"2\tBe"), "postgres", 100, POSTGRES_USER="app")
    more = parts(POSTGRES.replace(b"2\tBo", b"3\tX\n2\tBo"), "postgres", 100, POSTGRES_USER="app")
    (said,) = differences(before, more)
    assert said.startswith("app: public.people: 2 rows (") and ", 3 rows (" in said
    assert len(differences(before, other)) == 1
    assert differences(before, before) == []


def test_a_table_that_is_missing_is_a_difference() -> None:
    assert differences({"a": "1 rows x", "b": "y"}, {"a": "1 rows x"}) == [
        "b: y in the backup, nothing in the copy"
    ]
    assert len(differences({str(number): "x" for number in range(50)}, {})) == 9


@pytest.mark.parametrize(
    ("dump", "engine", "one", "two"),
    [
        (POSTGRES, "postgres", b"SHA-256$4096:one", b"SHA-256$4096:six"),
        (MARIADB, "mariadb", b"'*one'", b"'*six'"),
    ],
)
def test_the_password_of_this_host_is_no_difference(dump: bytes, engine: str, one: bytes, two: bytes) -> None:
    told = {"POSTGRES_USER": "app"}
    assert parts(dump, engine, 100, **told) == parts(dump.replace(one, two), engine, 100, **told)


@pytest.mark.parametrize(
    ("dump", "engine", "one", "two"),
    [
        (POSTGRES, "postgres", b"SHA-256$4096:two", b"SHA-256$4096:six"),
        (MARIADB, "mariadb", b"'*two'", b"'*six'"),
    ],
)
def test_another_users_password_is_one(dump: bytes, engine: str, one: bytes, two: bytes) -> None:
    told = {"POSTGRES_USER": "app"}
    assert parts(dump, engine, 100, **told) != parts(dump.replace(one, two), engine, 100, **told)


def test_mariadb_tables_are_parts() -> None:
    found = parts(MARIADB, "mariadb", 50)
    assert {"`shop`: `people`", "`shop`: `odd``name`"} <= {*found}


def test_what_the_image_made_is_not_loaded_again() -> None:
    loaded = b"".join(postgres.filtered(io.BytesIO(POSTGRES), {"POSTGRES_USER": "app"}))
    assert loaded.count(b"CREATE ROLE app;") == 1, "the one in a database's own text"
    assert b"CREATE ROLE reader;" in loaded and loaded.endswith(b"\\unrestrict abc\n")
    loaded = b"".join(mariadb.filtered(io.BytesIO(MARIADB), {}))
    assert loaded == b"".join(
        line
        for line in MARIADB.splitlines(keepends=True)
        if b"root" not in line or b"procedure" in line or b"boss" in line
    )


@given(some.integers(1, 400))
def test_the_users_of_a_dump_are_found_however_the_bytes_come(size: int) -> None:
    class Stream(io.BytesIO):
        def read(self, most: int | None = -1) -> bytes:
            return super().read(-1 if most is None or most < 0 else size)

    whole = b"".join(mariadb.filtered(io.BytesIO(MARIADB), {}))
    assert b"".join(mariadb.filtered(Stream(MARIADB), {})) == whole


@pytest.mark.parametrize("engine", ENGINES.values(), ids=str)
def test_every_engine_has_what_it_says(engine: object) -> None:
    text = engine.SCRIPT  # type: ignore[attr-defined]
    assert "\ndump() {" in text
    assert ("\nload() {" in text) is not bool(engine.SEED)  # type: ignore[attr-defined]
    assert ("\nsample() {" in text) is engine.SAMPLES  # type: ignore[attr-defined]
    assert ("\nkeep() {" in text) is engine.KEEPS  # type: ignore[attr-defined]
    for name in ("hold", "held", "release"):
        assert (f"\n{name}() {{" in text) is engine.HOLDS  # type: ignore[attr-defined]


# Files


def database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA journal_mode = wal")
        base.execute("CREATE TABLE t (x)")
        base.execute("INSERT INTO t VALUES (1)")
        base.commit()


def test_sqlite_is_found_by_what_it_is_and_taken_whole(tmp_path: Path) -> None:
    place, staging = tmp_path / "volume", tmp_path / "staging"
    (place / "deep").mkdir(parents=True)
    database(place / "deep" / "no-name [1]$")
    (place / "plain").write_text("x" * 100)
    found = files.look(place)
    assert found.databases == ("deep/no-name [1]$",)
    sqlite.stage(place, found, staging)
    with closing(sqlite3.connect(staging / "deep/no-name [1]$")) as base:
        assert base.execute("SELECT x FROM t").fetchall() == [(1,)]
    assert files.left_out(place, found).splitlines()[0] == f"{place}/deep/no-name \\[1]$$"
    assert sqlite.broken(staging, found.databases) == []


def test_broken_sqlite_is_told(tmp_path: Path) -> None:
    database(tmp_path / "base")
    text = bytearray((tmp_path / "base").read_bytes())
    text[100:] = os.urandom(len(text) - 100)
    (tmp_path / "base").write_bytes(text)
    assert sqlite.broken(tmp_path, ["base"])[0].startswith("base: SQLite says: ")
    assert sqlite.broken(tmp_path, ["none"])


def spoil(path: Path, at: int) -> None:
    text = bytearray(path.read_bytes())
    text[at:] = b"\xa5" * (len(text) - at)
    path.write_bytes(text)


def large(path: Path) -> None:
    """Of several pages, so that one can be damaged of which SQLite's backup takes no notice."""
    database(path)
    with closing(sqlite3.connect(path)) as base:
        base.execute("INSERT INTO t VALUES (randomblob(20000))")
        base.commit()


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A volume with a database, one that SQLite copies though it is damaged, and two that it does not."""
    place = tmp_path / "volume"
    place.mkdir()
    for name in ("good", "damaged", "garbage"):
        large(place / name)
    spoil(place / "damaged", 4096)
    spoil(place / "garbage", 16)
    (place / os.fsdecode(b"upload\xff\n")).write_bytes(files.MAGIC)
    return place


class TakingIn:
    """A repository that notes what it is to leave out."""

    settings = Settings("/nowhere", "here", {}, 1.0, 0, 1)

    def __init__(self) -> None:
        self.without, self.kept = "", list[str]()

    def need_writable(self) -> None: ...

    def take_in(self, words: Sequence[str], *_: object, **__: object) -> Result:
        self.without = Path(words[-1].partition("=")[2]).read_text("utf-8", "surrogateescape")
        return Result(0, '{"message_type": "summary", "snapshot_id": "abc"}', "")

    def keep_text(self, text: str, *_: object) -> None:
        self.kept.append(text)


FOLDER = jobs.Job(Manifest("shop"), Wanted("files", jobs.FILES, folder="files"))


def backed_up(root: Path, place: Path) -> tuple[TakingIn, backup.Outcome, dict[str, Any]]:
    """What became of a data folder's backup, and its record."""
    layout = Layout(root)
    target = layout.stack("shop") / "data" / "files"
    target.parent.mkdir(parents=True)
    place.rename(target)
    restic, host = TakingIn(), Host(layout, runner(), State(layout.state), lambda _: None)
    done = backup.tried(host, "backup", "shop/files", lambda: backup.one(host, restic, FOLDER))  # type: ignore[arg-type]
    (told,) = restic.kept or ["{}"]
    return restic, done, json.loads(told)


def test_a_damaged_database_does_not_end_the_backups_of_its_volume(tmp_path: Path, volume: Path) -> None:
    """Anybody who may upload a file could."""
    restic, done, told = backed_up(tmp_path / "host", volume)
    assert done.result == "ok", done.text
    assert "garbage: SQLite says: " in done.text and "upload??: SQLite says: " in done.text
    assert "damaged: SQLite says: " in done.text and "good: " not in done.text
    left_out = {Path(line).name for line in restic.without.splitlines()}
    assert {"good", "damaged"} <= left_out and not {"garbage", "upload\udcff\n"} & left_out
    assert told["databases"] == ["damaged", "good"], "the others are files like any other"
    assert {"garbage", "upload\udcff\n"} <= {*told["parts"]}
    assert {*told["damaged"]} == {"damaged", "garbage", "upload\udcff\n"}


def test_what_was_damaged_before_is_told_and_what_is_now_fails(tmp_path: Path, volume: Path) -> None:
    _, _, told = backed_up(tmp_path / "host", volume)
    place = tmp_path / "copy"
    shutil.copytree(tmp_path / "host/srv/stacks/shop/data/files", place)
    assert sqlite.broken(place, told["databases"], told["damaged"]) == []
    assert "damaged: SQLite says: " in files.notes(told)
    spoil(place / "good", 4096)
    (said,) = sqlite.broken(place, told["databases"], told["damaged"])
    assert said.startswith("good: SQLite says: ") and "\n" not in said


def test_a_database_that_is_locked_is_not_taken_for_a_damaged_one(
    tmp_path: Path, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY", 0.0)
    with closing(sqlite3.connect(volume / "good")) as base:
        base.execute("PRAGMA journal_mode = delete")
        base.execute("BEGIN EXCLUSIVE")
        _, done, _ = backed_up(tmp_path / "host", volume)
    assert done.result == "failed" and "good: SQLite says: database is locked" in done.text


# What does not fit into a cache of ten pages is in the database before it is committed.
WRITER = """
import os, signal, sqlite3, sys
base = sqlite3.connect(sys.argv[1], isolation_level=None)
base.execute(f"PRAGMA journal_mode = {sys.argv[2]}")
base.execute("PRAGMA cache_size = 10")
base.execute("CREATE TABLE t (x)")
base.executemany("INSERT INTO t VALUES (?)", [("before" * 200,)] * 300)
for words in sys.argv[3:]:
    base.execute(words)
print(flush=True)
sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""
CUT_OFF = ("BEGIN", "UPDATE t SET x = replace(x, 'before', 'after')", "DELETE FROM t WHERE rowid > 100")


@contextmanager
def writing(path: Path, mode: str, *words: str) -> Iterator[None]:
    """Somebody who has written that, and dies in the end."""
    command = [sys.executable, "-c", WRITER, path, mode, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.read(1)
        yield


def write_and_die(path: Path, mode: str, *words: str) -> None:
    with writing(path, mode, *words):
        pass


def rows(path: Path) -> dict[str, int]:
    """How many rows begin how, without a write to the file."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return dict(base.execute("SELECT substr(x, 1, 5), count(*) FROM t GROUP BY 1"))


@pytest.fixture
def cut_off(tmp_path: Path) -> Path:
    """A volume with a database whose writer died within a transaction, part of which is in the file."""
    place = tmp_path / "cut off"
    place.mkdir()
    write_and_die(place / "base", "delete", *CUT_OFF)
    assert (place / "base-journal").stat().st_size > 0 and b"afterafter" in (place / "base").read_bytes()
    return place


def staged(place: Path, staging: Path) -> dict[str, str]:
    return sqlite.stage(place, files.look(place), staging)


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist"])
def test_a_database_whose_writer_died_is_taken_as_of_before_its_transaction(
    tmp_path: Path, mode: str
) -> None:
    place = tmp_path / "volume"
    place.mkdir()
    write_and_die(place / "base", mode, *CUT_OFF)
    old = {each.name: each.read_bytes() for each in place.iterdir()}
    assert {*old} == {"base", "base-journal"} and b"afterafter" in old["base"]
    assert sqlite.size(files.look(place)) == sum(len(each) for each in old.values())
    assert staged(place, tmp_path / "staging") == {}
    assert rows(tmp_path / "staging/base") == {"befor": 300}
    assert [each.name for each in (tmp_path / "staging").iterdir()] == ["base"]
    assert {each.name: each.read_bytes() for each in place.iterdir()} == old, "the volume stays as it is"


def test_a_database_whose_writer_died_does_not_end_the_backups_of_its_volume(
    tmp_path: Path, cut_off: Path
) -> None:
    _, done, told = backed_up(tmp_path / "host", cut_off)
    assert (done.result, done.text) == ("ok", "")
    assert told["databases"] == ["base"] and told["damaged"] == {} and "base" in told["parts"]


@pytest.mark.parametrize("mapped", [True, False])
def test_what_a_dead_writer_left_in_its_log_is_taken(tmp_path: Path, mapped: bool) -> None:
    place = tmp_path / "volume"
    place.mkdir()
    write_and_die(place / "base", "wal", "UPDATE t SET x = 'after'", *CUT_OFF)
    if not mapped:
        (place / "base-shm").unlink()
    assert staged(place, tmp_path / "staging") == {}
    assert rows(tmp_path / "staging/base") == {"after": 300}


def test_of_a_writer_that_lives_no_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its journal is there too; by its lock SQLite's own backup sees that nothing is to be rolled back."""
    place = tmp_path / "volume"
    place.mkdir()
    with writing(place / "base", "delete", "BEGIN", "UPDATE t SET x = 'after' WHERE rowid < 3"):
        assert (place / "base-journal").exists()
        found = files.look(place)
        monkeypatch.setattr(sqlite, "_recover", None)
        assert sqlite.stage(place, found, tmp_path / "staging") == {}
    assert rows(tmp_path / "staging/base") == {"befor": 300}


@pytest.mark.parametrize("mode", ["delete", "persist"])  # its journal is gone, or is another one
def test_a_writer_that_is_there_again_is_asked_instead(
    tmp_path: Path, cut_off: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """It rolls back and goes on while its files are copied, which would be parts of two states."""
    copied = shutil.copyfileobj

    def copy(*words: Any) -> None:
        monkeypatch.setattr(shutil, "copyfileobj", copied)
        copied(*words)
        with closing(sqlite3.connect(cut_off / "base")) as base:
            base.execute(f"PRAGMA journal_mode = {mode}")
            base.execute("UPDATE t SET x = 'later'")
            base.commit()

    monkeypatch.setattr(shutil, "copyfileobj", copy)
    assert staged(cut_off, tmp_path / "staging") == {}
    assert rows(tmp_path / "staging/base") == {"later": 300}
    assert shutil.copyfileobj is copied
    assert [each.name for each in (tmp_path / "staging").iterdir()] == ["base"]


def test_a_journal_that_names_another_file_is_not_followed(tmp_path: Path, cut_off: Path) -> None:
    """SQLite removes that file once it has rolled back: anybody may write such a journal, and we are root."""
    other, journal = tmp_path / "another's", cut_off / "base-journal"
    other.write_bytes(b"x")
    name = os.fsencode(other)
    end = struct.pack(">II", len(name), sum(name)) + sqlite.JOURNAL
    text = journal.read_bytes()
    lock_page = struct.pack(">I", (1 << 30) // 4096 + 1)
    journal.write_bytes(text + bytes(-len(text) % 512) + lock_page + name + end)
    shutil.copytree(cut_off, tmp_path / "bait")
    with closing(sqlite3.connect(tmp_path / "bait/base")) as base:
        base.execute("SELECT 1 FROM t")
    assert not other.exists(), "this SQLite does not, so that this test shows nothing"
    other.write_bytes(b"x")
    damaged = staged(cut_off, tmp_path / "staging")
    said = "its writer died within a transaction over several databases"
    assert other.exists() and damaged == {"base": said}
    assert files.notes({"damaged": damaged}) == f"base: {said}, and so it is backed up", "the words are ours"
    assert [*(tmp_path / "staging").iterdir()] == [], "it is a file like any other, and so is its journal"


STRANGERS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
    "link": lambda path: path.symlink_to("good"),
    "link to nothing": lambda path: path.symlink_to("nothing"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("end", files.BESIDE)
def test_what_is_no_regular_file_beside_a_database_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, stranger: str
) -> None:
    """Anybody may put it there: at a pipe SQLite waits for ever, and other jobs with it."""
    monkeypatch.setattr(sqlite, "PATIENCE", 30.0)
    place = tmp_path / "volume"
    place.mkdir()
    for name in ("base", "good"):
        large(place / name)
    STRANGERS[stranger](place / f"base{end}")
    _, done, told = backed_up(tmp_path / "host", place)
    said = f"base{end} beside it is no regular file"
    assert (done.result, done.text) == ("ok", f"base: {said}, and so it is backed up")
    assert told["damaged"] == {"base": said} and told["databases"] == ["good"] and "base" in told["parts"]
    copy = tmp_path / "host/srv/stacks/shop/data/files"
    assert sqlite.broken(copy, ["base", "good"]) == [f"base: {said}"], "nor when it is looked at again"


def test_a_pipe_that_was_no_pipe_when_it_was_looked_at_holds_up_no_other_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "volume"
    place.mkdir()
    large(place / "good")
    pipe = tmp_path / "host/srv/stacks/shop/data/files/good-journal"
    monkeypatch.setattr(sqlite, "PATIENCE", 0.5)
    monkeypatch.setattr(sqlite, "_need_files", lambda _: pipe.exists() or os.mkfifo(pipe))
    _, done, _ = backed_up(tmp_path / "host", place)
    assert done.result == "failed" and "good: SQLite did not come to an end within" in done.text
    os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))  # it waits there still


@pytest.fixture
def another_s(tmp_path: Path) -> Path:
    """A volume with a database whose log and its index are not there."""
    place = tmp_path / "volume"
    place.mkdir()
    database(place / "base")
    if os.geteuid() == 0:
        os.chown(place / "base", 1234, 1235)
    return place


def test_what_sqlite_makes_beside_a_database_is_its_owners_though_the_backup_failed(
    tmp_path: Path, another_s: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("full")

    monkeypatch.setattr(sqlite, "_take", full)
    with pytest.raises(DroverError, match="full"):
        staged(another_s, tmp_path / "staging")
    owner = (another_s / "base").stat()
    assert {each.name for each in another_s.iterdir()} == {"base", "base-shm", "base-wal"}
    for each in another_s.iterdir():
        assert (each.stat().st_uid, each.stat().st_gid) == (owner.st_uid, owner.st_gid)


def test_nothing_in_a_volume_is_given_away(
    tmp_path: Path, another_s: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite does it with what it made. What has the name may be something else by now, in another volume."""
    given = []
    monkeypatch.setattr(os, "chown", lambda path, *_, **__: given.append(path))
    assert staged(another_s, tmp_path / "staging") == {} and (another_s / "base-shm").exists()
    assert given == [tmp_path / "staging/base"]


class Watched(sqlite3.Connection):
    """Has something done between the first pages that are copied and the next."""

    first: Callable[[], object]

    def backup(self, target: sqlite3.Connection, *, progress: Any = None, **words: Any) -> None:
        def watch(*told: int) -> None:
            first, Watched.first = Watched.first, lambda: None
            first()
            if progress:
                progress(*told)

        super().backup(target, progress=watch, sleep=0.01, **words)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """What is used by somebody else while it is copied ten pages at a time, which are not all."""
    place = tmp_path / "volume"
    place.mkdir()
    write_and_die(place / "base", "delete")
    monkeypatch.setattr(sqlite, "PAGES", 10)
    monkeypatch.setattr(sqlite, "PATIENCE", 30.0)
    with closing(sqlite3.connect(place / "base", check_same_thread=False, isolation_level=None)) as other:
        monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Watched))
        yield other


def test_a_database_that_is_locked_while_it_is_copied_is_given_up(
    tmp_path: Path, copied: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python goes on trying for ever, whatever the connection's timeout."""
    monkeypatch.setattr(sqlite, "BUSY", 1.0)
    monkeypatch.setattr(Watched, "first", lambda: copied.execute("BEGIN EXCLUSIVE"), raising=False)
    with pytest.raises(DroverError, match=r"^base: it was locked for 1 s while it was copied$"):
        staged(tmp_path / "volume", tmp_path / "staging")


def test_a_database_that_is_written_all_the_time_is_copied(
    tmp_path: Path, copied: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite begins anew whenever another connection wrote between two steps: it would never end."""
    steps = []

    def write() -> None:
        steps.append(1)
        monkeypatch.setattr(Watched, "first", write)
        copied.execute("UPDATE t SET x = 'later' || random()")

    monkeypatch.setattr(Watched, "first", write, raising=False)
    assert staged(tmp_path / "volume", tmp_path / "staging") == {}
    assert rows(tmp_path / "staging/base") == {"later": 300}
    assert 3 < len(steps) < 20, "its writer has its turn as long as that can be"


def test_a_copy_that_nobody_waits_for_any_longer_ends(
    tmp_path: Path, copied: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "PATIENCE", 1.0)
    monkeypatch.setattr(Watched, "first", lambda: time.sleep(2), raising=False)
    with pytest.raises(DroverError, match=r"^base: SQLite did not come to an end within 1 s$"):
        staged(tmp_path / "volume", tmp_path / "staging")
    for each in threading.enumerate():
        if each is not threading.current_thread():
            each.join(10)
    assert (tmp_path / "staging/base").stat().st_size == 0


def test_a_name_of_several_lines_leaves_nothing_else_out(tmp_path: Path) -> None:
    database(tmp_path / "x\n*")
    found = files.look(tmp_path)
    assert found.databases == ("x\n*",) and files.left_out(tmp_path, found) == ""


def test_what_is_noted_of_damage_is_bounded() -> None:
    told = {"damaged": {f"{number}\x1b[": "a\nb" for number in range(50)}}
    assert files.notes(told).endswith("; and 45 more") and files.notes(told).isprintable()
    assert files.notes({}) == files.notes({"damaged": None}) == ""


def test_what_changes_meanwhile_is_not_compared(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text(name)
    before = files.look(tmp_path)
    told = files.digests(tmp_path, files.chosen(before))
    (tmp_path / "two").write_text("another")
    (tmp_path / "three").unlink()
    found = files.record(before, files.look(tmp_path), told, {})
    assert {*found["parts"]} == {"one", "."} and found["files"] == [3, 4]


def test_a_files_mode_and_content_are_compared(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("x")
    before = files.digest(tmp_path, "one")
    (tmp_path / "one").chmod(0o600)
    assert files.digest(tmp_path, "one") != before


def test_nothing_is_read_outside_of_a_folder(tmp_path: Path) -> None:
    """What a container puts in a file's place after it was looked at."""
    place, outside = tmp_path / "place", tmp_path / "outside"
    for each in (place / "deep", outside):
        each.mkdir(parents=True)
        database(each / "base")
    found = files.look(place)
    assert found.databases == ("deep/base",)
    os.mkfifo(place / "pipe")
    (place / "away").symlink_to(outside)
    assert files.digests(place, ["pipe", "away/base", "deep/base/x", "../outside/base"]) == {}
    (place / "deep").rename(place / "gone")
    (place / "deep").symlink_to(outside)
    assert files.digests(place, ["deep/base"]) == {}
    with pytest.raises(DroverError, match="it was replaced while it was read"):
        sqlite.stage(place, found, tmp_path / "staging")


def test_where_a_link_leads_and_who_owns_a_folder_is_compared(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "link").symlink_to("deep")
    found = files.look(tmp_path)
    assert {*found.files} == {".", "deep", "link"}
    told = files.digests(tmp_path, files.chosen(found))
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "deep").chmod(0o700)
    now = files.digests(tmp_path, files.chosen(found))
    assert {name for name in told if told[name] != now[name]} == {"deep", "link"}


def test_a_sample_of_a_large_volume_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = files.Seen(10, 0, 0, 0, 0, 0)
    found = files.Found({str(number): seen for number in range(100)}, (), 1000)
    monkeypatch.setattr(files, "SAMPLES", 7)
    assert len(files.chosen(found)) == 8
    monkeypatch.setattr(files, "SAMPLED", 35)
    assert len(files.chosen(found)) == 4


# What counts


def snapshot(identity: str, at: float, *tags: str) -> Snapshot:
    return Snapshot(identity, at, frozenset(tags), (f"/{identity}",), "here")


def several() -> list[Complete]:
    return ledger.sorted_out(
        [
            snapshot("a" * 8, 1 * HOUR, "data"),
            snapshot("r1", 1 * HOUR, "record", f"of={'a' * 8}"),
            snapshot("v1", 1 * HOUR, "verdict", f"of={'a' * 8}", "result=verified"),
            snapshot("b" * 8, 2 * HOUR, "data"),
            snapshot("c" * 8, 3 * HOUR, "data"),
            snapshot("r3", 3 * HOUR, "record", f"of={'c' * 8}"),
        ]
    )


class Named:
    name = "shop/db"


class NamedJob(Named):
    tag = "job=shop/db"


def test_a_snapshot_without_its_record_does_not_count() -> None:
    assert [(each.data.identity[0], each.verdict) for each in several()] == [("a", "verified"), ("c", "")]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("", 0.0, False), "c"),
        (("", 2.5 * HOUR, False), "a"),
        (("", 0.0, True), "a"),
        (("aaa", 0.0, False), "a"),
    ],
)
def test_which_snapshot(asked: tuple[str, float, bool], expected: str) -> None:
    assert ledger.pick(several(), Named, *asked).data.identity[0] == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "said"), [(("", 1.0, False), "no snapshot"), (("bbb", 0.0, False), "there is no snapshot bbb")]
)
def test_a_snapshot_that_is_not_there(asked: tuple[str, float, bool], said: str) -> None:
    with pytest.raises(DroverError, match=said):
        ledger.pick(several(), Named, *asked)  # type: ignore[arg-type]


def test_a_snapshot_from_the_future_is_not_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock is wrong, or was: only what is named, or older than a moment that is, is taken."""
    monkeypatch.setattr(ledger.time, "time", lambda: 2 * HOUR)
    with pytest.raises(DroverError, match=r"snapshot cccccccc is of .*one of them is wrong"):
        ledger.pick(several(), Named, "", 0.0, False)  # type: ignore[arg-type]
    for asked in (("ccc", 0.0, False), ("", 2 * HOUR, False), ("", 0.0, True)):
        assert ledger.pick(several(), Named, *asked)  # type: ignore[arg-type]


def test_nothing_is_forgotten_in_doubt() -> None:
    found = several()
    for failed in (False, True):  # which a snapshot of the future is the reason of
        assert "one of them is wrong" in retention.doubt(found, 2 * HOUR, 26 * HOUR, failed)
    assert "failed" in retention.doubt(found, 4 * HOUR, 26 * HOUR, failed=True)
    assert "h old" in retention.doubt(found, 30 * HOUR, 26 * HOUR)
    assert retention.doubt(found, 4 * HOUR, 26 * HOUR) == ""
    assert "failed" in retention.doubt(
        [*found[:-1], found[-1]._replace(verdict="failed")], 4 * HOUR, 26 * HOUR
    )
    assert retention.doubt(found[1:], 4 * HOUR, 26 * HOUR) == "none was verified yet"
    assert retention.doubt([], 0.0, 1.0) == "there is no snapshot that counts"


def test_a_verification_that_is_old_is_a_doubt() -> None:
    """As on a host whose backups another one verifies, or did."""
    found = [each._replace(data=each.data._replace(at=40 * HOUR)) for each in several()]
    assert retention.doubt(found, 41 * HOUR, 26 * HOUR) == "the newest verification is 40 h old"


def test_on_a_new_host_what_was_before_comes_first() -> None:
    rows = [kept("backup", 1, "ok"), kept("learned", 1, "ok", "old")]
    assert ledger.awaited(rows) == rows[-1]
    for kind in ("restore", "import", "accepted"):
        assert ledger.awaited([*rows, kept(kind, 2, "failed")]) == rows[-1]
        assert ledger.awaited([*rows, kept(kind, 2, "ok")]) is None
    assert ledger.awaited([*rows, kept("beside", 2, "ok"), kept("verify", 3, "verified")]) == rows[-1]
    assert ledger.awaited(rows[:1]) is None
    back = [*rows, kept("restore", 2, "ok"), kept("undo", 3, "ok")]
    assert ledger.awaited(back) == rows[-1] and ledger.awaited([*back, kept("accepted", 4, "ok")]) is None


class Repository:
    """What a new host reads of each job: a data snapshot's record, and a verdict."""

    def has_user(self, _: str) -> bool:
        return False

    def snapshots(self) -> list[Snapshot]:
        return [
            snapshot(f"{kind}{number}", number, kind, "job=shop/db", f"of={number}", "result=verified")
            for number in range(3)
            for kind in ("record", "verdict")
        ]

    def text(self, found: Snapshot) -> str:
        mark = {"stack": "shop", "release": "0" * 16, "version": "2", "at": 1.0, "who": "anna"}
        return json.dumps({"rolled_back": [mark] if found.identity == "record2" else []})


def test_a_new_host_learns_all_or_nothing(tmp_path: Path) -> None:
    """Stopped in between, it would know of some and never learn what is awaited there."""
    state = State(tmp_path / "state.db")
    host = Host(Layout(tmp_path), runner(), state, lambda _: None)
    state.db.execute(
        "CREATE TRIGGER stop BEFORE INSERT ON kept WHEN (SELECT count(*) FROM kept) > 3"
        " BEGIN SELECT RAISE(ABORT, 'stopped'); END"
    )
    with pytest.raises(sqlite3.Error, match="stopped"):
        ledger.learn(host, Repository())  # type: ignore[arg-type]
    state.db.execute("DROP TRIGGER stop")
    assert state.kept() == []
    assert ledger.learn(host, Repository()) == 7  # type: ignore[arg-type]
    assert ledger.awaited(state.kept()) and ledger.learn(host, Repository()) == 0  # type: ignore[arg-type]
    assert [(each.stack, each.version, each.who) for each in state.marks()] == [("shop", "2", "anna")]


def test_a_new_host_learns_although_a_record_is_damaged(tmp_path: Path) -> None:
    class Damaged(Repository):
        def text(self, found: Snapshot) -> str:
            raise DroverError("restic: ciphertext verification failed")

    said = list[str]()
    state = State(tmp_path / "state.db")
    host = Host(Layout(tmp_path), runner(), state, said.append)
    assert ledger.learn(host, Damaged()) == 7  # type: ignore[arg-type]
    assert not state.marks() and "not known of shop/db: restic" in said[0]


class Asked:
    """A repository that notes what it is to forget."""

    def __init__(self, *found: Snapshot) -> None:
        self.found, self.gone = found, list[str]()

    def snapshots(self, tag: str) -> list[Snapshot]:
        return [each for each in self.found if tag in each.tags]

    def do(self, verb: str, *words: str) -> None:
        assert verb == "forget"
        self.gone += words


def test_what_never_became_whole_goes_first() -> None:
    """It has no record, so nothing can be restored from it; restic's calendar would keep it."""
    tag = "job=shop/db"
    of = "of=whole"
    restic = Asked(
        snapshot("whole", 1, "data", tag),
        snapshot("r", 1, "record", of, tag),
        snapshot("dead", 2, "data", tag),
    )
    found = ledger.sorted_out(restic.found)
    retention._whole(restic, NamedJob, found)  # type: ignore[arg-type]
    assert restic.gone == ["dead"]


def test_the_newest_that_came_back_is_never_forgotten() -> None:
    """The calendar keeps the last of a day, which no night has verified yet."""
    old = [Complete(snapshot(name, 0.0), snapshot(f"r{name}", 0.0), "verified") for name in ("x", "y")]
    plan = '[{"keep": [{"id": "z"}], "remove": [{"id": "x"}, {"id": "y"}]}, {"remove": null}]'
    assert retention.removed(plan, [*old, *several()]) == ["x", "y"]
    assert retention.removed(plan, old) == ["x"]
    assert retention.removed("", old) == retention.removed("null", old) == []


def kept(kind: str, at: float, result: str, identity: str = "a", text: str = "") -> Kept:
    return Kept(kind, "shop/db", identity, at, 1.0, 5, result, text)


@pytest.mark.parametrize(
    ("rows", "now", "problem"),
    [
        ([], 0.0, "there is no backup yet"),
        ([kept("backup", 0.0, "ok")], 25 * HOUR, ""),
        ([kept("backup", 0.0, "ok")], 27 * HOUR, "no verified backup for 27 h"),
        (
            [kept("backup", 0.0, "ok"), kept("verify", 20 * HOUR, "verified")],
            27 * HOUR,
            "no verified backup for 27 h",
        ),
        ([kept("backup", 5 * HOUR, "ok"), kept("verify", 20 * HOUR, "verified")], 27 * HOUR, ""),
        ([kept("backup", 0.0, "failed", text="no\nway")], 1.0, "the last backup failed: no"),
        (
            [kept("backup", 0.0, "ok"), kept("verify", 1.0, "failed", text="x")],
            2.0,
            "the last verification failed: x",
        ),
        ([kept("backup", 0.0, "ok"), kept("verify", 1.0, "unverified", text="no room")], 2.0, "no room"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_job(rows: list[Kept], now: float, problem: str) -> None:
    """The age is the data's, not that of the verification."""
    assert overview.line(rows, 26 * HOUR, now)["problem"] == problem


class Checked(TakingIn):
    """A repository of which `restic check` says something, or nothing."""

    wrong, parts = "", list[str]()

    def snapshots(self, *_: str) -> list[Snapshot]:
        return []

    def do(self, verb: str, *words: str) -> None:
        if verb == "check":
            self.parts.append(words[0].partition("=")[2])
        if verb == "check" and self.wrong:
            raise DroverError(self.wrong)


def test_damage_of_the_repository_is_shown_until_a_check_is_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event is told once, and `drover status` is asked for ever."""
    monkeypatch.setattr(overview.settings, "read", lambda _: Checked.settings)
    layout, told = Layout(tmp_path), list[str]()
    monkeypatch.setattr(retention, "report", lambda _, event: told.append(event.body))
    monkeypatch.setattr(retention.room, "outdated", lambda *_: [])
    host, restic = Host(layout, runner(), State(layout.state), lambda _: None), Checked()
    assert retention.run(host, restic, []) == {} and overview.overview(host) == []  # type: ignore[arg-type]
    restic.wrong = "restic: pack 0af1 is damaged\nand more"
    assert retention.run(host, restic, [])["repository"].result == "failed"  # type: ignore[arg-type]
    (found,) = overview.overview(host)
    assert found["job"] == "repository" and "failed: restic: pack 0af1 is damaged" in found["problem"]
    assert "and more" not in found["problem"] and overview.overview(host, "shop") == []
    assert "repository: its check of " in overview.table([found]) and "never" not in overview.table([found])
    assert len(told) == 1 and len(overview.overview(host)) == 1
    restic.wrong, week = "", retention.time.time() // (7 * 86400)
    monkeypatch.setattr(retention.time, "time", lambda: (week + 1) * 7 * 86400 + 1)
    restic.parts.clear()
    retention.run(host, restic, [])  # type: ignore[arg-type]
    assert overview.overview(host) == []
    assert len(restic.parts) == 2, "the part of that week was looked at again, and not only the next one"
    retention.run(host, restic, [])  # type: ignore[arg-type]
    assert restic.parts[2:] == restic.parts[1:2]


# restic


def test_what_restic_says() -> None:
    lines = '{"message_type":"status"}\n{"message_type":"summary","snapshot_id":"abc"}\n'
    assert summary(Result(0, lines, ""))["snapshot_id"] == "abc"
    said = '{"message_type":"error","error":{"message":"lstat /x: no such file or directory"},"item":"/x"}'
    assert errors(Result(3, "", said)) == [("/x", "lstat /x: no such file or directory")]
    with pytest.raises(DroverError, match="restic: oh"):
        summary(Result(1, "", '{"message_type":"exit_error","code":1,"message":"oh"}'))


def test_locks_of_the_dead_go_where_one_is_in_the_way() -> None:
    """restic is asked at once, and waits for the living only after that."""
    codes, asked = [BUSY, 0, 0, 0], list[str]()

    def run(command: Sequence[str], **_: object) -> Result:
        asked.append(" ".join(command[1:]))
        return Result(codes.pop(0), "", "")

    restic = Restic(Layout(), run, Settings("/x", "here", {}, 1.0, 0, 1))
    restic.do("prune")
    restic.do("check")
    assert asked == ["prune", "--retry-lock=5m unlock", "--retry-lock=5m prune", "check"]
    codes[:] = [BUSY, 0, BUSY]
    with pytest.raises(DroverError, match="another restic holds the repository's lock"):
        restic.do("prune")


@pytest.mark.parametrize("name", ["backup", "verify", "retention"])
def test_no_timer_takes_the_memory_of_a_host(name: str) -> None:
    """Whatever a repository has grown to; restic is killed alone, so that somebody is left to tell of it."""
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.read(ROLE / f"templates/etc/systemd/system/drover-{name}.service")
    assert PROMISED < int(unit["Service"]["MemoryMax"].removesuffix("M")) <= 1024
    assert unit["Service"]["OOMPolicy"] == "continue"


# In place


def test_two_folders_change_places_at_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    room.swap(tmp_path / "one", tmp_path / "two")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["two"]
    with pytest.raises(DroverError, match="cannot change places: No such file"):
        room.swap(tmp_path / "one", tmp_path / "none")
