"""The instance as its own processes and its containers see it."""

from __future__ import annotations

import json
import re
from typing import Any

from shared.scenario import Scenario
from testinfra.host import Host

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
    assert list(configuration) == ["credHelpers"]


def test_secrets_come_from_aws(host: Host) -> None:
    environment = json.loads(host.check_output("docker inspect notes-app-1"))[0]["Config"]["Env"]
    assert "GREETING=kept-in-parameter-store" in environment
    assert host.check_output("cat /srv/stacks/notes/secrets/app/token") == "kept-in-secrets-manager"


def test_no_aws_key_on_the_host(host: Host) -> None:
    """S6: neither ours nor the role's, which only pass through memory."""
    pattern = "A(KIA|SIA)[A-Z0-9]{16}"
    role = json.loads(ask(host, "meta-data/iam/security-credentials/acme-host"))
    assert re.fullmatch(pattern, role["AccessKeyId"]), "the role's key must be of the form that is looked for"
    places = "/etc /root /home /srv /opt /var/lib/drover /var/lib/cloud /var/log /tmp /run"
    assert host.check_output(f"grep -rlsE '{pattern}' {places} || true") == ""


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


def test_sdk_works_with_nothing_configured(host: Host, identity: str) -> None:
    """boto3 on the host: no stored credential, no endpoint, real names and a certificate for them."""
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-boto3 >/dev/null 2>&1")
    said = host.check_output(f'AWS_DEFAULT_REGION=eu-central-1 python3 -c "{SDK}"').splitlines()
    assert said[0].endswith(f"assumed-role/acme-host/{identity}")
    assert said[1:] == ["kept-in-parameter-store", "AccessDeniedException"]
