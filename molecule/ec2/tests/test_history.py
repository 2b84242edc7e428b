"""A history that the host cannot end, and that comes back by one command."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
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
from shared.scenario import ROOT, Scenario
from testinfra.host import Host

from localcloud import cloud

from .s3 import BUCKET, JOB, PREFIX, drover, on_host, shown

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
