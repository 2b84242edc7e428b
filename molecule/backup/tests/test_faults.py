"""Whatever goes wrong, the job fails and says why, one event tells of it, and only what is whole counts."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from shared.scenario import eventually, service
from testinfra.host import Host

from .conftest import (
    COPY,
    REPOSITORY,
    ROT,
    Agent,
    begin,
    change_state,
    events,
    forget_events,
    ours,
    over,
    snapshots,
    stuck,
    taken,
    waits,
)
from .engines import FOLDER, MARIADB, inside
from .locks import leave_lock

pytestmark = pytest.mark.usefixtures("filled")


def of(host: Host, job: str) -> set[str]:
    """The snapshots of a job that count: those that another one, their record, names."""
    own = [each["tags"] for each in snapshots(host) if f"job={job}" in each["tags"]]
    return {
        tag.removeprefix("of=") for tags in own if "record" in tags for tag in tags if tag.startswith("of=")
    }


@pytest.fixture
def nothing_counts(host: Host, agent: Agent) -> Iterator[None]:
    """What is there before is what is there after."""
    before, known = agent.newest("ledger/db"), of(host, "ledger/db")
    yield
    assert agent.newest("ledger/db") == before and of(host, "ledger/db") == known
    assert not ours(host)


@pytest.mark.usefixtures("nothing_counts")
def test_a_database_that_is_down(host: Host, agent: Agent) -> None:
    name = service(host, "ledger", "db")
    forget_events(host)
    host.check_output(f"docker stop {name}")
    try:
        agent.fails("backup", "ledger/db")
        # The other jobs of the same run go on.
        jobs = agent.run("backup", "ledger", "files/uploads", fails=True)["jobs"]
        assert {name: each["result"] for name, each in jobs.items()} == {
            "ledger/db": "failed",
            "files/uploads": "ok",
        }
        assert len([each for each in events(host) if "ledger/db" in each]) == 1, events(host)
        status = host.run("drover status")
        assert status.rc == 1 and "ledger/db" in status.stdout, status.stdout
        assert agent.listed()["ledger/db"]["problem"]
    finally:
        host.check_output("drover apply")


def test_a_container_is_found_by_its_labels_not_by_its_name(host: Host, agent: Agent) -> None:
    """Another one has its name, and without the real one there is nothing to back up."""
    name = service(host, "cache", "cache")
    image = host.check_output(f"docker inspect -f '{{{{.Config.Image}}}}' {name}")
    host.check_output(f"docker rename {name} moved && docker run -d --network none --name {name} {image}")
    try:
        agent.backup("cache/cache")
        host.check_output("docker rm -f moved")
        assert "no container" in agent.fails("backup", "cache/cache")
    finally:
        host.check_output(f"docker rm -f {name}; drover apply")
    agent.backup("cache/cache")


def test_a_password_that_is_not_the_databases_any_more(host: Host, agent: Agent) -> None:
    """Somebody changed it by hand, so the secret is wrong."""
    before = of(host, "shop/db")
    now = "ALTER USER root@localhost IDENTIFIED BY '{0}', root@'%' IDENTIFIED BY '{0}';\nEND"
    host.check_output(inside("shop", "db", MARIADB) + now.format("by hand"))
    try:
        assert "denied" in agent.fails("backup", "shop/db")
    finally:
        back = MARIADB.replace("$(cat /run/secrets/root_password)", '"by hand"')
        secret = host.check_output("cat /srv/stacks/shop/secrets/db/root_password")
        host.check_output(inside("shop", "db", back) + now.format(secret))
    assert of(host, "shop/db") == before
    agent.backup("shop/db")


OLDER = """#!/bin/sh
if [ "$1" = --help ]; then exec echo "pg_dumpall extracts a PostgreSQL database cluster."; fi
server="$(psql -XAtq --no-password -d template1 -c 'SHOW server_version')"
echo "pg_dumpall: error: aborting because of server version mismatch" >&2
echo "pg_dumpall: detail: server version: $server; pg_dumpall version: 9.6.24" >&2
exit 1
"""
# Docker's program, but for what a container finds first on its PATH.
FIRST = """#!/bin/sh
if [ "$1" != run ]; then exec DOCKER "$@"; fi
shift
exec DOCKER run --mount=type=bind,source=/root/older/client,target=/older,readonly --env=PATH=/older:PATH "$@"
"""


@pytest.fixture
def older(host: Host) -> Iterator[str]:
    """The beginning of a command, for which PostgreSQL's client is an old one.

    A stand-in, by the words of the real one: clients have the image of their server, and here is one of each.
    """
    path = host.check_output(f"docker exec {service(host, 'ledger', 'db')} printenv PATH")
    first = FIRST.replace("PATH=/older:PATH", f"PATH=/older:{path}").replace(
        "DOCKER", host.check_output("command -v docker")
    )
    host.check_output(
        f"mkdir -p /root/older/client && cd /root/older && cat >docker <<'END'\n{first}END\n"
        f"cat >client/pg_dumpall <<'END'\n{OLDER}END\nchmod -R a+rX . && chmod a+x docker client/pg_dumpall"
    )
    yield "PATH=/root/older:$PATH"
    host.check_output("rm -r /root/older")


@pytest.mark.usefixtures("nothing_counts")
def test_a_client_that_is_older_than_its_server(host: Host, agent: Agent, older: str) -> None:
    before = taken(host, "ledger/db")
    forget_events(host)
    done = host.run(f"{older} drover backup ledger/db --json")
    said = json.loads(done.stdout)["jobs"]["ledger/db"]
    assert done.rc == 1 and said["result"] == "failed", said
    assert "server version mismatch" in said["text"] and "server version: 1" in said["text"], said
    assert taken(host, "ledger/db") == before and events(host) == ["backup:ledger/db"]
    assert "server version mismatch" in agent.listed()["ledger/db"]["problem"]


@pytest.mark.usefixtures("nothing_counts")
def test_a_dump_that_is_cut_off(host: Host, agent: Agent) -> None:
    """Some databases of it are already with restic."""
    before = taken(host, "ledger/db")
    with stuck(host):
        running = begin(host, "backup", "ledger/db", "--json")
        assert eventually(lambda: waits(host))
        (dump,) = ours(host)
        assert dump.startswith("drover-dump-")
        host.check_output(f"docker kill {dump}")
        status, said = running.end()
    assert status == 1 and '"failed"' in said, said
    assert taken(host, "ledger/db") == before


@pytest.mark.parametrize(
    "more",
    [
        (),
        pytest.param(("restic",), marks=pytest.mark.long),
        pytest.param(("restic", "docker"), marks=pytest.mark.long),
    ],
    ids=lambda more: "+".join(("agent", *more)),
)
@pytest.mark.usefixtures("nothing_counts")
def test_the_agent_is_killed(host: Host, more: tuple[str, ...]) -> None:
    """Alone, or with what it started; what it left goes with the next run."""
    with stuck(host):
        running = begin(host, "backup", "ledger/db")
        assert eventually(lambda: waits(host))
        running.kill(*more)
    assert eventually(lambda: not host.run("pgrep -x restic").stdout)
    host.run("drover backup files/uploads")


@pytest.mark.long
@pytest.mark.usefixtures("nothing_counts")
def test_restic_is_killed(host: Host) -> None:
    with stuck(host):
        running = begin(host, "backup", "ledger/db", "--json")
        assert eventually(lambda: waits(host))
        host.check_output("pkill -KILL -x restic")
        status, said = running.end()
    assert status == 1 and '"failed"' in said, said


@pytest.mark.long
def test_a_snapshot_of_a_clock_that_was_wrong(host: Host, agent: Agent) -> None:
    """Made by restic itself; the test moves nobody's clock. Nothing counts until somebody has looked."""
    job = FOLDER.job
    wrong = "drover restic -- backup -q --json --time '2099-01-01 00:00:00' --stdin --stdin-filename=/x"
    take = f"echo '{{}}' | {wrong} --tag=job={job}"
    identity = json.loads(host.check_output(f"{take},data").splitlines()[-1])["snapshot_id"]
    host.check_output(f"{take},record,of={identity}")
    try:
        assert "is wrong" in agent.fails("verify", job)
        assert "is wrong" in agent.refuses("restore", job, "--replace")
        assert f"{job}: refused: nothing is forgotten: the clock" in agent.refuses("retention")
        change_state(host, "UPDATE kept SET at = at + 3e9")
        assert "is wrong" in agent.fails("backup", job)
    finally:
        host.check_output(f"drover restic forget {identity}")
        change_state(host, "UPDATE kept SET at = at - 3e9 WHERE at > 4e9")
    agent.backup(job)
    agent.verify(job)


