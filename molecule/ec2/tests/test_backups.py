"""Backups in S3 by nothing but the instance's own role, and a history that the host cannot end."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from ansible_collections.drover.platform.plugins.module_utils import recovery
from ansible_collections.drover.platform.plugins.modules import bucket_recover
from ansible_collections.drover.platform.plugins.plugin_utils import bucket as rules
from botocore.config import Config
from botocore.exceptions import ClientError
from shared.scenario import ROOT, Scenario, eventually, service
from testinfra.host import Host

from localcloud import cloud, faults

BUCKET, JOB = "acme-backup", "ledger/db"
PREFIX = "acme/staging/web/"
ROWS = 'docker exec -i {} psql -U ledger -qAt -v ON_ERROR_STOP=1 <<"END"\n{}\nEND'
ROLE = "acme-host"


def psql(host: Host, words: str) -> str:
    return str(host.check_output(ROWS.format(service(host, "ledger", "db"), words)))


def drover(host: Host, *words: str, fails: bool = False) -> dict[str, Any]:
    """What became of the job; with `fails` the verb has to end with 1."""
    done = host.run(f"drover {shlex.join(words)} --json")
    assert done.rc == int(fails), done.stdout + done.stderr
    return dict(json.loads(done.stdout)["jobs"][JOB])


def newest(host: Host) -> tuple[str, str]:
    """The newest snapshot that counts, and what is wrong, as the host itself knows."""
    (found,) = json.loads(host.run("drover backups --json").stdout)
    return str(found["snapshot"]), str(found["problem"])


def shown() -> dict[str, str]:
    """ETags of what is below the host's prefix, without restic's locks."""
    pages = cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=PREFIX)
    found = [each for page in pages for each in page.get("Contents", [])]
    return {each["Key"]: each["ETag"] for each in found if "/locks/" not in each["Key"]}


SUM = "SELECT md5(string_agg(b::text, ',' ORDER BY id)) FROM bookings AS b;"


@pytest.fixture(scope="module")
def rows(host: Host) -> str:
    """A table in the database, of which there is a backup; its sum."""
    psql(host, "DROP TABLE IF EXISTS bookings; CREATE TABLE bookings (id int PRIMARY KEY, note text);")
    psql(host, "INSERT INTO bookings SELECT n, 'canary-' || n FROM generate_series(1, 500) AS n;")
    assert drover(host, "backup")["result"] == "ok"
    return psql(host, SUM)


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


ASK = f"""
import boto3, botocore.config as c, botocore.exceptions as e
s3 = boto3.client('s3')
own = s3.list_objects_v2(Bucket='{BUCKET}', Prefix='{PREFIX}')['Contents'][0]['Key']
mine = s3.put_object(Bucket='{BUCKET}', Key='{PREFIX}locks/canary', Body=b'x')['VersionId']
s3.delete_object(Bucket='{BUCKET}', Key='{PREFIX}locks/canary')
version = {{'Key': '{PREFIX}locks/canary', 'VersionId': mine}}
batch = [{{'Key': '{PREFIX}locks/canary'}}, version]
plain = boto3.client('s3', endpoint_url='http://s3.{cloud.REGION}.amazonaws.com')
soon = {{'ID': 'x', 'Status': 'Enabled', 'Filter': {{'Prefix': ''}}, 'Expiration': {{'Days': 1}}}}
for client, call, more in (
    (s3, 'delete_object', version),
    (s3, 'delete_objects', {{'Delete': {{'Objects': batch}}}}),
    (s3, 'list_object_versions', {{'Prefix': '{PREFIX}'}}),
    (s3, 'put_bucket_versioning', {{'VersioningConfiguration': {{'Status': 'Suspended'}}}}),
    (s3, 'put_bucket_lifecycle_configuration', {{'LifecycleConfiguration': {{'Rules': [soon]}}}}),
    (s3, 'delete_bucket_lifecycle', {{}}),
    (s3, 'put_bucket_policy', {{'Policy': '{{}}'}}),
    (s3, 'delete_bucket_policy', {{}}),
    (s3, 'delete_public_access_block', {{}}),
    (s3, 'delete_bucket_encryption', {{}}),
    (s3, 'delete_bucket', {{}}),
    (s3, 'put_object', {{'Key': 'acme/production/web/x'}}),
    (s3, 'put_object', {{'Key': 'other/staging/web/x'}}),
    (s3, 'get_object', {{'Key': 'other/staging/web/x'}}),
    (s3, 'delete_object', {{'Key': 'other/staging/web/x'}}),
    (s3, 'list_objects_v2', {{'Prefix': 'other/'}}),
    (s3, 'list_objects_v2', {{}}),
    (plain, 'get_object', {{'Key': own}}),
):
    try:
        getattr(client, call)(Bucket='{BUCKET}', **more)
        print('allowed', call, more)
    except e.ClientError as problem:
        print(problem.response['Error']['Code'])
