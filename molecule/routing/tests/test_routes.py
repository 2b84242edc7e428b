"""Where requests go."""

from __future__ import annotations

from collections import Counter

import pytest
from testinfra.host import Host

from .wire import Balancer

OLD, NEW = "1.0.0", "1.1.0"


@pytest.mark.parametrize(
    ("path", "version"),
    [
        *(("/", OLD), ("/x", OLD), ("/api", NEW), ("/api/x", NEW), ("/apix", OLD), ("/api/v1/x", OLD)),
        *(("/any/x", NEW), ("/any/long", NEW), ("/any/long/x", NEW)),
    ],
)
def test_longer_path_goes_first_unless_a_priority_says_otherwise(
    balancer: Balancer, path: str, version: str
) -> None:
    seen = balancer.ask("order.test.example", path).seen
    assert (seen["version"], seen["path"]) == (version, path)


def test_path_and_query_arrive_as_they_were_sent(balancer: Balancer) -> None:
    path = "/a%20b/caf%C3%A9/x%2Fy;z=1?q=%2F&r=a+b"
    assert balancer.ask("plain.test.example", path).seen["path"] == path


def test_other_names_redirect(balancer: Balancer) -> None:
    found = balancer.ask("www.plain.test.example", "/x?y=1")
    assert found.status in (301, 308)
    assert found.headers["Location"] == "http://plain.test.example/x?y=1"


def test_unknown_host_is_404_and_nobody_is_asked(balancer: Balancer, host: Host) -> None:
    for name in ("nobody.example", "10.77.0.41", "plain.test.example.nobody.example", "*"):
        found = balancer.ask(name, "/whoami")
        assert found.status == 404 and b"hostname" not in found.body


def test_health_path_answers_the_balancer_and_hides_no_path_of_a_service(balancer: Balancer) -> None:
    assert balancer.status(balancer.address, "/drover-health") == 200
    assert balancer.ask("plain.test.example", "/drover-health").seen["path"] == "/drover-health"


def test_client_stays_with_its_container(balancer: Balancer) -> None:
    found = [balancer.ask("sticky.test.example") for _ in range(12)]
    assert len({each.seen["hostname"] for each in found}) == 2
    for each in found[:4]:
        cookie = each.headers["Set-Cookie"]
        assert "httponly" in cookie.lower()
        again = [
            balancer.ask("sticky.test.example", headers={"Cookie": cookie.split(";")[0]}) for _ in range(5)
        ]
        assert {one.seen["hostname"] for one in again} == {each.seen["hostname"]}


def test_canary_gets_its_share(balancer: Balancer) -> None:
    found = Counter(balancer.ask("canary.test.example").seen["version"] for _ in range(200))
    assert 30 <= found[NEW] <= 90, found
