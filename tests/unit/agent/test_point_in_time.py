"""A database's log, as far as it needs neither pgBackRest nor Docker."""

from __future__ import annotations

import struct
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from drover import lifecycle
from drover.backups import place as backups_place
from drover.backups.engines import ENGINES
from drover.backups.engines.postgres import UNLOGGED
from drover.backups.jobs import Job
from drover.backups.parts import REST, Parts
from drover.backups.pitr import BASE, REPLAY, archive, base, check, keep, moment, replay, state
from drover.backups.pitr.moment import Fork
from drover.backups.pitr.pgbackrest import Base, PgBackRest, ProgramError, inside
from drover.backups.servers import Server
from drover.host import Host
from drover.layout import Layout
from drover.release import Job as Wanted
from drover.release import Manifest
from drover.run import DroverError, runner
from drover.state import Kept, State

JOB = Job(
    Manifest("shop"), Wanted("db", "postgres", "db", volume="shop_db", target="/var/lib/postgresql/data")
)
FIRST, SECOND = "0000000100000000000000FE", "0000000100000000000000FF"
DAY = 86400.0


def made(label: str, at: float, stop: str = "0/1", timeline: int = 1, oldest: int | None = None) -> Base:
    notes = {} if oldest is None else {"oldest": str(oldest)}
    return Base(label, at - 10, at, stop, stop, "17-1", timeline, 1, label.endswith("F"), notes)


BASES = [made("1F", 100, oldest=50), made("2I", 200, oldest=90), made("3I", 300, oldest=2**32 + 7)]


# Which base


@pytest.mark.parametrize(("at", "label"), [(100, "1F"), (199.9, "1F"), (250, "2I"), (9999, "3I")])
def test_a_moment_begins_from_the_newest_base_before_it(at: float, label: str) -> None:
    assert moment.at_time(BASES, JOB, at).base.label == label


def test_a_moment_before_every_base_is_not_covered() -> None:
    for wanted in (lambda: moment.at_time(BASES, JOB, 99), lambda: moment.latest([], JOB)):
        with pytest.raises(moment.NotCoveredError, match="shop/db: there is no base backup"):
            wanted()


@pytest.mark.parametrize(
    ("number", "label"), [(2**32 + 7, "3I"), (2**32 + 6, "2I"), (8, "3I"), (6, "2I"), (2**33, "3I")]
)
def test_a_transaction_begins_from_a_base_that_it_had_not_ended_in(number: int, label: str) -> None:
    """A number of 32 bits is of the newest epoch."""
    found = moment.before_transaction(BASES, JOB, number)
    assert found.base.label == label and "recovery_target_inclusive=off" in found.settings


def test_a_base_that_does_not_know_its_transactions_is_none_for_one() -> None:
    with pytest.raises(moment.NotCoveredError):
        moment.before_transaction([made("1F", 100)], JOB, 500)


def test_times_are_told_with_their_zone() -> None:
    assert moment.at_time(BASES, JOB, 150.25).settings == (
        "recovery_target_time=1970-01-01 00:02:30.250000+00:00",
    )


def test_bases_of_a_branch_that_was_left_are_none() -> None:
    forks = [Fork(1, 1000), Fork(2, 3000)]
    assert moment.is_on(1, 1000, forks)
    assert not moment.is_on(1, 1001, forks), "it was made after the data had gone back"
    assert moment.is_on(2, 3000, forks)
    assert moment.is_on(3, 65535, forks)
    assert not moment.is_on(2, 1, [Fork(1, 1000), Fork(3, 3000)])
    assert moment.is_on(1, 10**9, []), "without a branch"


@pytest.mark.parametrize(
    ("bases", "due"),
    [
        ([], True),
        ([made("1F", DAY)], False),
        ([made("1F", DAY), made("2I", 7 * DAY)], False),
        ([made("1F", 0)], True),
    ],
)
def test_a_whole_base_each_week(bases: list[Base], due: bool) -> None:
    assert base.is_due(bases, 7.9 * DAY) == due


# What goes


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "nothing was restored"),
        ([("failed", 99)], "failed"),
        ([("verified", 98), ("unverified", 99)], "failed"),
        ([("verified", 1)], "old"),
        ([("failed", 98), ("verified", 99)], ""),
    ],
)
def test_nothing_of_a_log_goes_in_doubt(rows: list[tuple[str, float]], said: str) -> None:
    kept = [Kept(REPLAY, "shop/db", "", at, 0, 0, result, "") for result, at in rows]
    found = keep.doubt(kept, 100, 50)
    assert said in found and bool(said) == bool(found)


