"""A certificate for a name that no issuer can reach: it looks into Route 53, where the instance may write."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator

import pytest
import yaml
from shared.instances import INVENTORY
from shared.issuer import Issuer
from shared.scenario import Scenario
from testinfra.host import Host

from localcloud import cloud

NAME = "notes.acme.example"


@pytest.fixture(scope="module")
def zone() -> Iterator[str]:
    """The client's zone in Route 53."""
    route53 = cloud.client("route53")
    made = route53.create_hosted_zone(Name="acme.example", CallerReference="test")["HostedZone"]["Id"]
    yield made
    route53.delete_hosted_zone(Id=made)


@pytest.fixture
def put_back(scenario: Scenario) -> Iterator[None]:
    """Afterwards the host is as the inventory has it: other tests see that nothing is to be done."""
    yield
    scenario.converge("--tags", "agent,proxy,stacks")


@pytest.mark.usefixtures("put_back")
def test_certificate_comes_by_dns_with_the_instances_own_role(
    scenario: Scenario, host: Host, zone: str
) -> None:
    issuer = Issuer.by_dns(host)
    (path,) = (INVENTORY / "group_vars" / "all").glob("platform.y*ml")
    platform = yaml.safe_load(path.read_text())["drover_platform"]
    platform["proxy"] = {"tls": issuer.settings}
    told = json.dumps({"drover_platform": platform})
    scenario.converge("--tags", "agent,proxy,stacks", "-e", told)
    trust = ssl.create_default_context(cadata=issuer.root)
    with (
        socket.create_connection((scenario.address, 443), timeout=10) as plain,
        trust.wrap_socket(plain, server_hostname=NAME) as connection,
    ):
        connection.sendall(f"GET /up HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        assert b" 200 " in connection.recv(4000)
    found = {each["name"]: each for each in json.loads(host.check_output("drover certificates --json"))}
    assert (found[NAME]["source"], found[NAME]["problem"]) == ("acme", "")
    records = cloud.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert not [each for each in records if each["Type"] == "TXT"], "nothing is left in the zone"
    assert not host.file("/root/.aws").exists, "no key lies on the host"
