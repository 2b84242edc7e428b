"""What another server left, as a dump or as files, becomes a job's data by the way of a restore."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from shared.scenario import ROOT, Scenario, eventually, fetch, started
from testinfra.host import Host

from .conftest import Agent, begin, ours, snapshots
from .engines import CACHE, FOLDER, LEDGER, LOGIN, MEDIA, SHOP, Engine, inside

pytestmark = pytest.mark.usefixtures("filled")
PLAYBOOK = ROOT / "playbooks" / "import.yml"
OLD = "/root/old"  # what came from the other server


def program(stack: str, service: str, words: str) -> str:
    """What the program writes in the service's container."""
    return inside(stack, service, f"sh -c '{words}'") + "END\n"


def written(host: Host, stack: str, service: str, words: str, name: str, pack: str = "cat") -> str:
    """The same in a file, packed by another program; its path."""
    path = f"{OLD}/{name}"
    host.check_output(f"({program(stack, service, words)}) >{OLD}/part && {pack} <{OLD}/part >{path}")
    return path


@pytest.fixture(autouse=True)
def old(host: Host) -> Iterator[None]:
    host.check_output(f"mkdir -p {OLD}")
    yield
    host.check_output(f"rm -r {OLD}")


@pytest.fixture
def again(host: Host, agent: Agent) -> Iterator[None]:
    """Whatever a test brings in, the others find what was there."""
    snapshot = {job: agent.newest(job) for job in ("ledger/db", "shop/db")}
    before = {engine.job: engine.content(host) for engine in (LEDGER, SHOP)}
    yield
    for engine in (LEDGER, SHOP):
        if engine.content(host) != before[engine.job]:
            agent.restore(engine.job, "--replace", "--snapshot", snapshot[engine.job])


def taken_in(agent: Agent, job: str, path: str, *words: str) -> tuple[str, dict[str, str]]:
    """What is said of it, and what it says is in it."""
    done = agent.run("import", job, path, *words)["jobs"][job]
    assert done["result"] == "ok", done
    return str(done["text"]), dict(done["content"])


PG_DUMP = "pg_dump -U ledger ledger"
ROWS = {"ledger: public.bookings": "500", "ledger: public.items": "2"}


@pytest.mark.usefixtures("again")
def test_a_pg_dump_becomes_the_services_database(host: Host, agent: Agent) -> None:
    """Roles that are not here are told first; without them what is theirs is the service's."""
    path, known = written(host, "ledger", "db", PG_DUMP, "dump", "gzip"), agent.newest("ledger/db")
    host.check_output(LEDGER.lose)
    before = started(host)
    assert "the role readers" in agent.refuses("import", "ledger/db", path, "--replace")
    assert "--replace" in agent.refuses("import", "ledger/db", path, "--no-owner")
    assert "is whole" in host.check_output(f"drover import ledger/db {path} --replace --no-owner --check")
    (would,) = agent.run("import", "ledger/db", path, "--check")["jobs"].values()
    assert all(said in would["text"] for said in ("is whole", "say --replace", "the role readers")), would
    assert started(host) == before
    text, content = taken_in(agent, "ledger/db", path, "--replace", "--no-owner")
    assert content == ROWS and "drover-before-ledger-db-" in text, (text, content)
    assert eventually(lambda: fetch(host, "ledger.test.example", "/items")[0] == 200)
    asked = "SELECT doubled(21), count(*), pg_get_userbyid(relowner) FROM bookings, pg_class c"
    said = host.check_output(
        inside("ledger", "db", "psql -U ledger -qAt") + f"{asked} WHERE c.relname = 'bookings' GROUP BY 3;\n"
        "SELECT count(*) FROM pg_roles WHERE rolname = 'readers';\nEND"
    )
    assert said.split() == ["42|500|ledger", "0"]
    newest = agent.newest("ledger/db")
    assert newest != known and newest[:8] in text and not ours(host)