def test_damage_of_a_log_is_shown_until_a_check_is_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That nothing went since nothing was verified yet is none: others say it."""
    layout = Layout(tmp_path)
    host, said = Host(layout, runner(), State(layout.state), lambda _: None), "status: error, missing: 3"
    monkeypatch.setattr(keep, "where", lambda *_: ("", ""))
    monkeypatch.setattr(keep, "PgBackRest", lambda *_: SimpleNamespace(do=lambda *words: said))
    monkeypatch.setattr("drover.backups.backup.report", lambda *_: None)
    monkeypatch.setattr(state.archive, "problem", lambda *_: "")
    monkeypatch.setattr(state.archive, "late", lambda *_: 0.0)
    job = JOB._replace(wanted=JOB.wanted._replace(point_in_time=True))

    def problem() -> str:
        keep.every(host, DAY, [job])
        return str(state.of(host, job)["problem"])

    host.state.keep(Kept(BASE, "shop/db", "", 1, 0, 0, "ok", ""))
    assert problem() == "", "in doubt nothing goes, and nothing is looked through"
    host.state.keep(Kept(REPLAY, "shop/db", "", time.time(), 0, 0, "verified", ""))
    for _ in range(2):
        assert problem() == f"the last check of its log failed: the repository is damaged: {said}"
    said = "status: ok"
    assert problem() == ""


# What is taken away


def test_only_finished_files_of_a_log_are_taken(tmp_path: Path) -> None:
    names = [
        FIRST,
        f".{SECOND}",
        "lost",
        "00000002.history",
        f"{FIRST}.partial",
        f"{FIRST}.00000028.backup",
        "x",
    ]
    for name in names:
        (tmp_path / name).touch()
    found = [each.name for each in archive.Spool(tmp_path).waiting()]
    assert found == sorted([FIRST, "00000002.history", f"{FIRST}.partial", f"{FIRST}.00000028.backup"])
    assert archive.Spool(tmp_path / "none").waiting() == []


@pytest.mark.parametrize(("part", "left"), [("standby", False), ("trial", False), ("frozen", True)])
def test_the_log_of_a_host_that_has_not_taken_over_goes_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, left: bool
) -> None:
    """A trial's would later be taken for that of the data that came in its place."""
    host = cast("Host", SimpleNamespace(layout=Layout(tmp_path), say=lambda _: None))
    job = Job(Manifest("shop"), Wanted("db", "postgres", "db", point_in_time=True))
    segment = host.layout.spool("shop", "db") / f"{1:024X}"
    segment.parent.mkdir(parents=True)
    segment.write_text("log")
    lifecycle.note(host.layout, lifecycle.PARTS[part])
    pushed = list[str]()
    monkeypatch.setattr(archive, "drain", lambda *_: pushed.append(part))
    backups_place._emptied(host, job)
    assert segment.exists() == left and pushed == ([part] if left else [])


def test_a_link_in_the_folder_leads_nowhere(tmp_path: Path) -> None:
    """The database may put anything there, and root reads it."""
    (tmp_path / "db").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "db" / FIRST).write_text("log")
    (tmp_path / "db/00000002.history").symlink_to(tmp_path / "secret")
    spool = archive.Spool(tmp_path / "db")
    first, link = spool.waiting()
    assert spool.take(first) == tmp_path / "db.out" / FIRST
    with pytest.raises(DroverError, match="no plain file"):
        spool.take(link)
    assert spool.waiting() == [tmp_path / "db.out" / FIRST], "it is on its way until the repository has it"
    assert spool.take(tmp_path / "db" / SECOND) is None
    (tmp_path / "lost").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        base._read(tmp_path / "lost")


def test_what_was_taken_is_noted_beside_the_folder(tmp_path: Path) -> None:
    spool = archive.Spool(tmp_path / "db")
    assert spool.told() == {}
    spool.tell(at=1.5, failed="")
    spool.tell(failed="no")
    assert spool.told() == {"at": 1.5, "failed": "no"}
    spool.note.write_text("[")
    assert spool.told() == {}


def test_a_segment_of_another_cluster_is_known_by_its_head(tmp_path: Path) -> None:
    (tmp_path / "global").mkdir()
    (tmp_path / "global/pg_control").write_bytes(struct.pack("<Q", 7) + bytes(100))
    for cluster, other in ((7, False), (8, True)):
        (tmp_path / FIRST).write_bytes(bytes(24) + struct.pack("<Q", cluster) + bytes(100))
        assert archive.is_of_another(tmp_path / FIRST, tmp_path) == other
    (tmp_path / "00000002.history").write_bytes(bytes(40))
    assert not archive.is_of_another(tmp_path / "00000002.history", tmp_path)


