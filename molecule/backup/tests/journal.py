"""The stack `journal`, whose log is kept: somebody writes into it and notes what was acknowledged."""

from __future__ import annotations

import json
import shlex
from typing import Any, NamedTuple

from shared.scenario import eventually, service
from testinfra.host import Host

from .conftest import Agent, behind
from .engines import inside

JOB = "journal/db"
LOG = f"{JOB} (log)"
SPOOL = "/var/lib/drover/wal/journal/db"
PSQL = inside("journal", "db", "psql -U journal -v ON_ERROR_STOP=1 -qAt")
# Writes a row, waits for the answer, and notes its number with the times before and after.
WRITER = r"""
import subprocess, sys, time
command = ["docker", "exec", "-i", sys.argv[1], "psql", "-U", "journal", "-qAt"]
psql = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
with open("/root/acknowledged", "w", buffering=1) as notes:
    while True:
        sent = time.time()
        psql.stdin.write("INSERT INTO lines (note) VALUES (repeat('x', 500)) RETURNING id;\n")
        number = psql.stdout.readline().strip()
        if not number:
            break
        notes.write(f"{number} {sent:.6f} {time.time():.6f}\n")
        time.sleep(0.02)
"""


class Row(NamedTuple):
    """A row as its writer saw it: when it was sent, and when it was acknowledged."""

    number: int
    sent: float
    known: float


def asked(host: Host, query: str) -> str:
    return str(host.check_output(f"{PSQL}{query}\nEND"))


def write(host: Host) -> None:
    """Somebody writes from now on, until the database stops."""
    asked(host, "DROP TABLE IF EXISTS lines; CREATE TABLE lines (id serial PRIMARY KEY, note text);")
    host.run("rm -f /root/acknowledged")
    name = service(host, "journal", "db")
    host.check_output(behind(f"python3 -c {shlex.quote(WRITER)} {name}"))
    assert eventually(lambda: len(written(host)) > 20)


def written(host: Host) -> list[Row]:
    lines = [line.split() for line in host.run("cat /root/acknowledged").stdout.splitlines()]
    return [Row(int(each[0]), float(each[1]), float(each[2])) for each in lines if len(each) == 3]


def moment(host: Host) -> float:
    """Now, with rows on both sides of it."""
    host.check_output("sleep 0.5")
    now = float(host.check_output("date +%s.%N"))
    host.check_output("sleep 0.5")
    return now


def iso(host: Host, at: float) -> str:
    return str(host.check_output(f"date -d @{at:.6f} --iso-8601=ns"))[:26] + "+00:00"


def is_as_of(host: Host, at: float, rows: list[Row]) -> None:
    """Every row that was acknowledged before is there, none that was sent after."""
    there = {int(each) for each in asked(host, "SELECT id FROM lines").split()}
    lost = [row for row in rows if row.known < at and row.number not in there]
    later = [row for row in rows if row.sent > at and row.number in there]
    assert [row for row in rows if row.sent > at], "nobody wrote after it"
    assert there and not lost and not later, (len(there), lost[:3], later[:3])


def comes_back(host: Host, agent: Agent) -> None:
    """A table that is dropped now is there again, with every row of before."""
    at = moment(host)
    asked(host, "DROP TABLE lines")
    rows = written(host)
    agent.restore(JOB, "--replace", "--at", iso(host, at))
    is_as_of(host, at, rows)


def log(host: Host) -> dict[str, Any]:
    """What `drover backups` says of it."""
    found = {each["job"]: each for each in json.loads(host.run("drover backups --json").stdout)}
    return dict(found[JOB]["point_in_time"])


def waiting(host: Host) -> list[str]:
    """Segments that are not in the repository; one is out of the database's reach already."""
    return str(host.run(f"find {SPOOL} {SPOOL}.out -type f -printf '%f\\n'").stdout).split()