def test_the_next_backup_goes_well(agent: Agent) -> None:
    agent.backup("ledger/db")


def test_two_at_once(host: Host, agent: Agent) -> None:
    """The second waits, or says that it is busy."""
    first = "drover backup files/uploads >/root/first 2>&1 & first=$!"
    done = host.run(f"{first}; drover backup files/uploads >/root/second 2>&1; echo $?; wait $first; echo $?")
    second, one = done.stdout.split()
    assert one == "0" and (second == "0" or "busy" in host.check_output("cat /root/second")), done.stdout


def test_a_repository_that_cannot_be_written(host: Host, agent: Agent) -> None:
    """It is said at once; restic would try for a quarter of an hour."""
    job = "cache/cache"
    host.check_output(f"mount --bind {REPOSITORY} {REPOSITORY} && mount -o remount,bind,ro {REPOSITORY}")
    try:
        assert "cannot be written: Read-only" in agent.fails("backup", job)
        assert "cannot be written: Read-only" in agent.fails("verify", job)
        assert "would restore" in host.check_output(f"drover restore {job} --replace --check")
    finally:
        host.check_output(f"umount {REPOSITORY}")
    agent.backup(job)
    agent.verify(job)


@pytest.mark.long
def test_a_repository_without_room(host: Host, agent: Agent) -> None:
    small = f"mount -t tmpfs -o size=$(($(du -sm {REPOSITORY} | cut -f 1) + 4))m small . && cd . && {COPY}"
    with over(host, f"{small} && ! cat /dev/zero >filler 2>/dev/null"):
        assert "No space left" in agent.fails("backup", "ledger/db")
    agent.backup("ledger/db")