def test_what_is_refused(host: Host, agent: Agent) -> None:
    """Nothing is changed by it."""
    written(host, "ledger", "db", PG_DUMP, "dump")
    mysql = written(
        host, "shop", "db", f"{LOGIN} shop".replace("mariadb -uroot -N", "mariadb-dump -uroot"), "sql", "xz"
    )
    host.check_output(f"cd {OLD} && head -c -2000 dump >cut && xz <dump | head -c -99 >cut.xz && date >date")
    host.check_output(f"cd {OLD} && sed '/^CREATE TABLE public.items/i SELECT no_such_thing;' dump >wrong")
    before = (started(host), len(snapshots(host)), LEDGER.content(host))
    for path, said in {
        mysql: "is a dump of MariaDB or MySQL, and ledger/db is a PostgreSQL",
        f"{OLD}/cut": "not whole",
        f"{OLD}/cut.xz": "xz: ",
        f"{OLD}/date": "known are",
        f"{OLD}/absent": "No such file",
        OLD: "a folder of files",
        f"{OLD}/wrong": 'column "no_such_thing" does not exist',
    }.items():
        assert said in agent.refuses("import", "ledger/db", path, "--replace"), path
    assert (started(host), len(snapshots(host)), LEDGER.content(host)) == before
    assert not ours(host)


def test_an_archive_of_files(host: Host, agent: Agent) -> None:
    """Their owners and modes are as they were; the folder itself is as the stack has it."""
    before = FOLDER.content(host)
    host.check_output(f"tar -C {MEDIA} --format=posix -cz . >{OLD}/tar")
    rights = "1234:4321 2751"
    host.check_output(f"find {MEDIA} -mindepth 1 -delete; date >{MEDIA}/later")
    _, content = taken_in(agent, "files/media", f"{OLD}/tar", "--replace")
    assert content["files"].startswith("20"), content
    assert FOLDER.content(host) == before
    assert host.check_output(f"stat -c '%u:%g %a' {MEDIA}") == rights


class Brought(NamedTuple):
    """A dump of all that a job has: how it is made, and packed."""

    engine: Engine
    words: str
    name: str
    pack: str = "cat"
    lose: bool = True


MYSQLDUMP = LOGIN.replace("exec mariadb -uroot -N", "exec mariadb-dump -uroot --routines --events --hex-blob")
BROUGHT = [
    Brought(LEDGER, "pg_dumpall -U ledger", "all.sql"),
    Brought(LEDGER, f"{PG_DUMP} -Fc", "custom", "xz", lose=False),
    Brought(LEDGER, f"{PG_DUMP} --create", "create.sql", "gzip", lose=False),
    Brought(CACHE, "valkey-cli --rdb -", "dump.rdb", "gzip"),
]


@pytest.mark.long
@pytest.mark.usefixtures("again")
@pytest.mark.parametrize("brought", BROUGHT, ids=lambda each: each.name)
def test_each_way_to_make_a_dump(host: Host, agent: Agent, brought: Brought) -> None:
    """A pg_dump holds one database alone, so here the roles that it names are not lost; they come along."""
    stack, _, service = brought.engine.job.partition("/")
    path = written(host, stack, service, brought.words, brought.name, brought.pack)
    before = brought.engine.content(host)
    host.check_output(
        brought.engine.lose
        if brought.lose
        else inside(stack, service, "psql -U ledger -q") + "DROP TABLE bookings;\nEND"
    )
    _, content = taken_in(agent, brought.engine.job, path, "--replace")
    assert content and not ours(host)
    found = brought.engine.content(host)
    if brought.lose:
        assert found == before
    else:
        assert {*ROWS} <= {*content} and content["ledger: public.bookings"] == "500"
        assert (
            "Größe & Co" in found and 'it\'s "odd"' not in found
        )  # a role of today's; another database's row


@pytest.mark.long
@pytest.mark.usefixtures("again")
@pytest.mark.parametrize("words", ["shop", "--databases shop", "--all-databases"])
def test_a_mysqldump_becomes_the_services_database(host: Host, agent: Agent, words: str) -> None:
    """Without users: the image's own can log in as before, and those who are missing are named."""
    path = written(host, "shop", "db", f"{MYSQLDUMP} {words}", "dump.sql", "gzip")
    host.check_output(inside("shop", "db", f"sh -c '{LOGIN}'") + "DROP TABLE shop.orders;\nEND")
    text, content = taken_in(agent, "shop/db", path, "--replace")
    assert content["shop: orders"] == "500" and "users of the old server are not in it" in text
    login = 'mariadb -ushop -p"$(cat /run/secrets/db_password)" -N shop -e "SELECT number FROM many"'
    assert host.check_output(program("shop", "db", login)) == "500"


