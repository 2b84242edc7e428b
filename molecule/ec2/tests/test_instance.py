"""The instance as its own processes and its containers see it."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

from shared.instances import INVENTORY
from shared.scenario import ROOT, Scenario
from testinfra.host import Host

from localcloud import cloud

SERVICE = "http://169.254.169.254/latest"
TOKEN = f"curl -sf -m 3 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {SERVICE}/api/token"
ASK = (
    "import urllib.request as u; "
    "print(u.urlopen(u.Request('{url}', method='PUT', headers={headers}), timeout=3).status)"
)


def ask(host: Host, path: str) -> str:
    token = host.check_output(TOKEN)
    return str(host.check_output(f"curl -sf -H 'X-aws-ec2-metadata-token: {token}' {SERVICE}/{path}"))


def test_metadata_needs_a_token(host: Host) -> None:
    look = f"curl -s -o /dev/null -w '%{{http_code}}' {SERVICE}/meta-data/"
    assert host.check_output(look) == "401"
    assert host.check_output(f"{look} -H 'X-aws-ec2-metadata-token: guessed'") == "401"
    forwarded = (
        f"curl -s -o /dev/null -w '%{{http_code}}' -X PUT -H 'X-Forwarded-For: 1.2.3.4' {SERVICE}/api/token"
    )
    assert host.check_output(forwarded) == "403"


def test_metadata_is_the_instances_own(host: Host, identity: str, scenario: Scenario) -> None:
    document = json.loads(ask(host, "dynamic/instance-identity/document"))
    assert (document["instanceId"], document["privateIp"]) == (identity, scenario.address)
    assert ask(host, "meta-data/tags/instance/drover:client") == "acme"
    assert ask(host, "meta-data/placement/region") == "eu-central-1"


def test_user_data_ran_once_by_cloud_init(host: Host) -> None:
    assert host.check_output("cat /etc/from-user-data") == "at the first boot"
    status = json.loads(host.check_output("cloud-init status --format json"))
    assert status["status"] == "done" and status["detail"].startswith("DataSourceEc2"), status


def test_containers_do_not_reach_the_metadata_service(host: Host) -> None:
    """Hop limit 1: the answer dies at the host. A container on the host's network is refused by the model."""
    headers = "{'X-aws-ec2-metadata-token-ttl-seconds': '60'}"
    script = ASK.format(url=f"{SERVICE}/api/token", headers=headers)
    inside = host.run(f'docker exec notes-app-1 python3 -c "{script}"')
    assert inside.rc != 0 and "200" not in inside.stdout, inside.stdout
    assert host.check_output(f'python3 -c "{script}"') == "200"


def test_hop_limit_two_would_reach_them(host: Host, ec2: Any, identity: str) -> None:
    """What the test above would see if the limit were not there."""
    headers = "{'X-aws-ec2-metadata-token-ttl-seconds': '60'}"
    script = ASK.format(url=f"{SERVICE}/api/token", headers=headers)
    ec2.modify_instance_metadata_options(InstanceId=identity, HttpPutResponseHopLimit=2)
    try:
        host.run("sleep 1.5")  # the service remembers an instance for a second
        assert host.check_output(f'docker exec notes-app-1 python3 -c "{script}"') == "200"
    finally:
        ec2.modify_instance_metadata_options(InstanceId=identity, HttpPutResponseHopLimit=1)


def test_images_come_from_ecr_without_a_token_on_disk(host: Host) -> None:
    image = json.loads(host.check_output("docker inspect notes-app-1"))[0]["Config"]["Image"]
    assert image.startswith("123456789012.dkr.ecr.eu-central-1.amazonaws.com/")
    configuration = json.loads(host.check_output("cat /root/.docker/config.json"))
    assert configuration["credHelpers"] == {image.partition("/")[0]: "ecr-login"}
    assert list(configuration["auths"]) == ["registry.example.com"], "root's own, from before the first run"


def test_secrets_come_from_aws(host: Host) -> None:
    environment = json.loads(host.check_output("docker inspect notes-app-1"))[0]["Config"]["Env"]
    assert "GREETING=kept-in-parameter-store" in environment
    assert host.check_output("cat /srv/stacks/notes/secrets/app/token") == "kept-in-secrets-manager"


