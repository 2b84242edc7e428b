"""The metadata service: what an instance reads of itself, and who gets nothing."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.image.gateway import instance, metadata

TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"
ROLE = "arn:aws:iam::123456789012:instance-profile/host"
INSTANCE: dict[str, Any] = {
    "InstanceId": "i-1",
    "ImageId": "ami-1",
    "InstanceType": "t3.small",
    "Architecture": "x86_64",
    "LaunchTime": datetime(2026, 1, 1, tzinfo=UTC),
    "Placement": {"AvailabilityZone": "eu-central-1a"},
    "PrivateDnsName": "ip-10-0-0-9.eu-central-1.compute.internal",
    "PrivateIpAddress": "10.0.0.9",
    "VpcId": "vpc-1",
    "SubnetId": "subnet-1",
    "ReservationId": "r-1",
    "KeyName": "alice",
    "SecurityGroups": [{"GroupName": "web"}, {"GroupName": "ssh"}],
    "NetworkInterfaces": [
        {"MacAddress": "02:00:00:00:00:01", "NetworkInterfaceId": "eni-1", "PrivateIpAddress": "10.0.0.9"}
    ],
    "IamInstanceProfile": {"Arn": ROLE, "Id": "AIPA1"},
    "Tags": [{"Key": "Name", "Value": "front"}],
    "MetadataOptions": {"HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1},
}


class Cloud(instance.Cloud):
    """What the emulators would say, from memory."""

    def __init__(self, **more: Any) -> None:
        self.found: dict[str, Any] | None = {**INSTANCE, **more}
        self.asked: list[str] = []

    def instance(self, address: str) -> dict[str, Any] | None:
        return self.found

    def user_data(self, instance: Mapping[str, Any]) -> bytes:
        return instance.get("UserData", b"")

    def key(self, name: str) -> str:
        return f"ssh-ed25519 AAAA {name}\n"

    def ranges(self, instance: Mapping[str, Any]) -> tuple[str, str]:
        return "10.0.0.0/16", "10.0.0.0/24"

    def roles(self, profile: str) -> list[str]:
        return [profile]

    def credentials(self, role: str, identity: str) -> str:
        self.asked.append(role)
        return json.dumps({"AccessKeyId": f"{role} of {identity}"})


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCOUNT", "123456789012")


# --- what there is to read


def read(path: str, **more: Any) -> Any:
    cloud = Cloud(**more)
    return instance.read(instance.tree(cloud.found or {}, cloud), path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("meta-data/instance-id", "i-1"),
        ("/meta-data//instance-id/", "i-1"),
        ("meta-data/hostname", "ip-10-0-0-9.eu-central-1.compute.internal"),
        ("meta-data/placement/region", "eu-central-1"),
        ("meta-data/security-groups", "web\nssh"),
        ("meta-data/mac", "02:00:00:00:00:01"),
        ("meta-data/network/interfaces/macs/02:00:00:00:00:01/vpc-ipv4-cidr-block", "10.0.0.0/16"),
        ("meta-data/network/interfaces/macs/", "02:00:00:00:00:01/"),
        ("meta-data/public-keys/", "0=alice"),
        ("meta-data/public-keys/0", "openssh-key"),
        ("meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA alice\n"),
        ("meta-data/iam/security-credentials/", "host"),
        ("meta-data/placement", "availability-zone\nregion"),
        ("meta-data/nothing", None),
        ("meta-data/instance-id/below", None),
        ("user-data", b""),
    ],
)
def test_files_and_folders(path: str, said: str | bytes | None):
    assert read(path) == said


def test_folders_are_listed_with_a_slash():
    listed = read("meta-data").splitlines()
    assert {"iam/", "network/", "public-keys/", "instance-id"} <= set(listed)
    assert read("").splitlines() == ["dynamic/", "meta-data/", "user-data"]


def test_the_identity_document():
    document = json.loads(read("dynamic/instance-identity/document"))
    assert document["instanceId"] == "i-1"
    assert document["region"] == "eu-central-1"
    assert document["pendingTime"] == "2026-01-01T00:00:00Z"


def test_tags_are_shown_only_if_the_instance_says_so():
    shown = {**INSTANCE["MetadataOptions"], "InstanceMetadataTags": "enabled"}
    assert read("meta-data/tags/instance/Name") is None
    assert read("meta-data/tags/instance/Name", MetadataOptions=shown) == "front"


def test_an_instance_without_profile_or_key_has_no_such_folders():
    cloud = Cloud()
    bare = {key: value for key, value in INSTANCE.items() if key not in ("IamInstanceProfile", "KeyName")}
    top = instance.tree(bare, cloud)
    assert instance.read(top, "meta-data/iam") is None
    assert instance.read(top, "meta-data/public-keys") is None


def test_credentials_are_made_only_when_they_are_read():
    cloud = Cloud()
    top = instance.tree(INSTANCE, cloud)
    instance.read(top, "meta-data/iam/security-credentials")
    assert cloud.asked == []
    found = instance.read(top, "meta-data/iam/security-credentials/host")
    assert json.loads(found or "{}") == {"AccessKeyId": "host of i-1"}
    assert cloud.asked == ["host"]


class Service:
    """A client of an emulator that answers from memory."""

    class exceptions:  # noqa: N801  boto3's name
        NoSuchEntityException = ClientError

    def __init__(self, **answers: Callable[..., Any]) -> None:
        self.__dict__ |= answers


def missing(**_: Any) -> Any:
    raise ClientError({"Error": {"Code": "NoSuchEntity"}}, "GetInstanceProfile")


def cloud_of(**services: Service) -> instance.Cloud:
    cloud = instance.Cloud.__new__(instance.Cloud)
    cloud._instances, cloud._credentials = {}, {}
    cloud.__dict__ |= services
    return cloud


def test_a_profile_that_was_deleted_has_no_roles():
    assert cloud_of(iam=Service(get_instance_profile=missing)).roles("host") == []


def trusts(service: str) -> Callable[..., Any]:
    policy = {"Statement": [{"Effect": "Allow", "Principal": {"Service": service}}]}
    return lambda **_: {"Role": {"AssumeRolePolicyDocument": policy}}


def test_a_role_that_does_not_trust_ec2_gives_no_credentials():
    cloud = cloud_of(iam=Service(get_role=trusts("lambda.amazonaws.com")), sts=Service())
    assert json.loads(cloud.credentials("host", "i-1"))["Code"] == "AssumeRoleUnauthorizedAccess"


def test_credentials_are_kept_until_shortly_before_they_end():
    lives = [3600, 1100, 3600]

    def assume(**asked: str) -> Any:
        until = datetime.fromtimestamp(time.time() + lives.pop(), UTC)
        keys = {"AccessKeyId": str(len(lives)), "SecretAccessKey": "x", "SessionToken": "x"}
        return {"Credentials": {**keys, "Expiration": until}}

    cloud = cloud_of(sts=Service(assume_role=assume), iam=Service(get_role=trusts("ec2.amazonaws.com")))
    assert cloud.credentials("host", "i-1") == cloud.credentials("host", "i-1")
    assert cloud.credentials("host", "i-2") != cloud.credentials("host", "i-2")


def test_an_instance_is_asked_for_once_a_second(monkeypatch: pytest.MonkeyPatch):
    calls = []

    def describe(**asked: Any) -> Any:
        calls.append(asked["Filters"][0]["Values"])
        return {"Reservations": [{"ReservationId": "r-1", "Instances": [{"InstanceId": "i-1"}]}]}

    cloud = cloud_of(ec2=Service(describe_instances=describe))
    assert (
        cloud.instance("10.0.0.9")
        == cloud.instance("10.0.0.9")
        == {"InstanceId": "i-1", "ReservationId": "r-1"}
    )
    assert calls == [["10.0.0.9"]]
    now = time.monotonic()
    monkeypatch.setattr(metadata.time, "monotonic", lambda: now + 1.1)
    cloud.instance("10.0.0.9")
    assert len(calls) == 2


# --- who gets it: a real server


class Answers(metadata.Handler):
    """Notes how far its answers may travel."""

    hops: int

    def setup(self) -> None:
        super().setup()
        Answers.hops = self.connection.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)


class Client:
    def __init__(self, port: int, cloud: Cloud) -> None:
        self.port, self.cloud = port, cloud

    def ask(self, method: str, path: str, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def token(self, seconds: str = "60") -> str:
        status, token = self.ask("PUT", "/latest/api/token", **{TTL: seconds})
        assert status == 200
        return token

    def get(self, path: str, token: str) -> tuple[int, str]:
        return self.ask("GET", path, **{TOKEN: token})


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    cloud = Cloud()
    monkeypatch.setattr(Answers, "cloud", cloud, raising=False)
    monkeypatch.setattr(Answers, "tokens", {})
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Client(server.server_address[1], cloud)
        server.shutdown()
        thread.join()


def test_with_a_token_everything_can_be_read(client: Client):
    token = client.token()
    assert client.get("/latest/meta-data/instance-id", token) == (200, "i-1")
    assert client.get("/2021-03-23/meta-data/instance-id?x=y", token) == (200, "i-1")
    assert "latest" in client.get("/", token)[1].splitlines()
    assert client.get("/latest/user-data", token)[0] == 404
    assert client.get("/1999-01-01/meta-data", token)[0] == 404
    assert client.get("/latest/meta-data/nothing", token)[0] == 404


@pytest.mark.parametrize("path", ["/latest/meta-data/instance-id", "/latest/api/token", "/"])
def test_without_a_token_nothing_can_be_read(client: Client, path: str):
    assert client.ask("GET", path) == (401, "")
    assert client.get(path, "guessed")[0] == 401


def test_a_token_is_the_instances_own(client: Client):
    token = client.token()
    client.cloud.found = {**INSTANCE, "InstanceId": "i-2"}
    assert client.get("/latest/meta-data/instance-id", token)[0] == 401


def test_an_account_that_does_not_answer_is_an_error_and_said(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """A connection that ends without a word leaves cloud-init waiting for minutes."""
    token = client.token()

    def instance(address: str) -> Any:
        raise ClientError(
            {"Error": {"Code": "InternalError", "Message": "moto is busy"}}, "DescribeInstances"
        )

    monkeypatch.setattr(client.cloud, "instance", instance)
    assert client.ask("PUT", "/latest/api/token", **{TTL: "60"})[0] == 503
    assert client.get("/latest/meta-data/instance-id", token)[0] == 503
    assert "127.0.0.1 has no answer" in capsys.readouterr().out


def test_a_part_that_cannot_be_asked_is_an_error(client: Client, monkeypatch: pytest.MonkeyPatch):
    token = client.token()

    def roles(profile: str) -> list[str]:
        raise ClientError({"Error": {"Code": "InternalError", "Message": "busy"}}, "GetInstanceProfile")

    monkeypatch.setattr(client.cloud, "roles", roles)
    assert client.get("/latest/meta-data/iam/info", token)[0] == 503


def test_a_token_ends(client: Client, monkeypatch: pytest.MonkeyPatch):
    token = client.token("60")
    now = time.time()
    monkeypatch.setattr(metadata.time, "time", lambda: now + 59)
    assert client.get("/latest/meta-data/instance-id", token)[0] == 200
    monkeypatch.setattr(metadata.time, "time", lambda: now + 61)
    assert client.get("/latest/meta-data/instance-id", token)[0] == 401
    client.token()
    assert token not in Answers.tokens


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_token_is_had_by_put_only(client: Client, method: str):
    status, _ = client.ask(method, "/latest/api/token", **{TTL: "60"})
    assert status in (401, 501)
    assert Answers.tokens == {}


@pytest.mark.parametrize("forwarded", ["10.0.0.1", ""])
def test_whoever_asks_for_another_gets_no_token(client: Client, forwarded: str):
    headers = {TTL: "60", "X-Forwarded-For": forwarded}
    assert client.ask("PUT", "/latest/api/token", **headers) == (403, "")


@pytest.mark.parametrize("seconds", ["0", "21601", "-1", "1.5", "one", "", "\xb2"])
def test_a_token_lives_from_a_second_to_six_hours(client: Client, seconds: str):
    assert client.ask("PUT", "/latest/api/token", **{TTL: seconds})[0] == 400


def test_a_token_has_to_say_how_long_it_lives(client: Client):
    assert client.ask("PUT", "/latest/api/token")[0] == 400
    assert client.token("1")
    assert client.token("21600")


def test_a_token_is_had_at_one_path_only(client: Client):
    assert client.ask("PUT", "/latest/meta-data/instance-id", **{TTL: "60"})[0] == 404


def test_an_address_that_is_no_instance_gets_nothing(client: Client):
    token = client.token()
    client.cloud.found = None
    assert client.ask("PUT", "/latest/api/token", **{TTL: "60"})[0] == 403
    assert client.get("/latest/meta-data/instance-id", token)[0] == 403


def test_an_instance_may_have_the_service_switched_off(client: Client):
    token = client.token()
    client.cloud.found = {**INSTANCE, "MetadataOptions": {"HttpEndpoint": "disabled"}}
    assert client.ask("PUT", "/latest/api/token", **{TTL: "60"})[0] == 403
    assert client.get("/latest/meta-data/instance-id", token)[0] == 403


@pytest.mark.parametrize(("options", "hops"), [({"HttpPutResponseHopLimit": 3}, 3), ({}, 1)])
def test_answers_travel_as_far_as_the_hop_limit(client: Client, options: dict[str, int], hops: int):
    client.cloud.found = {**INSTANCE, "MetadataOptions": options}
    client.token()
    assert Answers.hops == hops