"""


def on_host(host: Host, script: str) -> list[str]:
    """Run Python on the host with the credentials that it has by itself."""
    command = f"AWS_DEFAULT_REGION={cloud.REGION} python3 - <<'END'\n{script}\nEND"
    return str(host.check_output(command)).splitlines()


def test_the_host_ends_no_history_and_sees_no_other_client(sdk: Host, rows: str) -> None:
    said = on_host(sdk, ASK)
    assert set(said) == {"AccessDenied"} and len(said) == 18, said


@contextmanager
def user(name: str) -> Iterator[Any]:
    """S3 for somebody of the account who may do everything."""
    iam = cloud.client("iam")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": rules.VERSION, "Statement": [everything]})
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    try:
        yield boto3.client(
            "s3",
            region_name=cloud.REGION,
            endpoint_url=cloud.ENDPOINT.replace("http:", "https:"),
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            verify=False,  # the certificate is for Amazon's names, which mean something else here
            config=Config(retries={"max_attempts": 1}, proxies={}, s3={"addressing_style": "path"}),
        )
    finally:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(UserName=name, PolicyName="all")
        iam.delete_user(UserName=name)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_nobody_else_ends_it_but_the_administrator() -> None:
    """On a bucket of its own, since the client's names the account's root user."""
    root, bucket = cloud.client("s3"), "acme-history"
    with suppress(root.exceptions.BucketAlreadyOwnedByYou):
        root.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": cloud.REGION})
    root.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=rules.VERSIONING)
    administrator = f"arn:aws:iam::{cloud.ACCOUNT}:user/keep*"
    root.put_bucket_policy(Bucket=bucket, Policy=json.dumps(rules.bucket_policy(bucket, administrator)))
    lifecycle = {"LifecycleConfiguration": rules.LIFECYCLE}
    with user("other") as other, user("keeper") as keeper:
        made = other.put_object(Bucket=bucket, Key="x")["VersionId"]
        for call, more in (
            ("delete_object", {"Key": "x", "VersionId": made}),
            ("put_bucket_lifecycle_configuration", lifecycle),
            ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Suspended"}}),
            ("delete_bucket_policy", {}),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                getattr(other, call)(Bucket=bucket, **more)
        keeper.put_bucket_lifecycle_configuration(Bucket=bucket, **lifecycle)
        keeper.delete_object(Bucket=bucket, Key="x", VersionId=made)
        keeper.delete_bucket(Bucket=bucket)


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


WIPE = f"""
import boto3
s3 = boto3.client('s3')
pages = s3.get_paginator('list_objects_v2').paginate(Bucket='{BUCKET}', Prefix='{PREFIX}')
keys = [each['Key'] for page in pages for each in page['Contents']]
for key in keys:
    if key.endswith('/config') or '/keys/' in key:
        s3.put_object(Bucket='{BUCKET}', Key=key, Body=b'ransom')
s3.put_object(Bucket='{BUCKET}', Key='{PREFIX}keys/' + 64 * 'a', Body=b'ransom')
for key in keys:
    if not key.endswith('/config'):
        s3.delete_object(Bucket='{BUCKET}', Key=key)
"""


def test_a_wiped_prefix_comes_back_by_one_command(scenario: Scenario, sdk: Host, rows: str) -> None:
    """Everything that the host's own credentials can do to its backups is undone."""
    before = shown()
    time.sleep(1.1)  # a moment is a whole second, before and after which nothing happens
    at = datetime.now(timezone.utc).replace(microsecond=0)
    time.sleep(1.1)
    on_host(sdk, WIPE)
    assert set(shown()) == {f"{PREFIX}config", f"{PREFIX}keys/{64 * 'a'}"}
    drover(sdk, "verify", JOB, fails=True)
    refused = sdk.run("drover backup --init")
    assert refused.rc == 1, "no new repository in the place of the old one"
    asked = ("-e", f"at={at.isoformat()}", "-e", "host=web")
    playbook = ROOT / "playbooks" / "recover.yml"
    would = scenario.site("--check", *asked, playbook=playbook)
    assert would.changed == 1 and shown() != before, would.output
    assert scenario.site(*asked, playbook=playbook).changed == 1
    assert shown() == before
    assert drover(sdk, "verify", JOB)["result"] == "verified"


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


@pytest.mark.long
def test_ten_thousand_objects_come_back_within_ten_minutes() -> None:
    s3, prefix = cloud.client("s3"), "acme/staging/many/"
    keys = [f"{prefix}data/{number:02x}/{number}" for number in range(10_000)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode()), keys))
        at = datetime.now(timezone.utc) + timedelta(seconds=1)
        time.sleep(2)
        list(pool.map(lambda key: s3.put_object(Bucket=BUCKET, Key=key, Body=b"ransom"), keys[::2]))
    for index in range(1, len(keys), 1000):
        gone = [{"Key": key} for key in keys[index : index + 1000 : 2]]
        s3.delete_objects(Bucket=BUCKET, Delete={"Objects": gone, "Quiet": True})
    wish = {"bucket": BUCKET, "prefix": prefix, "at": at.isoformat(), "skip": []}
    connection = {"endpoint_url": cloud.ENDPOINT, "access_key": cloud.ACCOUNT, "secret_key": "any"}
    client = bucket_recover.client({**connection, "region": cloud.REGION})
    began = time.monotonic()
    done = bucket_recover.recovered(client, wish, check=False)
    seconds = time.monotonic() - began
    print(f"\n{len(keys)} objects came back in {seconds:.0f} s by {recovery.THREADS} threads")
    assert (done["copies"], done["markers"]) == (5000, 5000) and seconds < 600