def test_a_lock_that_a_dead_host_left(host: Host, agent: Agent) -> None:
    path = leave_lock(host, hours=2)
    try:
        agent.backup("files/uploads")
        assert not host.file(path).exists
    finally:
        host.run(f"rm -f {path}")


@pytest.mark.long
def test_a_lock_of_a_host_that_lives_is_respected(host: Host, agent: Agent) -> None:
    """restic waits for it some minutes."""
    path = leave_lock(host, hours=0)
    try:
        assert "lock" in agent.fails("backup", "cache/cache")
        assert host.file(path).exists
    finally:
        host.check_output(f"rm {path}")
    agent.backup("cache/cache")


@pytest.mark.parametrize(
    "job",
    ["files/uploads", *(pytest.param(job, marks=pytest.mark.long) for job in ("ledger/db", "cache/cache"))],
)
def test_a_repository_with_rotten_bits(host: Host, agent: Agent, job: str) -> None:
    with over(host, f"{COPY} && {ROT}"):
        agent.fails("verify", job)
    assert agent.listed()[job]["problem"]
    agent.verify(job)


def test_a_repository_that_another_key_opens(host: Host, agent: Agent) -> None:
    with over(host, "RESTIC_PASSWORD=another /opt/drover/bin/restic init -q -r ."):
        assert "password" in agent.fails("backup", "files/uploads")
        assert not snapshots(host, password="another")
    agent.backup("files/uploads")


@pytest.mark.long
def test_a_large_dump_that_is_cut_off_anywhere(host: Host, agent: Agent) -> None:
    psql = inside("ledger", "db", "psql -U ledger -qAt")
    rows = "SELECT n, repeat(md5(n::text), 20) AS text FROM generate_series(1, 400000) AS n"
    host.check_output(f"{psql}CREATE TABLE large AS {rows};\nEND")
    try:
        known = taken(host, "ledger/db")
        for tenth in range(1, 10):
            running = begin(host, "backup", "ledger/db")
            assert eventually(lambda: bool(ours(host)))
            host.check_output(f"sleep 0.{tenth}; docker kill {' '.join(ours(host))} || true")
            status, said = running.end()
            found = taken(host, "ledger/db")
            assert found == known if status else len(found - known) == 1, said
            known = found
        agent.backup("ledger/db")
        agent.verify("ledger/db")
    finally:
        host.check_output(f"{psql}DROP TABLE large;\nEND")