# What is compared


@pytest.mark.parametrize(
    ("said", "begins"),
    [
        ("pgBackRest: [044]: [ArchiveMismatchError] WAL segment version 170000 does not match", True),
        ("pgBackRest: [103]: repo1: [FileMissingError] unable to load info file '/x/archive.info'", False),
        ("pgBackRest: [049]: timeout connecting to 's3.example:443'", False),
    ],
)
def test_a_repository_of_another_cluster_gets_a_base_and_one_that_is_gone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, begins: bool
) -> None:
    """Whoever brings back what is gone must find nothing new in its place."""
    begun = list[list[str]]()

    class Begun:
        def __init__(self, command: list[str], **_: object) -> None:
            begun.append(command)

        def poll(self) -> None:
            return None

    def refused(*_: object) -> None:
        raise ProgramError(44, said)

    job = Job(Manifest("shop"), Wanted("db", "postgres"))
    which = SimpleNamespace(running=True)
    told = SimpleNamespace(tell=lambda **_: None)
    monkeypatch.setattr(archive, "drain", refused)
    monkeypatch.setattr(archive, "alert", lambda *_: None)
    monkeypatch.setattr(archive, "is_missing", lambda *_: False)
    monkeypatch.setattr(archive, "redactor", lambda _: str)
    monkeypatch.setattr(archive, "spool", lambda *_: told)
    monkeypatch.setattr(archive, "where", lambda *_: (which, Path()))
    monkeypatch.setattr(subprocess, "Popen", Begun)
    servant = archive.Servant(cast("Host", SimpleNamespace(layout=Layout(tmp_path))))
    servant.turn(job)
    servant.turn(job)
    assert begun == ([[archive.DROVER, "backup", "--base", job.name]] if begins else [])


