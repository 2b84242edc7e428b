"""Who can reach whom: databases have no way in or out but their own stack, names stay within their stack."""

from __future__ import annotations

import pytest
from shared.scenario import containers
from testinfra.host import Host

ASK = """docker exec %s python3 -c "
import socket
socket.setdefaulttimeout(3)
%s
" """


def run_in(host: Host, container: str, code: str) -> int:
    return int(host.run(ASK % (container, code)).rc)


@pytest.mark.parametrize("container", ["shop-db-1", "shop-cache-1"])
def test_database_and_cache_are_on_internal_networks_only(host: Host, container: str) -> None:
    for network in containers(host)[container]["NetworkSettings"]["Networks"]:
        assert host.check_output(f"docker network inspect -f '{{{{.Internal}}}}' {network}") == "true", (
            network
        )


def test_backend_reaches_its_database_by_name(host: Host) -> None:
    assert run_in(host, "shop-backend-1", "socket.create_connection(('db', 5432))") == 0


def test_another_stack_reaches_neither_name_nor_address(host: Host) -> None:
    assert run_in(host, "notes-app-1", "socket.getaddrinfo('backend', 8080)") != 0
    assert run_in(host, "notes-app-1", "socket.getaddrinfo('db', 5432)") != 0
    # Only the public address is tried: the host itself has no route to the internal one.
    address = containers(host)["shop-backend-1"]["NetworkSettings"]["Networks"]["shop_public"]["IPAddress"]
    assert run_in(host, "notes-app-1", f"socket.create_connection(('{address}', 8080))") != 0


def reaches(host: Host, network: str, address: str, port: int) -> bool:
    code = f"import socket; socket.create_connection(('{address}', {port}), 2)"
    image = "--entrypoint python3 drover/demo-notes:1.0.0"
    return bool(host.run(f'docker run --rm --network {network} {image} -c "{code}"').rc == 0)


def test_private_network_reaches_neither_host_nor_outside(host: Host) -> None:
    own = host.check_output("hostname -I").split()[0]
    registry = ("10.77.0.5", 5000)
    assert reaches(host, "public", *registry), "the question itself must work"
    assert reaches(host, "public", own, 22)
    assert not reaches(host, "private", *registry)
    assert not reaches(host, "private", own, 22)
    assert not reaches(host, "private", own, 80)


def test_private_network_has_no_address_on_the_host(host: Host) -> None:
    subnet = host.check_output("docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' private")
    assert not host.run(f"ip -4 route | grep -F {subnet}").stdout


def test_only_the_proxy_publishes_a_port(host: Host) -> None:
    published = {name for name, each in containers(host).items() if each["HostConfig"]["PortBindings"]}
    assert published == {"proxy-traefik-1"}
