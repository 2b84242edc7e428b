"""Backups in S3 by nothing but the instance's own role."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from shared.scenario import eventually, service
from testinfra.host import Host

from localcloud import cloud, faults

from .s3 import BUCKET, JOB, PREFIX, SUM, drover, newest, psql, shown

ROLE = "acme-host"


def test_a_backup_needs_nothing_but_the_instances_role(host: Host, rows: str) -> None:
    assert drover(host, "verify")["result"] == "verified"
    told = "/etc/drover/backup.json /etc/drover/backup.env /root/.aws"
    assert not host.run(f"grep -rsiE 'aws_|access_key|profile' {told}").stdout
    found = shown()
    assert f"{PREFIX}config" in found and len(found) > 5
    bodies = [cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in found]
    assert not [each for each in bodies if b"canary-" in each or b"bookings" in each], "encrypted before"


def test_rows_come_back(host: Host, rows: str) -> None:
    psql(host, "DELETE FROM bookings WHERE id > 250; UPDATE bookings SET note = 'x';")
    drover(host, "restore", JOB, "--replace")
    assert psql(host, SUM) == rows


def test_a_bucket_that_refuses_fails_the_backup(host: Host, rows: str) -> None:
    """The role has lost its way into the bucket: one event, nothing counts, and the next run is well."""
    before, iam = newest(host)[0], cloud.client("iam")
    told = iam.get_role_policy(RoleName=ROLE, PolicyName="host")["PolicyDocument"]
    without = {**told, "Statement": [each for each in told["Statement"] if "s3:" not in str(each)]}
    iam.put_role_policy(RoleName=ROLE, PolicyName="host", PolicyDocument=json.dumps(without))
    try:
        failed = drover(host, "backup", JOB, fails=True)
    finally:
        iam.put_role_policy(RoleName=ROLE, PolicyName="host", PolicyDocument=json.dumps(told))
    assert failed["result"] == "failed" and "Access Denied" in failed["text"], failed
    snapshot, problem = newest(host)
    assert snapshot == before and "the last backup failed" in problem
    assert host.run("drover status").rc == 1
    drover(host, "backup", JOB)
    assert newest(host)[1] == ""


@contextmanager
def half_dumped(host: Host) -> Iterator[Callable[..., str]]:
    """A backup whose dump waits in its middle for a table; yields what waits for its end."""
    name = service(host, "ledger", "db")
    lock = "BEGIN; LOCK TABLE bookings; SELECT pg_sleep(300);"
    run = "nohup sh -c {} >/root/{} 2>&1 </dev/null &"
    host.check_output(
        run.format(shlex.quote(f"docker exec {name} psql -U ledger -qAtc '{lock}'"), "lock.out")
    )
    assert eventually(lambda: psql(host, SLEEPS) == "1")
    script = "rm -f status; drover backup --json >backup.out; echo $? >part; mv part status"
    host.check_output(f"cd /root; rm -f status; {run.format(shlex.quote(script), 'nohup.out')}")
    assert eventually(lambda: psql(host, WAITS) == "1")

    def ended(seconds: float = 120) -> str:
        assert eventually(lambda: host.file("/root/status").exists, seconds)
        return str(host.check_output("cat /root/status /root/backup.out"))

    yield ended
    psql(host, FREE)


OTHERS = "FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid();"
SLEEPS, FREE = f"SELECT count(*) {OTHERS}", f"SELECT pg_terminate_backend(pid) {OTHERS}"
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock';"
KEYS = "tr '\\0' '\\n' <{} | grep -iE '^aws_|secret_|token' || true"


def test_s3_that_is_gone_for_20_seconds_is_waited_for(host: Host, rows: str) -> None:
    before = newest(host)[0]
    with half_dumped(host) as ended:
        process = host.check_output("pgrep -x restic")
        for each in ("environ", "cmdline"):
            assert not host.check_output(KEYS.format(f"/proc/{process}/{each}")), "no key, but the role's own"
        faults.inject("absent", "s3", 20, 0)
        began = time.monotonic()
        psql(host, FREE)
        status, _, said = ended().partition("\n")
    assert status == "0" and time.monotonic() - began > 15, said
    assert newest(host) == (json.loads(said)["jobs"][JOB]["snapshot"], "") and newest(host)[0] != before


@pytest.mark.long
def test_s3_that_errs_for_longer_than_restic_waits(host: Host, rows: str) -> None:
    """A quarter of an hour; then the same as with whatever else is wrong."""
    before = newest(host)[0]
    with half_dumped(host) as ended:
        faults.inject("error", "s3", 1200, 0)
        psql(host, FREE)
        status, _, said = ended(1200).partition("\n")
    faults.inject("error", "s3", 0, 0)
    assert status == "1" and '"failed"' in said, said
    assert newest(host)[0] == before and "the last backup failed" in newest(host)[1]
    assert drover(host, "backup", JOB)["result"] == "ok"