def test_a_base_that_fails_is_tried_more_and_more_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept gets one row of each try."""
    begun, missing = list[float](), [True]
    clock = SimpleNamespace(now=1000.0)

    class Failed:
        def __init__(self, *_: object, **__: object) -> None:
            begun.append(clock.now - 1000.0)

        def poll(self) -> int:
            return 1

    monkeypatch.setattr(archive, "drain", lambda *_: None)
    monkeypatch.setattr(archive, "alert", lambda *_: None)
    monkeypatch.setattr(archive, "is_missing", lambda *_: missing[0])
    monkeypatch.setattr(archive, "where", lambda *_: (SimpleNamespace(running=True), Path()))
    monkeypatch.setattr(archive, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(subprocess, "Popen", Failed)
    servant = archive.Servant(cast("Host", SimpleNamespace(layout=Layout(tmp_path))))

    def turns(seconds: int) -> list[float]:
        begun.clear()
        for _ in range(seconds):
            servant.turn(Job(Manifest("shop"), Wanted("db", "postgres")))
            clock.now += 1
        return list(begun)

    lifecycle.note(Layout(tmp_path), lifecycle.PARTS["frozen"])
    assert turns(100) == []
    lifecycle.note(Layout(tmp_path), lifecycle.PARTS["active"])
    clock.now = 1000.0
    assert turns(6000) == [0, 60, 180, 420, 900, 1860, 3660, 5460]
    missing[0] = False
    assert turns(2000) == []
    missing[0] = True
    assert turns(100) == [8000, 8060]


def test_only_what_did_not_change_meanwhile_is_compared() -> None:
    unlogged = f"x: u{UNLOGGED}"
    recorded = {REST: "a", "x: t": "1 rows b", "x: u": "3 rows c", unlogged: "d", check.SEQUENCES: "e"}
    assert check.unlike(recorded, recorded) == set()
    found = {**recorded, "x: t": "2 rows e", "x: u": "0 rows f", check.SEQUENCES: "other"}
    assert check.unlike(recorded, found) == {"x: t"}, "a table that is not logged has no rows in a copy"
    assert check.unlike(recorded, {**recorded, "x: t": "0 rows g"}) == {"x: t"}
    assert check.unlike({REST: "a"}, {REST: "a", "x: t": "1 rows b"}) == {"x: t"}


def test_sequences_are_apart_where_a_log_is_kept() -> None:
    dump = (
        b"\\connect app\nCREATE TABLE t (id int);\nSELECT pg_catalog.setval('public.t_id_seq', %d, true);\n"
    )

    def told(number: int, apart: bool) -> dict[str, str]:
        found: Parts = ENGINES["postgres"].reader({}, apart)
        found.feed(dump % number)
        return found.found()

    assert set(told(1, True)) == {REST, check.SEQUENCES} and told(1, True)[REST] == told(33, True)[REST]
    assert told(1, True)[check.SEQUENCES] != told(33, True)[check.SEQUENCES]
    assert set(told(1, False)) == {REST} and told(1, False) != told(33, False)
    other: Parts = ENGINES["postgres"].reader({}, True)
    other.feed(b"\\connect app\nCREATE UNLOGGED TABLE public.u (\n    id int\n);\n")
    assert f"app: public.u{UNLOGGED}" in other.found()


def test_where_the_data_directory_is_below_its_mount() -> None:
    def server(place: str) -> Server:
        return Server("", "", True, "", "", {"PGDATA": place}, (), (), (), 0, 0)

    assert inside(JOB, server("/var/lib/postgresql/data")) == "."
    assert inside(JOB, server("/var/lib/postgresql/data/pg")) == "pg"
    with pytest.raises(DroverError, match="shop/db: its data directory /else is not below"):
        inside(JOB, server("/else"))


# How a copy gets its log


class Repository:
    """Stands for pgBackRest: has these files, and may be broken."""

    def __init__(self, cluster: Path, files: dict[str, bytes], broken: bool = False) -> None:
        self.cluster, self.files, self.broken = cluster, files, broken
        self.asked: list[str] = []

    def of(self, cluster: Path) -> Repository:
        return self

    def get(self, name: str, target: Path) -> bool:
        self.asked.append(name)
        if self.broken:
            raise DroverError("the repository is away")
        if name in self.files:
            target.write_bytes(self.files[name])
        return name in self.files


def restored(folder: Path, name: str, target: Path) -> int:
    """The command that the server runs, with the folder in its place."""
    command = (
        replay.COMMAND.replace(replay.INSIDE, str(folder)).replace("%f", name).replace("%p", str(target))
    )
    return subprocess.run(["sh", "-c", command], timeout=10, check=False, capture_output=True).returncode


def cluster(tmp_path: Path) -> Path:
    (tmp_path / "cluster/global").mkdir(parents=True)
    (tmp_path / "cluster/global/pg_control").write_bytes(b"control")
    (tmp_path / "cluster/backup_label").write_bytes(b"label")
    return tmp_path / "cluster"


def test_a_server_gets_each_segment_that_it_asks_for(tmp_path: Path) -> None:
    files = {FIRST: b"one", SECOND: b"two", "00000002.history": b"1\t0/1\n"}
    program = Repository(cluster(tmp_path), files)
    with replay.served(cast(PgBackRest, program), tmp_path / "log") as shelf:
        for name, content in files.items():
            assert restored(shelf.folder, name, tmp_path / "got") == 0
            assert (tmp_path / "got").read_bytes() == content
        assert restored(shelf.folder, "000000010000000100000000", tmp_path / "got") == 1
        assert restored(shelf.folder, "../../etc/passwd", tmp_path / "got") == 200
        assert not shelf.fault
    assert not (tmp_path / "log").exists() and threading.active_count() == 1


def test_segments_ahead_are_fetched_once_and_old_ones_go(tmp_path: Path) -> None:
    names = [FIRST, *replay.following(FIRST, 20)]
    program = Repository(cluster(tmp_path), dict.fromkeys(names, b"x"))
    with replay.served(cast(PgBackRest, program), tmp_path / "log") as shelf:
        for name in names:
            assert restored(shelf.folder, name, tmp_path / "got") == 0
        there = [each.name for each in shelf.folder.iterdir() if each.name in names]
        assert len(there) <= replay.AHEAD + 1
    assert len(program.asked) == len(set(program.asked))


def test_a_repository_that_is_away_is_not_the_end_of_the_log(tmp_path: Path) -> None:
    """PostgreSQL takes a status of 126 or more for a fault, and ends."""
    program = Repository(cluster(tmp_path), {}, broken=True)
    with replay.served(cast(PgBackRest, program), tmp_path / "log") as shelf:
        assert restored(shelf.folder, FIRST, tmp_path / "got") > 125
        assert shelf.fault == "the repository is away"


def test_names_of_segments_count_on() -> None:
    assert replay.following(FIRST, 3) == [SECOND, "000000010000000100000000", "000000010000000100000001"]
    assert replay.following("00000002.history", 3) == []
    assert replay.following("000000010000000000000100", 3) == [], "segments of another size have other names"
