"""What was lost comes back to the last row; a copy that differs by one row, key or file is not verified."""

from __future__ import annotations

import pytest
from shared.scenario import eventually, fetch, service
from testinfra.host import Host

from .conftest import Agent, ours
from .engines import CACHE, ENGINES, FOLDER, LEDGER, UPLOADS, VOLUME, Engine

pytestmark = pytest.mark.usefixtures("filled")
ALL = pytest.mark.parametrize("engine", ENGINES.values(), ids=lambda engine: engine.job)
KEPT = "docker volume ls -q; ls -A /srv/stacks/*/data"
WRITER = """
import sqlite3, time
database = sqlite3.connect("/data/running.sqlite", timeout=30)
database.executescript("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 100000;"
  "CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, amount INTEGER, filler TEXT)")
while True:
    with database:
        database.executemany("INSERT INTO entries (amount, filler) VALUES (?, ?)", [(7, "x" * 900), (-7, "")])
    time.sleep(0.002)
"""
READER = """
import sqlite3
database = sqlite3.connect("%s/running.sqlite")
print(*database.execute("PRAGMA integrity_check").fetchone())
print(*database.execute("SELECT count(*), max(id), sum(amount) FROM entries").fetchone())
"""


def kept(host: Host, engine: Engine) -> set[str]:
    """The volumes, or hidden folders, in which what was there before a restore waits."""
    name = f"drover-before-{engine.job.replace('/', '-')}-"
    return {each for each in host.check_output(KEPT).split() if each.lstrip(".").startswith(name)}


def serves(host: Host) -> bool:
    return all(fetch(host, f"{name}.test.example", path)[0] == 200 for name, path in ROUTES.items())


ROUTES = {"ledger": "/items", "files": "/up"}


@ALL
def test_one_altered_row_is_seen(host: Host, agent: Agent, engine: Engine) -> None:
    agent.fails("verify", engine.job, "--spoil", engine.spoil)
    assert not agent.listed()[engine.job]["problem"], "a drill is no failure of the backup's"
    assert not ours(host)


@ALL
def test_what_was_lost_comes_back(host: Host, agent: Agent, engine: Engine) -> None:
    """What came since is gone with it, and waits in a volume."""
    agent.backup(engine.job)
    before, waiting = engine.content(host), kept(host, engine)
    host.check_output(engine.lose)
    assert engine.content(host) != before
    agent.restore(engine.job, "--replace")
    assert engine.content(host) == before
    assert eventually(lambda: serves(host))
    assert len(kept(host, engine) - waiting) == 1
    assert not ours(host)


@pytest.mark.parametrize(
    "engine", [pytest.param(LEDGER, marks=pytest.mark.long), FOLDER], ids=lambda engine: engine.job
)
def test_a_restore_that_was_wrong_is_undone(host: Host, agent: Agent, engine: Engine) -> None:
    agent.backup(engine.job)
    before = engine.content(host)
    host.check_output(engine.lose)
    lost, waiting = engine.content(host), kept(host, engine)
    agent.restore(engine.job, "--replace")
    assert "what is kept in" in host.check_output(f"drover restore {engine.job} --undo --check")
    agent.restore(engine.job, "--undo")
    assert engine.content(host) == lost
    agent.restore(engine.job, "--undo")
    assert engine.content(host) == before, "what was taken away is kept too"
    assert eventually(lambda: serves(host))
    assert len(kept(host, engine) - waiting) == 1


def test_a_restart_loses_nothing_of_what_came_back(host: Host) -> None:
    """Valkey reads the log of its changes, not the file that it was restored from."""
    before = CACHE.content(host)
    host.check_output(f"docker restart {service(host, 'cache', 'cache')}")
    assert eventually(lambda: host.run(CACHE.show).stdout.rstrip() == before)


def test_the_images_own_check_passes_on_what_came_back(host: Host) -> None:
    check = "healthcheck.sh --connect --innodb_initialized"
    assert eventually(lambda: host.run(f"docker exec {service(host, 'shop', 'db')} {check}").rc == 0)


def test_what_was_there_before_is_whole(host: Host) -> None:
    """The database of before the last restore, in a server of its own."""
    newest = host.check_output("docker volume ls -q --filter name=drover-before-ledger-db- | tail -n 1")
    server = "docker run -d --rm --name look --network none"
    host.check_output(f"{server} -v {newest}:/var/lib/postgresql/data postgres:17.12")
    try:
        databases = "docker exec look psql -U ledger -qAtc 'SELECT datname FROM pg_database'"
        assert eventually(lambda: "later" in host.run(databases).stdout.split())
    finally:
        host.check_output("docker rm -f look")


@pytest.mark.long
def test_a_database_whose_volume_is_gone_comes_back(host: Host, agent: Agent) -> None:
    """As on a new machine."""
    agent.backup(LEDGER.job)
    before = LEDGER.content(host)
    name = service(host, "ledger", "db")
    up = "cd /srv/stacks/ledger/current && docker compose up -d --wait db"
    host.check_output(f"docker rm -f {name} && docker volume rm ledger_data && {up}")
    agent.restore(LEDGER.job, "--replace")  # of the empty one that the server has just made
    assert LEDGER.content(host) == before
    assert eventually(lambda: serves(host))


def test_sqlite_that_is_written_meanwhile_is_whole(host: Host, agent: Agent) -> None:
    """Each entry is written with its opposite; what was there when the backup began is in it."""
    app, read = service(host, "files", "app"), f"python3 -c '{READER % UPLOADS}'"
    host.check_output(f"docker exec -d {app} python3 -c '{WRITER}'")
    assert eventually(lambda: host.run(read).rc == 0 and int(host.run(read).stdout.split()[1]) > 200)
    assert host.file(f"{UPLOADS}/running.sqlite-wal").size > 0
    before = int(host.check_output(read).split()[1])
    agent.backup(VOLUME.job)
    after = int(host.check_output(read).split()[1])
    host.check_output(f"docker restart -t 1 {app}")
    agent.restore(VOLUME.job, "--beside", "look")
    try:
        place = host.check_output("docker volume inspect -f '{{.Mountpoint}}' look")
        sound, found = host.check_output(f"python3 -c '{READER % place}'").splitlines()
    finally:
        host.check_output("docker volume rm look")
    count, highest, total = map(int, found.split())
    assert sound == "ok" and total == 0 and count == highest, found
    assert before <= count <= after, (before, found, after)
