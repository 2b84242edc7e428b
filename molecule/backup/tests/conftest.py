"""The agent's verbs about backups, a look at what they leave, and repositories to be broken."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from shared.scenario import Scenario, eventually
from testinfra.host import Host

from .engines import ENGINES, inside

REPOSITORY = "/srv/backup/staging/test-backup"  # environment and host, below what the inventory says
PASSWORD = "canary-repository-9c41e7"  # of the inventory
SETTINGS = "/etc/drover/backup.json"
TIMERS = "drover-backup.timer drover-verify.timer drover-retention.timer"
STATE = "sqlite3.connect('/var/lib/drover/state.db')"
Jobs = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Agent:
    """The host's own command."""

    host: Host

    def run(self, verb: str, *words: str, fails: bool = False) -> dict[str, Any]:
        """Its answer in JSON; with `fails` it has to end with 1."""
        done = self.host.run(f"drover {verb} {shlex.join(words)} --json")
        assert done.rc == int(fails), done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    def backup(self, *targets: str) -> Jobs:
        """What became of each job, all of which succeed."""
        jobs: Jobs = self.run("backup", *targets)["jobs"]
        assert jobs and {each["result"] for each in jobs.values()} == {"ok"}, jobs
        return jobs

    def verify(self, *targets: str) -> Jobs:
        """The same for their restores into a scratch copy."""
        jobs: Jobs = self.run("verify", *targets)["jobs"]
        assert jobs and {each["result"] for each in jobs.values()} == {"verified"}, jobs
        return jobs

    def fails(self, verb: str, job: str, *words: str) -> str:
        """What is said of the only job, which fails."""
        answer = self.run(verb, job, *words, fails=True)
        assert answer["jobs"][job]["result"] == "failed", answer
        return str(answer["jobs"][job]["text"])

    def refuses(self, *words: str) -> str:
        """What is said when nothing is done."""
        done = self.host.run(f"drover {shlex.join(words)} </dev/null")
        assert done.rc == 1, done.stdout + done.stderr
        return str(done.stdout + done.stderr)

    def listed(self) -> Jobs:
        """The lines of `drover backups`, by job."""
        done = self.host.run("drover backups --json")
        found: Jobs = {each["job"]: each for each in json.loads(done.stdout)}
        assert done.rc == int(any(each["problem"] for each in found.values())), done.stdout
        return found

    def newest(self, job: str) -> str:
        """The snapshot that a restore would take."""
        return str(self.listed()[job]["snapshot"])

    def restore(self, job: str, *words: str) -> None:
        self.run("restore", job, *words)

    def beside(self, job: str) -> str:
        """A copy of the name `look`; the command that removes it, as it was told."""
        text = str(self.run("restore", job, "--beside", "look")["jobs"][job]["text"])
        found = re.search("remove (?:it|both): (.*)", text)
        assert found, text
        return found[1]


@pytest.fixture(scope="module")
def agent(host: Host) -> Agent:
    return Agent(host)


@pytest.fixture(autouse=True)
def no_copy_left(host: Host) -> Iterator[None]:
    """A test that failed beside its copy is not the end of the next one."""
    yield
    host.run("docker rm -f look; docker volume rm look")


@pytest.fixture(scope="session")
def filled() -> Iterator[Jobs]:
    """Data in every job, and a snapshot of it by the host's own unit; what each is, by job.

    No timer makes another one until all tests are over.
    """
    host = Scenario.of(Path(__file__).parent).host()
    host.check_output(f"systemctl stop {TIMERS}")
    for engine in ENGINES.values():
        host.check_output(engine.fill)
    host.check_output("systemctl start drover-backup.service")
    yield Agent(host).listed()
    host.check_output(f"systemctl start {TIMERS}")


def snapshots(host: Host, repository: str = REPOSITORY, password: str = PASSWORD) -> list[dict[str, Any]]:
    """Every snapshot, as restic itself tells."""
    told = restic(host, "snapshots --json", repository, password)
    return [{"tags": [], **each} for each in json.loads(told)]


def taken(host: Host, job: str) -> set[str]:
    """All snapshots of a job's data, whether they count or not."""
    return {each["id"] for each in snapshots(host) if {f"job={job}", "data"} <= {*each["tags"]}}


def restic(host: Host, words: str, repository: str = REPOSITORY, password: str = PASSWORD) -> str:
    """What restic prints, by hand."""
    command = f"RESTIC_PASSWORD={shlex.quote(password)} /opt/drover/bin/restic -r {repository} --no-lock"
    return str(host.check_output(f"{command} {words}"))