@pytest.mark.long
@pytest.mark.usefixtures("again")
def test_definers_who_are_missing_are_named(host: Host, agent: Agent) -> None:
    path = written(host, "shop", "db", f"{MYSQLDUMP} shop", "dump.sql")
    host.check_output(
        f"sed -i 's/DEFINER=`root`@`localhost`/DEFINER=`gone`@`%`/' {path} && grep -q gone {path}"
    )
    text, _ = taken_in(agent, "shop/db", path, "--replace")
    assert "gone@%" in text, text


@pytest.mark.long
def test_a_folder_of_files(host: Host, agent: Agent) -> None:
    before = FOLDER.content(host)
    host.check_output(f"cp -a {MEDIA} {OLD}/media && chmod 700 {OLD}/media && rm -r {MEDIA}/*")
    taken_in(agent, "files/media", f"{OLD}/media", "--replace")
    assert FOLDER.content(host) == before


@pytest.mark.long
@pytest.mark.usefixtures("again")
def test_the_playbook_carries_the_file_and_leaves_nothing(
    scenario: Scenario, host: Host, tmp_path: Path
) -> None:
    def run(*words: str) -> tuple[int, str]:
        done = scenario.site("-e", "target=ledger/db", *words, playbook=PLAYBOOK)
        assert "import" not in host.check_output("ls -A /var/lib/drover")
        return done.status, done.output

    (tmp_path / "dump.sql").write_text(host.check_output(program("ledger", "db", PG_DUMP)) + "\n")
    (tmp_path / "cut.sql").write_text((tmp_path / "dump.sql").read_text()[:5000])
    given = ("-e", f"file={tmp_path}/dump.sql")
    status, said = run(*given)
    assert status and "say --replace" in said, said
    status, said = run("-e", f"file={tmp_path}/cut.sql", "-e", "replace=true")
    assert status and "not whole" in said, said
    status, said = run()
    assert status and "say which" in said, said
    before = started(host)
    status, said = run(*given, "-e", "replace=true", "--check")
    assert not status and "would import" in said and started(host) == before, said
    status, said = run(*given, "-e", "replace=true")
    assert not status and "public.bookings" in said and "changed=1" in said, said


@pytest.mark.long
def test_an_import_that_is_interrupted_anywhere(host: Host, agent: Agent) -> None:
    """Either what was there, or what came: never less."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    agent.backup("ledger/db")
    path = written(host, "ledger", "db", "pg_dumpall -U ledger", "all.sql", "gzip")
    before = LEDGER.content(host)
    for _ in range(8):
        running = begin(host, "import", "ledger/db", path, "--replace")
        host.check_output(f"sleep {chance.uniform(0.2, 12):.2f}")
        host.run(f"kill -KILL {running.pid()}; pkill -KILL -x restic; pkill -KILL -x docker; true")
        host.check_output("drover apply")
        assert LEDGER.content(host) == before
        host.check_output("drover backup --tidy")
        assert eventually(lambda: fetch(host, "ledger.test.example", "/items")[0] == 200)
    assert not ours(host)


@pytest.mark.long
def test_a_database_without_its_container_comes_back(host: Host, agent: Agent) -> None:
    """As after a first deploy that failed: container and volume are made as the release says."""
    agent.backup("ledger/db")
    before = LEDGER.content(host)
    name = host.check_output(
        "docker ps -q -f label=com.docker.compose.project=ledger -f label=com.docker.compose.service=db"
    )
    host.check_output(f"docker rm -f {name} && docker volume rm ledger_data")
    assert "ledger/db" in host.check_output("drover restore ledger/db --check")
    agent.restore("ledger/db")
    assert LEDGER.content(host) == before
    assert eventually(lambda: fetch(host, "ledger.test.example", "/items")[0] == 200)
