"""PostgreSQL comes back as of any moment, or just before a transaction, with every row acknowledged by then.

The stack `journal` is here for these tests alone: its log is kept, and somebody writes into it all the time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from shared.scenario import Scenario, containers, eventually, service
from testinfra.host import Host

from .conftest import PASSWORD, REPOSITORY, Agent, begin, change_state, events, forget_events, ours
from .journal import JOB, LOG, SPOOL, asked, comes_back, is_as_of, iso, log, moment, waiting, write, written

STACK: dict[str, Any] = {
    "name": "journal",
    "secrets": {"db_password": "canary-journal-3e88"},
    "backup": {"db": {"point_in_time": True}},
    "deploy": {"soak": 1, "drain": 1},
}


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The stack, with a first base of its log; an inventory that has it. Afterwards its data is gone."""
    scenario = Scenario.of(Path(__file__).parent)
    host = scenario.host()
    folder = scenario.inventory.parent / f"inventory.{tmp_path_factory.getbasetemp().name}"
    shutil.copytree(scenario.inventory, folder)
    path = folder / "group_vars" / "all" / "stacks.yml"
    own = yaml.safe_load(path.read_text())["drover_stacks"]
    try:
        path.write_text(yaml.safe_dump({"drover_stacks": [*own, STACK]}))
        scenario.converge("--tags", "backup,stacks", inventory=folder)
        assert eventually(lambda: bool(log(host)["base"]), 120), host.check_output("drover backups || true")
        yield folder
        gone = {"name": "journal", "state": "absent", "data": "delete"}
        path.write_text(yaml.safe_dump({"drover_stacks": [*own, gone]}))
        scenario.converge("--tags", "backup,stacks", inventory=folder)
        host.check_output(f"rm -rf {REPOSITORY}/pgbackrest /var/lib/drover/wal/journal")
        change_state(host, 'DELETE FROM kept WHERE job = \\"journal/db\\"')
    finally:
        shutil.rmtree(folder)


pytestmark = pytest.mark.usefixtures("filled", "journal")


def test_a_dropped_table_comes_back_as_of_a_moment(host: Host, agent: Agent) -> None:
    write(host)
    comes_back(host, agent)
    assert not ours(host)


