"""Who asks, behind a load balancer and past it."""

from __future__ import annotations

import json

from shared.scenario import eventually
from testinfra.host import Host

from .wire import ANNA, CLIENT, Balancer, elsewhere


def test_service_sees_the_client_and_https(balancer: Balancer) -> None:
    headers = balancer.ask("plain.test.example", client=CLIENT, headers={"X-Forwarded-Proto": "https"}).seen[
        "headers"
    ]
    assert headers["X-Forwarded-For"].split(",")[0] == CLIENT
    assert headers["X-Forwarded-Proto"] == "https" and headers["Host"] == "plain.test.example"


def test_spoofed_headers_are_dropped(balancer: Balancer, host: Host) -> None:
    lies = {"X-Real-Ip": "6.6.6.6", "Forwarded": "for=6.6.6.6"}
    spoofed = " ".join(f"-H '{name}: {value}'" for name, value in lies.items())
    spoofed += (
        " -H 'X-Forwarded-For: 6.6.6.6' -H 'X-Forwarded-Proto: https' -H 'X-Forwarded-Host: evil.example'"
    )
    status, body = elsewhere(host, "plain.test.example", "/", spoofed)
    assert status == 200 and "6.6.6.6" not in body and "evil.example" not in body
    assert json.loads(body)["headers"]["X-Forwarded-Proto"] == "http"
    through = balancer.ask("plain.test.example", client=CLIENT, headers=lies)
    assert b"6.6.6.6" not in through.body


def test_http_is_redirected_where_the_balancer_ends_tls(balancer: Balancer, host: Host) -> None:
    plain = balancer.ask("tls.test.example", "/x?y=1", headers={"X-Forwarded-Proto": "http"})
    assert plain.status in (301, 308) and plain.headers["Location"] == "https://tls.test.example/x?y=1"
    assert balancer.status("tls.test.example", headers={"X-Forwarded-Proto": "https"}) == 200
    assert elsewhere(host, "tls.test.example", "/", "-H 'X-Forwarded-Proto: https'")[0] in (301, 308)


def test_access_log_is_json_without_secrets(balancer: Balancer, host: Host, proxy: str) -> None:
    balancer.ask("guard.test.example", "/admin/logged?token=canary-query-5d", headers=ANNA, client=CLIENT)

    def lines() -> list[str]:
        said = host.check_output(f"docker logs --since 20s {proxy} 2>&1")
        return [line for line in said.splitlines() if "/admin/logged" in line and "GET" in line]

    assert eventually(lambda: len(lines()) == 1)
    (line,) = lines()
    assert 200 in json.loads(line).values() and CLIENT in line and "canary" not in line
