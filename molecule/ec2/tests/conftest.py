"""The instance under test, found as the product finds it, and the account it lives in."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from shared.instances import found, over_ssh
from shared.scenario import Scenario
from testinfra.host import Host

from localcloud import account, authority, cloud

from .rebuilds import serving
from .s3 import SUM, drover, psql


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return found()


@pytest.fixture(scope="module")
def identity(scenario: Scenario) -> str:
    """The instance's id, which is the last part of the host's name."""
    return scenario.name.removeprefix("web-")


@pytest.fixture(scope="module")
def host(scenario: Scenario) -> Host:
    return over_ssh(scenario)


@pytest.fixture(scope="module")
def sdk(host: Host) -> Host:
    """The host with boto3 of its distribution."""
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-boto3 >/dev/null 2>&1")
    return host


@pytest.fixture(scope="module")
def backed_up(host: Host) -> None:
    """A host is not well as long as there is no backup."""
    host.check_output("drover backup")


@pytest.fixture(scope="module")
def rows(host: Host) -> str:
    """A table in the database, of which there is a backup; its sum."""
    psql(host, "DROP TABLE IF EXISTS bookings; CREATE TABLE bookings (id int PRIMARY KEY, note text);")
    psql(host, "INSERT INTO bookings SELECT n, 'canary-' || n FROM generate_series(1, 500) AS n;")
    assert drover(host, "backup")["result"] == "ok"
    return psql(host, SUM)


@pytest.fixture
def bookings() -> None:
    """A table with rows on whichever instance serves, and a backup of everything."""
    _, host = serving()
    psql(host, "CREATE TABLE IF NOT EXISTS bookings (id int PRIMARY KEY, note text);")
    psql(host, "INSERT INTO bookings SELECT n, 'x' FROM generate_series(1, 50) AS n ON CONFLICT DO NOTHING;")
    host.check_output("drover backup")


@pytest.fixture(scope="module")
def ec2() -> Any:
    return cloud.client("ec2")


@pytest.fixture(scope="module")
def answer() -> Callable[..., str]:
    """answer(host name, path) → what the load balancer says over HTTPS, its certificate checked."""
    address = account.address_of("acme")
    trust = ssl.create_default_context(cafile=str(authority.AUTHORITY))

    def asked(name: str = "notes.acme.example", path: str = "/") -> str:
        request = f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
        try:
            with (
                socket.create_connection((address, 443), timeout=10) as plain,
                trust.wrap_socket(plain, server_hostname=name) as connection,
            ):
                connection.sendall(request.encode())
                return connection.recv(4000).decode(errors="replace")
        except OSError:
            return ""

    return asked


@pytest.fixture(scope="module")
def fetch(answer: Callable[..., str]) -> Callable[..., int]:
    """fetch(host name, path) → the status, 0 without an answer."""

    def fetched(*what: str) -> int:
        words = answer(*what).split(maxsplit=2)
        return int(words[1]) if len(words) > 1 else 0

    return fetched


@pytest.fixture
def launched(ec2: Any, identity: str) -> Iterator[Callable[..., str]]:
    """launched(tag=value …) → the id of another instance with the first one's tags but for these."""
    (group,) = ec2.describe_instances(InstanceIds=[identity])["Reservations"]
    like = group["Instances"][0]
    made: list[str] = []

    def launch(**tags: str) -> str:
        every = {tag["Key"]: tag["Value"] for tag in like["Tags"]}
        every.update({f"drover:{key}": value for key, value in tags.items()})
        specification = [{"Key": key, "Value": value} for key, value in every.items() if value]
        answer = ec2.run_instances(
            ImageId=like["ImageId"],
            MinCount=1,
            MaxCount=1,
            SubnetId=like["SubnetId"],
            TagSpecifications=[{"ResourceType": "instance", "Tags": specification}],
        )
        made.append(answer["Instances"][0]["InstanceId"])
        return made[-1]

    yield launch
    if made:
        ec2.terminate_instances(InstanceIds=made)
