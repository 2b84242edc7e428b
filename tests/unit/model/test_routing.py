"""Routes as people write them: each mistake has one message; what is right becomes the manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.drover.platform.plugins.plugin_utils import model as models
from ansible_collections.drover.platform.plugins.plugin_utils import placement, release
from ansible_collections.drover.platform.plugins.plugin_utils.derive import apache
from drover.release import Proxy, read
from drover.route import Canary, Rate

COLLECTION = Path(__file__).resolve().parents[3] / "compose"
TWO = """
services:
  web:
    image: web:1
    healthcheck: {test: [CMD, check]}
  next:
    image: web:2
    healthcheck: {test: [CMD, check]}
"""
ROUTE: dict[str, Any] = {"host": "a.example.com", "service": "web", "port": 80}
BALANCED = {"proxy": {"trusted": ["10.20.0.0/24"]}}
PASSWORD = "k4nary-pass"
Made = Callable[..., Any]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"priority": 101}, "routes[0].priority: 101 is too large; write 100 or less"),
        ({"redirect_from": ["www"]}, 'routes[0].redirect_from[0]: "www" is not a host name'),
        ({"redirect_from": ["a.example.com"]}, 'redirect_from[0]: "a.example.com" has a route, or redirects'),
        ({"https": True}, "routes[0].https: no load balancer is believed that a request came by TLS; write"),
        ({"headers": {"request": {"X A": "b"}}}, "is not a header's name; write one such as X-Frame-Options"),
        ({"headers": {"request": {"X-A": "b\nc"}}}, "holds U+000A"),
        ({"headers": {"request": {"X-Forwarded-For": "b"}}}, "X-Forwarded-For: the proxy sets it by itself"),
        ({"headers": {"request": {"x-forwarded-host": "b"}}}, "x-forwarded-host: the proxy sets it"),
        (
            {"headers": {"response": {"Server": ""}}},
            "routes[0].headers.response.Server: Nginx writes its own whatever a route says; remove it",
        ),
        ({"headers": {"response": {"date": "x"}}}, "headers.response.date: Nginx writes its own"),
        ({"headers": {"answer": {}}}, "headers.answer: no such key; write one of: request, response"),
        ({"auth": "staff"}, "routes[0].auth: the stack has no secret of that name"),
        ({"allow": ["10.0.0.1/8"]}, '"10.0.0.1/8" is not an address range; write one such as 10.20.0.0/24'),
        ({"rate": {"per": "minute"}}, 'routes[0].rate: the key "requests" is missing'),
        ({"rate": {"requests": 5, "per": "hour"}}, "routes[0].rate.per: found"),
        ({"max_body": 10}, "routes[0].max_body: found a number (10) instead of text"),
        ({"timeout": 0}, "routes[0].timeout: 0 is too small; write 1 or more"),
        (
            {"canary": {"service": "nxt", "port": 80, "percent": 5}},
            'there is no service "nxt"',
        ),
        ({"canary": {"service": "next", "port": 80, "percent": 100}}, "canary.percent: 100 is too large"),
        ({"canary": {"service": "next"}}, 'routes[0].canary: the key "port" is missing'),
        ({"sticky": "yes"}, "routes[0].sticky: found text"),
    ],
)
def test_mistake_is_named_by_its_key(wrong: Made, more: dict[str, Any], expected: str) -> None:
    assert expected in wrong(TWO, routes=[{**ROUTE, **more}])


@pytest.mark.parametrize(
    "lines",
    ["anna", "anna:", ":x", "anna:changeme", "an na:x9", "a:$5$salt$hash", "a:{SHA}xyz", "a:k9\nbert"],
)
def test_users_without_real_passwords_are_refused_and_not_shown(wrong: Made, lines: str) -> None:
    found = wrong(TWO, routes=[{**ROUTE, "auth": "staff"}], secrets={"staff": lines})
    assert "secrets.staff: not each of its lines" in found
    assert not any(word in found for word in ("$5$salt", "{SHA}xyz", "k9"))


@pytest.mark.parametrize(
    "path",
    ["/%61dmin", "/caf%C3%A9", "/a//b", "//a", "/./a", "/a/.", "/a/../b", "/..", "/a(b)", "/a;b", "/@a"],
)
def test_path_that_a_proxy_would_not_find_again(wrong: Made, path: str) -> None:
    found = wrong(TWO, routes=[{**ROUTE, "path": path}])
    assert f'routes[0].path: "{path}" is not a path as it is compared' in found
    assert "letters, digits and . _ ~ - between single slashes" in found


@pytest.mark.parametrize("path", ["/", "/api/", "/.well-known/x", "/~anna/v1.2", "/..a/b-c_d", "/a..b/..."])
def test_paths_as_people_write_them(released: Made, path: str) -> None:
    made: release.Release = released(TWO, routes=[{**ROUTE, "path": path}])
    assert read(made.manifest).routes[0].path == path


def test_page_that_is_not_there(wrong: Made) -> None:
    assert 'compose/shop has no file "down.html"; write the path' in wrong(TWO, pages={"down": "down.html"})


def test_nginx_has_one_stack_for_a_host_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "compose.yaml").write_text(TWO)
    stacks = [
        {"name": "one", "routes": [ROUTE]},
        {"name": "two", "routes": [{**ROUTE, "path": "/two"}]},
    ]
    roots = [tmp_path, COLLECTION]
    assert not models.validate(stacks, {}, roots)
    (found,) = models.validate(stacks, {"proxy": {"kind": "nginx"}}, roots)
    assert "two.routes[0].host" in str(found) or found.path[1] == 1
    assert "with nginx each has one stack" in str(found)


def test_everything_asked_for_reaches_the_agent(released: Made) -> None:
    full = {
        **ROUTE,
        "path": "/x",
        "priority": 5,
        "redirect_from": ["WWW.a.example.com"],
        "https": True,
        "headers": {"request": {"X-A": "$b;", "X-Forwarded-Prefix": "/x"}, "response": {"X-Powered-By": ""}},
        "auth": "staff",
        "allow": ["203.0.113.0/24"],
        "rate": {"requests": 5, "per": "minute"},
        "max_body": "10m",
        "timeout": 30,
        "compress": True,
        "sticky": True,
        "canary": {"service": "next", "port": 81, "percent": 10},
        "tls": False,
    }
    secrets = {"staff": f"anna:{PASSWORD}\nbert:$2y$05$abc"}
    made: release.Release = released(
        TWO,
        {"down.html": "<p>down"},
        BALANCED,
        routes=[full, ROUTE],
        secrets=secrets,
        pages={"down": "down.html"},
        maintenance=True,
    )
    found = read(made.manifest)
    plain, asked = found.routes
    assert plain[5:] == (0, (), False, (), (), "", (), None, 0, 0, False, False, None, False)
    assert asked.plain
    assert asked.redirect_from == ("www.a.example.com",) and asked.https and asked.priority == 5
    assert asked.request_headers == (("X-A", "$b;"), ("X-Forwarded-Prefix", "/x"))
    assert asked.response_headers == (("X-Powered-By", ""),)
    assert (asked.auth, asked.allow, asked.max_body) == ("staff", ("203.0.113.0/24",), 10 << 20)
    assert asked.rate == Rate(5, "minute", 5) and asked.canary == Canary("next", 81, 10)
    assert found.maintenance and found.down_page
    assert made.pages["down.html"] == b"<p>down" and b"Back soon" in made.pages["maintenance.html"]
    hashed, given = made.users["staff"].splitlines()
    assert given == "bert:$2y$05$abc" and hashed.startswith("anna:$apr1$")
    assert not any(PASSWORD.encode() in content for content in made.files.values())
    assert not made.secrets  # nobody but the proxy reads it
    (users,) = placement.tree([made])["secrets"]
    assert users["path"] == "/srv/proxy/users/shop.staff" and users["owner"] == "65532"


def test_users_stay_the_same_from_run_to_run(released: Made) -> None:
    data = {"routes": [{**ROUTE, "auth": "staff"}], "secrets": {"staff": f"anna:{PASSWORD}"}}
    assert released(TWO, **data).users == released(TWO, **data).users


def test_hash_is_apaches() -> None:
    """As `openssl passwd -apr1 -salt abcdefgh` says."""
    assert apache.md5(PASSWORD, "abcdefgh") == "$apr1$abcdefgh$kElJBj.f4GOlyB3Sbco9c/"


def test_canary_joins_the_public_network(override: Made) -> None:
    route = {**ROUTE, "canary": {"service": "next", "port": 80, "percent": 5}}
    assert "public" in override(TWO, routes=[route])["services"]["next"]["networks"]


@pytest.mark.parametrize("kind", ["traefik", "nginx"])
def test_proxy_of_each_kind_is_a_stack(kind: str) -> None:
    platform = {"proxy": {"kind": kind, "trusted": ["10.20.0.0/24"], "idle_timeout": 70}}
    model = models.load([], platform, [COLLECTION], "proxy")
    assert not model.problems
    made = release.build(model.stacks[0])
    assert read(made.manifest).proxy == Proxy(kind, ("10.20.0.0/24",), 60, 70)
    assert list(made.manifest["services"]) == [kind]
    assert made.manifest["services"][kind]["order"] == "stop-first"


def test_pages_of_traefik_are_there_if_a_stack_has_some(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "compose.yaml").write_text(TWO)
    stacks = [{"name": "shop", "routes": [ROUTE], "maintenance": True}]
    (proxy,) = models.load(stacks, {}, [tmp_path, COLLECTION], "proxy").stacks
    assert sorted(proxy.services) == ["pages", "traefik"]