def test_no_aws_key_on_the_host(host: Host) -> None:
    """S6: neither ours nor the role's, which only pass through memory."""
    pattern = "A(KIA|SIA)[A-Z0-9]{16}"
    ours = "k4nary-of-the-controlle[r]"  # else sudo's log of this very command would be found
    role = json.loads(ask(host, "meta-data/iam/security-credentials/acme-host"))
    assert re.fullmatch(pattern, role["AccessKeyId"]), "the role's key must be of the form that is looked for"
    places = "/etc /root /home /srv /opt /var/lib/drover /var/lib/cloud /var/log /tmp /run"
    assert host.check_output(f"grep -rlsE '{pattern}|{ours}' {places} || true") == ""


S3 = """
import boto3, botocore.config as c, botocore.exceptions as e
for style in ('virtual', 'path'):
    s3 = boto3.client('s3', config=c.Config(s3={'addressing_style': style}))
    for body in (b'first', b'second'):
        made = s3.put_object(Bucket='acme-backups', Key='web/' + style, Body=body)
    print(s3.get_object(Bucket='acme-backups', Key='web/' + style)['Body'].read().decode())
elsewhere, erased = {'Key': 'other/x'}, {'Key': 'web/path', 'VersionId': made['VersionId']}
for call, more in (('put_object', elsewhere), ('delete_object', erased)):
    try:
        getattr(s3, call)(Bucket='acme-backups', **more)
        print('allowed')
    except e.ClientError as problem:
        print(problem.response['Error']['Code'])
"""


def test_s3_by_both_addresses_with_versions_and_its_policy(sdk: Host) -> None:
    """What backups will need: write below one's own prefix, never erase what was written."""
    s3, bucket = cloud.client("s3"), "acme-backups"
    place = {"LocationConstraint": cloud.REGION}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    role = {"AWS": f"arn:aws:iam::{cloud.ACCOUNT}:role/acme-host"}
    own, everything = f"arn:aws:s3:::{bucket}/web/*", f"arn:aws:s3:::{bucket}/*"
    rules = [
        {
            "Effect": "Allow",
            "Principal": role,
            "Action": ["s3:PutObject", "s3:GetObject", "s3:DeleteObject*"],
            "Resource": own,
        },
        {"Effect": "Deny", "Principal": role, "Action": "s3:DeleteObjectVersion", "Resource": everything},
    ]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": rules}))
    said = sdk.check_output(f'AWS_DEFAULT_REGION={cloud.REGION} python3 -c "{S3}"').splitlines()
    assert said == ["second", "second", "AccessDenied", "AccessDenied"]
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [each["Key"] for each in versions] == ["web/path"] * 2 + ["web/virtual"] * 2


SDK = """
import boto3, botocore.exceptions as e
print(boto3.client('sts').get_caller_identity()['Arn'])
ssm = boto3.client('ssm')
print(ssm.get_parameter(Name='/acme/staging/notes/greeting', WithDecryption=True)['Parameter']['Value'])
try:
    ssm.get_parameter(Name='/other/staging/notes/greeting')
except e.ClientError as problem:
    print(problem.response['Error']['Code'])
"""


def test_facts_of_the_module(scenario: Scenario, identity: str) -> None:
    command = ["ansible", "-i", str(INVENTORY), "-b", "-m", "amazon.aws.ec2_metadata_facts", "all"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert f"ansible_ec2_instance_id: {identity}" in done.stdout, done.stdout + done.stderr


def test_sdk_works_with_nothing_configured(sdk: Host, identity: str) -> None:
    """boto3 on the host: no stored credential, no endpoint, real names and a certificate for them."""
    said = sdk.check_output(f'AWS_DEFAULT_REGION=eu-central-1 python3 -c "{SDK}"').splitlines()
    assert said[0].endswith(f"assumed-role/acme-host/{identity}")
    assert said[1:] == ["kept-in-parameter-store", "AccessDeniedException"]
