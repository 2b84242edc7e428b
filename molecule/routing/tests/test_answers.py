"""What a client gets to see, whether or not a service answers."""

from __future__ import annotations

from shared.scenario import eventually
from testinfra.host import Host

from .wire import Balancer


def test_headers_are_set_and_taken_away(balancer: Balancer) -> None:
    found = balancer.ask("change.test.example")
    assert found.seen["headers"]["X-Given"] == 'a "quoted" $word; }'
    assert found.headers.get_all("X-Frame-Options") == ["DENY"]
    assert balancer.ask("plain.test.example").headers["X-Powered-By"] == "aiohttp"
    assert "X-Powered-By" not in found.headers


def test_text_is_compressed_for_those_who_take_it(balancer: Balancer) -> None:
    much = {"X-Much": "x" * 3000}
    packed = balancer.ask("change.test.example", headers={"Accept-Encoding": "gzip", **much})
    assert packed.headers["Content-Encoding"] == "gzip" and len(packed.body) < 1500
    plain = balancer.ask("change.test.example", headers=much)
    assert "Content-Encoding" not in plain.headers and len(plain.body) > 3000


def test_maintenance_is_shown_while_the_service_runs_on(balancer: Balancer, host: Host) -> None:
    for path in ("/", "/x/y?z"):
        found = balancer.ask("shut.test.example", path)
        assert found.status == 503 and b"Back soon" in found.body
        assert found.headers["Content-Type"].startswith("text/html")
        assert balancer.status("shut.test.example", path, body=b"x=1") == 503
    assert balancer.status("shut.test.example", "/.drover-maintenance") in (404, 503)
    assert "shut-app-1" in host.check_output("docker ps --format '{{.Names}}'")


def test_own_page_is_shown_when_no_container_answers(balancer: Balancer, host: Host) -> None:
    name = host.check_output("docker ps --format '{{.Names}}' --filter name=web-gone")
    assert balancer.status("gone.test.example") == 200
    host.check_output(f"docker stop -t 1 {name}")
    try:
        found = balancer.ask("gone.test.example")
        assert found.status in (502, 503, 504) and b"Nobody answers here" in found.body
        assert balancer.status("gone.test.example", body=b"x=1") in (502, 503, 504)
        assert balancer.status("plain.test.example") == 200
    finally:
        host.check_output(f"docker start {name}")
    assert eventually(lambda: balancer.status("gone.test.example") == 200)