@pytest.mark.long
def test_just_before_a_transaction(host: Host, agent: Agent) -> None:
    """Into place; the log goes on from there, and its newest moment can be restored too."""
    asked(host, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT generate_series(1, 1000) AS id")
    number = asked(host, "BEGIN; SELECT txid_current(); DELETE FROM kept; COMMIT;")
    asked(host, "INSERT INTO kept VALUES (-1)")
    agent.restore(JOB, "--replace", "--before-transaction", number)
    assert asked(host, "SELECT count(*), min(id) FROM kept") == "1000|1"
    asked(host, "INSERT INTO kept VALUES (0)")
    agent.restore(JOB, "--at", "latest", "--beside", "look")
    try:
        look = containers(host)["look"]
        assert look["HostConfig"]["NetworkMode"] == "none" and not look["HostConfig"]["PortBindings"]
        seen = "docker exec look psql -U journal -qAtc 'SELECT count(*), min(id) FROM kept'"
        assert host.check_output(seen) == "1001|0"
    finally:
        host.check_output("docker rm -f look && docker volume rm look")


@pytest.mark.long
def test_what_comes_out_of_the_log_is_what_was_dumped(host: Host, agent: Agent) -> None:
    """While somebody writes; and one altered row is seen."""
    asked(host, "DROP TABLE IF EXISTS still; CREATE TABLE still AS SELECT generate_series(1, 500) AS id")
    write(host)
    agent.backup(JOB)
    verdict = agent.verify(JOB)[LOG]
    assert "changed meanwhile" in verdict["text"], verdict
    spoil = 'psql -d journal -c "UPDATE still SET id = 0 WHERE id = 250"'
    said = agent.run("verify", JOB, "--spoil", spoil, fails=True)["jobs"][LOG]
    assert said["result"] == "failed" and "public.still" in said["text"], said


@pytest.mark.long
def test_the_newest_is_in_the_repository_within_a_minute(host: Host) -> None:
    asked(host, "CREATE TABLE IF NOT EXISTS marks (at float)")
    now = float(host.check_output("date +%s"))
    asked(host, "INSERT INTO marks VALUES (1)")
    # A segment is dated when it was finished; the one that has the row is so after it was written.
    assert eventually(lambda: (log(host)["archived_age_seconds"] or 1e9) < elapsed(host, now), 60)
    assert not log(host)["problem"]


def elapsed(host: Host, since: float) -> float:
    return float(host.check_output("date +%s")) - since


def test_no_container_has_a_way_out_or_the_key(host: Host) -> None:
    """Nor has a list of processes the key, while pgBackRest runs."""
    running = begin(host, "backup", "--base", JOB)
    look = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"
    everything = f"until [ -e run.status ]; do {look}; sleep 0.05; done"
    told_all = host.check_output(f"cd /root; {everything}")
    assert running.end()[0] == 0 and "pgbackrest --config" in told_all and PASSWORD not in told_all
    (database,) = (each for name, each in containers(host).items() if name == service(host, "journal", "db"))
    told = json.dumps(database)
    assert "pgbackrest" in told and PASSWORD not in told and REPOSITORY not in told
    binds = {each["Source"] for each in database["Mounts"] if each["Type"] == "bind" and each["RW"]}
    assert binds == {SPOOL}
    configuration = host.file("/etc/drover/pgbackrest.conf")
    assert (configuration.mode, configuration.user) == (0o600, "root")
    assert PASSWORD not in host.check_output("journalctl --no-pager -o cat")


def test_who_asks_for_what_is_not_there_is_told(agent: Agent) -> None:
    """And nothing changes."""
    assert "still to come" in agent.refuses("restore", JOB, "--replace", "--at", "2099-01-01")
    assert "its log is not kept" in agent.refuses(
        "restore", "ledger/db", "--replace", "--before-transaction", "9"
    )
    assert "before transaction 3" in agent.refuses("restore", JOB, "--replace", "--before-transaction", "3")
    assert "--replace" in agent.refuses("restore", JOB, "--at", "latest")


@pytest.mark.long
def test_a_push_that_is_killed_is_made_again(host: Host, agent: Agent) -> None:
    write(host)
    for _ in range(6):
        asked(host, "SELECT pg_switch_wal()")
        assert eventually(lambda: bool(waiting(host)) or True, 0.1)
        host.run("systemctl kill --signal=KILL drover-archive.service; pkill -KILL -x pgbackrest")
        host.check_output(
            "sleep 0.3; systemctl reset-failed drover-archive.service; systemctl start drover-archive"
        )
    comes_back(host, agent)


@pytest.mark.long
@pytest.mark.parametrize("seconds", [0.8, 2.0, 3.5, 5.0, 7.0])
def test_a_restore_that_is_killed_is_run_again(host: Host, agent: Agent, seconds: float) -> None:
    write(host)
    at = moment(host)
    asked(host, "DROP TABLE lines")
    rows = written(host)
    running = begin(host, "restore", JOB, "--replace", "--at", iso(host, at))
    host.check_output(f"sleep {seconds}")
    host.run(f"kill -KILL {running.pid()}; pkill -KILL -x pgbackrest; pkill -KILL -x docker")
    host.check_output("drover apply --json")
    agent.restore(JOB, "--replace", "--at", iso(host, at))
    is_as_of(host, at, rows)
    assert not ours(host)


@pytest.mark.long
def test_a_repository_that_is_away_loses_nothing(host: Host, agent: Agent) -> None:
    """What waits is in the folder; it is told, and taken there when the repository is back."""
    write(host)
    host.check_output(f"mv {REPOSITORY}/pgbackrest {REPOSITORY}/away")
    try:
        forget_events(host)
        for _ in range(3):
            asked(host, "SELECT pg_switch_wal()")
            host.check_output("sleep 0.2")
        assert eventually(lambda: len(waiting(host)) >= 3)
        host.check_output(f"find {SPOOL} {SPOOL}.out -type f -exec touch -d '10 minutes ago' {{}} +")
        assert eventually(lambda: f"archive:{JOB}" in events(host), 40)
        assert "not in the repository" in log(host)["problem"]
        at = moment(host)
        asked(host, "DROP TABLE lines; SELECT pg_switch_wal()")
        rows = written(host)
    finally:
        host.check_output(f"mv {REPOSITORY}/away {REPOSITORY}/pgbackrest")
    assert eventually(lambda: not waiting(host), 60)
    agent.restore(JOB, "--replace", "--at", iso(host, at))
    is_as_of(host, at, rows)


@pytest.mark.long
def test_a_full_folder_is_an_alert_and_the_database_writes_on(host: Host, agent: Agent) -> None:
    """There is a gap in its log then, until the next base, which is made at once."""
    write(host)
    before = log(host)["base"]
    host.check_output("systemctl stop drover-archive.service")
    # The folder is as full as it may be.
    host.check_output(f"fallocate -l 4300M {SPOOL}/filled")
    forget_events(host)
    asked(host, "SELECT pg_switch_wal()")
    assert eventually(lambda: "lost" in waiting(host))
    count = len(written(host))
    assert eventually(lambda: len(written(host)) > count + 20)
    assert asked(host, "SELECT failed_count FROM pg_stat_archiver") == "0"
    assert "lost" in log(host)["problem"]
    host.check_output(f"rm {SPOOL}/filled; systemctl start drover-archive.service")
    assert eventually(lambda: f"archive:{JOB}" in events(host), 20)
    assert eventually(lambda: "lost" not in waiting(host) and log(host)["base"] != before, 60)
    comes_back(host, agent)


@pytest.mark.long
def test_a_snapshot_in_its_place_begins_a_new_log(host: Host, agent: Agent) -> None:
    """A dump that is loaded makes another cluster, whose log is kept as well, from a base of its own."""
    agent.backup(JOB)
    before = log(host)["base"]
    agent.restore(JOB, "--replace")
    write(host)
    asked(host, "SELECT pg_switch_wal()")
    assert eventually(lambda: log(host)["base"] != before and not log(host)["problem"], 90), log(host)
    comes_back(host, agent)


@pytest.mark.long
def test_a_moment_from_before_the_last_restore(host: Host, agent: Agent) -> None:
    """Twice back: each restore leaves a branch, and the way that the data took is the one that counts."""
    write(host)
    first = moment(host)
    agent.restore(JOB, "--replace", "--at", iso(host, first))
    rows = written(host)
    is_as_of(host, first, rows)
    agent.backup(JOB)
    agent.restore(JOB, "--replace", "--at", iso(host, first))
    is_as_of(host, first, rows)
    assert "went back" in agent.run("verify", JOB)["jobs"][LOG]["text"], "the dump is of what was left"
    asked(host, "SELECT pg_switch_wal()")
    assert eventually(lambda: not waiting(host) and not log(host)["problem"], 60), log(host)


@pytest.mark.long
def test_damage_in_the_repository_is_seen(host: Host, agent: Agent) -> None:
    agent.backup(JOB)
    agent.verify(JOB)
    path = host.check_output(f"find {REPOSITORY}/pgbackrest/archive -name '0*-*' -type f | sort | tail -1")
    host.check_output(f"cp -a {path} /root/whole; printf drover | dd of={path} bs=1 seek=200 conv=notrunc")
    try:
        told = thinned(host)
        assert told["result"] == "failed" and "damaged" in told["text"] and "status: error" in told["text"], (
            told
        )
    finally:
        host.check_output(f"mv /root/whole {path}")
    assert thinned(host)["result"] == "ok"


def thinned(host: Host) -> dict[str, Any]:
    """What retention says of the log, whatever it says of others."""
    return dict(json.loads(host.run("drover retention --json").stdout)["jobs"][LOG])