def events(host: Host) -> list[str]:
    """The keys of all events, in their order."""
    asked = f"{STATE}.execute('SELECT key FROM events ORDER BY id')"
    program = f"import sqlite3; print(*(key for key, in {asked}))"
    return str(host.check_output(f'python3 -c "{program}"')).split()


def forget_events(host: Host) -> None:
    """What was told within the hour would not be told again."""
    change_state(host, "DELETE FROM events")


def change_state(host: Host, words: str) -> None:
    """What the host knows, changed by hand."""
    program = f"import sqlite3; db = {STATE}; db.execute('{words}'); db.commit()"
    host.check_output(f'python3 -c "{program}"')


def ours(host: Host) -> list[str]:
    """Containers that only live for a backup, a verification or a restore."""
    return str(host.check_output("docker ps -a --format '{{.Names}}' --filter name=^drover-")).split()


@contextmanager
def told(host: Host, **more: Any) -> Iterator[None]:
    """The host as one whose inventory says this too."""
    before = host.file(SETTINGS).content_string
    changed = json.dumps({**json.loads(before), **more})
    host.check_output(f"cp -a {SETTINGS} /root/settings && cat >{SETTINGS} <<'END'\n{changed}\nEND")
    try:
        yield
    finally:
        host.check_output(f"cp -a /root/settings {SETTINGS}")


@dataclass(frozen=True)
class Running:
    """A `drover` in the background."""

    host: Host

    def pid(self) -> str:
        return str(self.host.check_output("cat /root/run.pid"))

    def kill(self, *more: str) -> None:
        """Without a word, and these programs with it."""
        others = "".join(f"pkill -KILL -x {each}; " for each in more)
        self.host.check_output(f"kill -KILL {self.pid()}; {others}true")

    def end(self, seconds: float = 120) -> tuple[int, str]:
        """Wait for it; its exit status, and what it printed."""
        assert eventually(lambda: self.host.file("/root/run.status").exists, seconds)
        said = self.host.check_output("cat /root/run.status /root/run.out")
        status, _, text = said.partition("\n")
        return int(status), text


def behind(script: str, output: str = "/dev/null") -> str:
    """The script in the background, whoever goes."""
    return f"nohup sh -c {shlex.quote(script)} >{output} 2>&1 </dev/null &"


def begin(host: Host, *words: str) -> Running:
    """Run `drover` in the background."""
    ended = "wait $!; echo $? >run.part; mv run.part run.status"
    script = f"drover {shlex.join(words)} & echo $! >run.pid; {ended}"
    host.check_output(f"cd /root; rm -f run.*; {behind(script, 'run.out')}")
    assert eventually(lambda: host.file("/root/run.pid").exists)
    return Running(host)


@contextmanager
def stuck(host: Host) -> Iterator[None]:
    """PostgreSQL's dump comes to a table that somebody holds, and waits in its middle."""
    psql = inside("ledger", "db", "psql -U ledger -qAt")
    host.check_output(behind(f"{psql}BEGIN; LOCK TABLE bookings; SELECT pg_sleep(600);\nEND"))
    held = "FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid();"
    assert eventually(lambda: host.check_output(f"{psql}SELECT count(*) {held}\nEND") == "1")
    try:
        yield
    finally:
        host.check_output(f"{psql}SELECT pg_terminate_backend(pid) {held}\nEND")


def waits(host: Host) -> bool:
    """Whether somebody waits for the table."""
    psql = inside("ledger", "db", "psql -U ledger -qAt")
    asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock';"
    return bool(host.check_output(f"{psql}{asked}\nEND") == "1")


@contextmanager
def over(host: Host, prepare: str) -> Iterator[None]:
    """Over ours lies another repository, made in /root/other by this script; ours sees nothing of it."""
    host.check_output(f"mkdir /root/other && cd /root/other && {prepare}")
    try:
        host.check_output(f"mount --bind /root/other {REPOSITORY}")
        yield
    finally:
        host.check_output(f"umount {REPOSITORY}; umount -q /root/other; rm -r /root/other")


COPY = f"cp -a {REPOSITORY}/. ."
# In the middle of each file that holds data.
DAMAGE = "dd of=$file bs=1 seek=$(($(stat -c %s $file) / 2)) conv=notrunc status=none"
ROT = f"for file in $(find data -type f); do printf drover | {DAMAGE}; done"
