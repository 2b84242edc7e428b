"""Who asks, behind a load balancer and past it."""

from __future__ import annotations

import json

from shared.scenario import eventually
from testinfra.host import Host

from .wire import ANNA, CLIENT, Balancer, elsewhere

KINDS = ("Method", "Prefix", "Protocol", "Scheme", "Server", "Ssl", "Tls-Client-Cert", "Uri", "User")
TAKEN = {"Forwarded", *(f"X-Forwarded-{each}" for each in KINDS)}
LIES = dict.fromkeys([*sorted(TAKEN), "X-Real-Ip", "X-Forwarded-Host"], "6.6.6.6")


def test_service_sees_the_client_and_https(balancer: Balancer) -> None:
    headers = balancer.ask("plain.test.example", client=CLIENT, headers={"X-Forwarded-Proto": "https"}).seen[
        "headers"
    ]
    assert headers["X-Forwarded-For"].split(",")[0] == CLIENT
    assert headers["X-Forwarded-Proto"] == "https" and headers["Host"] == "plain.test.example"


def test_spoofed_headers_are_dropped(balancer: Balancer, host: Host, kind: str) -> None:
    more = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"}
    spoofed = " ".join(f"-H '{name}: {value}'" for name, value in {**LIES, **more}.items())
    status, body = elsewhere(host, "plain.test.example", "/", spoofed)
    assert status == 200 and "6.6.6.6" not in body
    headers = json.loads(body)["headers"]
    assert (headers["X-Forwarded-Proto"], headers["X-Forwarded-Host"]) == ("http", "plain.test.example")
    through = balancer.ask("plain.test.example", client=CLIENT, headers=LIES)
    assert b"6.6.6.6" not in through.body
    seen = through.seen["headers"]
    assert seen["X-Forwarded-Host"] == "plain.test.example"
    assert seen.get("X-Real-Ip") == {"nginx": CLIENT, "traefik": None}[kind]
    assert not TAKEN & (set(headers) | set(seen))


def test_route_gives_its_service_a_header_that_no_client_may_send(balancer: Balancer) -> None:
    found = balancer.ask("change.test.example", client=CLIENT, headers={"X-Forwarded-Prefix": "/evil"})
    assert found.seen["headers"]["X-Forwarded-Prefix"] == "/app" and b"evil" not in found.body


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
