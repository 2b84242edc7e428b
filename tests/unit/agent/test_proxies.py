"""Routes for both proxies: what is rendered is valid, and no value leaves its place."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from drover import proxy, route, routes, wishes
from drover.layout import Layout
from drover.proxy import nginx, source, traefik
from drover.proxy.nginx import blocks
from drover.release import Manifest, Proxy
from drover.route import Canary, Rate, Route
from drover.run import DroverError, Result
from drover.tls import Acme, Certificate, Tls
from hypothesis import given, settings
from hypothesis import strategies as st
from test_parts import HOSTS, NAMES, PATHS, PLAIN

PROBES = st.from_regex(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,20}", fullmatch=True)
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126))
HEADERS = st.dictionaries(st.from_regex(route.HEADER, fullmatch=True), PRINTABLE, max_size=3).map(
    lambda found: tuple(sorted(found.items()))
)
RANGES = st.lists(st.sampled_from(["10.0.0.0/8", "203.0.113.9/32", "2001:db8::/32"]), max_size=2, unique=True)
RATES = st.builds(Rate, st.integers(1, 10**6), st.sampled_from(["second", "minute"]), st.integers(1, 10**6))
ROUTES = st.builds(
    Route,
    host=HOSTS,
    path=PATHS,
    service=st.just("web"),
    port=st.integers(1, 65535),
    health=st.none() | PROBES,
    priority=st.integers(-100, 100),
    redirect_from=st.lists(HOSTS, max_size=2).map(tuple),
    https=st.booleans(),
    request_headers=HEADERS,
    response_headers=HEADERS,
    auth=st.just("") | st.from_regex(route.USERS, fullmatch=True),
    allow=RANGES.map(tuple),
    rate=st.none() | RATES,
    max_body=st.integers(0, 1 << 40),
    timeout=st.integers(0, 86_400),
    compress=st.booleans(),
    sticky=st.booleans(),
    canary=st.none() | st.builds(Canary, st.just("next"), st.integers(1, 65535), st.integers(1, 99)),
)
PROXIES = st.builds(
    Proxy,
    st.sampled_from(["traefik", "nginx"]),
    RANGES.map(tuple),
    st.integers(1, 3600),
    st.integers(1, 3600),
    tls=st.none() | st.just(Tls(Acme("https://acme.example/dir", "ops@acme.example", "http"))),
    users=st.just({}),
    certificates=st.dictionaries(HOSTS, st.just(Certificate("acme/0a1b2c3d/a.example.pem", 1)), max_size=2),
)
MANIFESTS = st.builds(
    Manifest,
    NAMES,
    routes=st.lists(ROUTES, min_size=1, max_size=4).map(tuple),
    maintenance=st.booleans(),
    down_page=st.booleans(),
    reads_only=st.booleans(),
    proxy=PROXIES,
)


def served(wish: Manifest) -> dict[str, list[str]]:
    return {name: [f"{wish.stack}-{name}-1", f"{wish.stack}-{name}-2"] for name in ("web", "next")}


@given(MANIFESTS)
@settings(max_examples=200)
def test_what_is_rendered_is_valid_and_says_its_places(wish: Manifest) -> None:
    wish = wish._replace(routes=tuple(_without_ours(each) for each in wish.routes))
    text = routes.text(wish, served(wish))
    module = proxy.of(text)
    assert routes.SUFFIX[wish.proxy.kind if wish.proxy else ""] == module.SUFFIX
    assert proxy.places(text) == set(map(routes.place, wish.routes))
    assert re.fullmatch(rf"[0-9a-f]{{16}}\.{wish.stack}\.seen\.invalid", routes.mark(text))


def _without_ours(each: Route) -> Route:
    """The model refuses headers that are the proxy's."""
    kept = tuple(pair for pair in each.request_headers if pair[0].lower() not in route.OURS)
    return each._replace(request_headers=kept)


@given(ROUTES)
def test_route_is_read_as_it_was_written(each: Route) -> None:
    each = each._replace(allow=tuple(str(ipaddress.ip_network(one)) for one in each.allow))
    assert route.read("route", json.loads(json.dumps(route.plain(each)))) == each


@given(PROXIES)
def test_own_files_are_valid(settings: Proxy) -> None:
    own = Manifest("proxy", proxy=settings)
    assert proxy.mark(proxy.render(own, {})).endswith(".proxy.seen.invalid")


def test_connections_are_kept_for_long_and_led_by_an_old_route_for_a_moment() -> None:
    text = proxy.render(Manifest("proxy", proxy=Proxy("nginx", idle_seconds=75)), {})
    assert "keepalive_timeout 75s;" in text and f"keepalive_min_timeout {nginx.LINGER}s;" in text
    wish = Manifest("shop", routes=(STAFF,), proxy=Proxy("nginx"))
    plain = wish._replace(proxy=None)
    assert nginx.LINGER < routes.linger([wish, plain, None], ["web", "db"]) < 10
    assert not routes.linger([wish], ["db"]) and not routes.linger([plain], ["web"])


# Who is only read

READERS = [("GET", ""), ("HEAD", ""), ("OPTIONS", "")]
WRITERS = [
    ("POST", ""),
    ("DELETE", ""),
    ("TRACE", ""),
    ("GETS", ""),
    ("GET", "websocket"),
    ("OPTIONS", "h2c"),
]


def led_by_traefik(text: str, method: str, upgrade: str) -> set[str]:
    """The services of the routers that fit best, by their rules as Traefik reads them."""
    told = {"Method": method, "HeaderRegexp": upgrade}
    routers = json.loads(text.split("\n", 2)[2])["http"]["routers"].values()

    def fits(rule: str) -> bool:
        def judged(found: re.Match[str]) -> str:
            value = found[2].split("`, `")[-1]
            known = {"HeaderRegexp": bool(upgrade), "ClientIP": True, "Host": value == "a.example"}
            return str(known.get(found[1], told.get(found[1], value) == value))

        words = re.sub(r"(\w+)\(`(.*?)`\)", judged, rule)
        return bool(eval(words.replace("&&", "and").replace("||", "or").replace("!", "not ")))

    known = [each for each in routers if fits(each["rule"])]
    best = max(each["priority"] for each in known)
    return {each["service"] for each in known if each["priority"] == best}


@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8",)])
def test_traefik_leads_what_reads_to_the_service_and_all_else_to_the_page(trusted: tuple[str, ...]) -> None:
    asked = Route("a.example", "/", "web", 80, None, rate=Rate(5, "minute", 5), https=True)
    wish = Manifest("shop", routes=(asked,), proxy=Proxy(trusted=trusted), reads_only=True)
    text = proxy.render(wish, served(wish))
    assert all(led_by_traefik(text, *each) == {"shop-0"} for each in READERS)
    assert all(led_by_traefik(text, *each) == {"shop-0-pages"} for each in WRITERS)
    made = json.loads(text.split("\n", 2)[2])["http"]
    assert made["routers"]["shop-0-changes"]["middlewares"] == ["shop-0-changes"], (
        "and nothing comes before it"
    )
    assert made["middlewares"]["shop-0-changes"] == {"replacePath": {"path": "/shop/maintenance.html"}}
    assert "shop-0-pages" in made["services"]
    usual = proxy.render(wish._replace(reads_only=False), served(wish))
    assert led_by_traefik(usual, "POST", "") == {"shop-0"}


def test_traefik_leads_what_changes_something_no_further_than_its_own_route() -> None:
    """The longer path of another stack may have the same host name."""
    routes_ = tuple(Route("a.example", path, "web", 80, None) for path in ("/", "/api"))
    wish = Manifest("shop", routes=routes_, proxy=Proxy(), reads_only=True)
    made = json.loads(proxy.render(wish, served(wish)).split("\n", 2)[2])["http"]["routers"]
    for name in ("shop-0", "shop-1"):
        assert made[name]["priority"] == made[f"{name}-changes"]["priority"]
        shared = made[name]["rule"].removesuffix(traefik.READS)
        assert made[f"{name}-changes"]["rule"] == f"{shared}!({traefik.READS})"


def test_nginx_leads_what_reads_to_the_service_and_all_else_to_the_page() -> None:
    wish = Manifest("shop", routes=(STAFF._replace(https=True),), proxy=Proxy("nginx"), reads_only=True)
    text = proxy.render(wish, served(wish))
    head = 'map "$request_method:$http_upgrade" $'
    ((variable, pattern),) = re.findall(
        rf'{re.escape(head)}(\w+) {{\n    default 1;\n    "~(.*)" 0;\n}}', text
    )
    assert all(re.search(pattern, f"{method}:{upgrade}") for method, upgrade in READERS)
    assert not any(re.search(pattern, f"{method}:{upgrade}") for method, upgrade in WRITERS)
    (inside,) = re.findall(r"(?s)    location ~\* .*?\n    \}", text)
    gate = f"if (${variable}) {{\n            error_page 503 /.drover-maintenance;\n            return 503;\n"
    assert inside.split("{", 1)[1].strip().startswith(gate), "before it is asked who may, and by what"
    assert "proxy_pass http://shop.web.80;" in inside
    assert "location = /.drover-maintenance {" in text, (
        "no named one: there a POST stays one, answered by 405"
    )
    assert head not in proxy.render(wish._replace(reads_only=False), served(wish))


@pytest.mark.parametrize("kind", ["traefik", "nginx"])
def test_a_page_for_all_goes_before(kind: str) -> None:
    wish = Manifest("shop", routes=(STAFF,), proxy=Proxy(kind), maintenance=True)
    shown = proxy.render(wish, {})
    assert proxy.render(wish._replace(reads_only=True), {}) == shown
    assert "reads_only" not in shown, "or every file there is would change with the agent"


# What the service is told

FORWARD = (Path(__file__).resolve().parents[3] / "compose/nginx/conf/forward.conf").read_text()
SPOOFED = ("Prefix", "Uri", "Method", "Tls-Client-Cert", "Ssl", "Scheme", "User", "Protocol", "Server")


def test_both_take_away_what_clients_say_of_themselves() -> None:
    taken = set(re.findall(r'^proxy_set_header (\S+) "";$', FORWARD, re.MULTILINE))
    assert taken - {"X-Forwarded-Port"} == set(traefik.TAKEN)
    assert {f"X-Forwarded-{name}" for name in SPOOFED} | {"Forwarded"} <= taken
    assert "proxy_set_header X-Real-Ip $remote_addr;" in FORWARD


@pytest.mark.parametrize(
    ("trusted", "passed"),
    [((), {}), (("10.0.0.0/8",), {"X-Forwarded-Host": "a.example", "X-Real-Ip": ""})],
)
def test_traefik_passes_on_nothing_that_a_load_balancer_has_from_a_client(
    trusted: tuple[str, ...], passed: dict[str, str]
) -> None:
    asked = Route("a.example", "/", "web", 80, None, request_headers=(("x-forwarded-prefix", "/app"),))
    wish = Manifest("shop", routes=(asked,), proxy=Proxy(trusted=trusted))
    made = json.loads(proxy.render(wish, served(wish)).split("\n", 2)[2])["http"]["middlewares"]
    taken = dict.fromkeys(set(traefik.TAKEN) - {"X-Forwarded-Prefix"}, "")
    assert made["shop-0-headers"]["headers"]["customRequestHeaders"] == {
        **taken,
        **passed,
        "x-forwarded-prefix": "/app",
    }


# Nginx's language

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{};]|#[^\n]*|[^\s{};"#]+|\s+')


def tokens(text: str) -> Iterator[str]:
    """As Nginx reads it; everything has to be a token."""
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        assert found, text[at : at + 40]
        at = found.end()
        if not found[0].isspace() and not found[0].startswith("#"):
            yield found[0]


@given(ROUTES)
@settings(max_examples=200)
def test_no_value_of_nginx_leaves_its_place(each: Route) -> None:
    """Blocks and directives are the same whatever the headers and the path hold."""
    plain = each._replace(
        path="/x",
        request_headers=tuple((name, "v") for name, _ in each.request_headers),
        response_headers=tuple((name, "v" if value else "") for name, value in each.response_headers),
    )
    odd = each if each.path.rstrip("/") else each._replace(path="/y")
    assert shape(odd) == shape(plain)


def shape(each: Route) -> list[str]:
    wish = Manifest("shop", routes=(each,), proxy=Proxy("nginx"))
    found = list(tokens(proxy.render(wish, served(wish))))
    values = {blocks._quoted(value) for _, value in (*each.request_headers, *each.response_headers)}
    assert not any("$" in value.replace("${drover_dollar}", "") for value in values)
    return [token for before, token in zip(["{", *found], found, strict=False) if before in "{};"]


STAFF = Route("a.example", "/api", "web", 80, "/up", auth="staff")
GOOD = proxy.render(Manifest("shop", routes=(STAFF,), proxy=Proxy("nginx")), {"web": ["shop-web-1"]})


@pytest.mark.parametrize(
    ("found", "instead"),
    [
        ("server shop-web-1:80 resolve;", "server 169.254.169.254:80;"),
        ('"shop-web-1"', '"169.254.169.254:80; }"'),
        ("auth_basic", "#auth_basic"),
        ("return 418;", "return 418;\n    root /;"),
        ('"host": "a.example"', '"host": "a.example; }"'),
        ("# {", "# {\n"),
        ("\n\nserver", "\n\ninclude /etc/passwd;\nserver"),
        ('"stack": "shop"', '"stack": "shop", "more": 1'),
        (GOOD[-40:], ""),
        (source.NOTE, "#"),
    ],
)
def test_route_file_of_nginx_with_anything_unexpected_is_refused(found: str, instead: str) -> None:
    assert found in GOOD
    with pytest.raises(ValueError):
        proxy.mark(GOOD.replace(found, instead, 1))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("redirect_from", ["a`b"]),
        ("request_headers", {"X-A": "a\nb"}),
        ("request_headers", {"X A": "a"}),
        ("request_headers", {"Forwarded": "for=1.2.3.4"}),
        ("request_headers", {"X-Forwarded-Host": "b.example"}),
        ("path", "/a?b"),
        ("path", "/é"),
        ("auth", "../shadow"),
        ("allow", ["10.0.0.0/33"]),
        ("allow", [5]),
        ("rate", {"requests": 0, "per": "second", "burst": 1}),
        ("rate", {"requests": 1, "per": "year", "burst": 1}),
        ("max_body", "10m"),
        ("timeout", -1),
        ("https", "yes"),
        ("canary", {"service": "web", "port": 80, "percent": 100}),
        ("priority", True),
        ("surprise", 1),
    ],
)
def test_route_that_could_become_something_else_is_refused(key: str, value: Any) -> None:
    given = {"host": "a.example", "path": "/", "service": "web", "port": 80, "health": None, key: value}
    with pytest.raises(DroverError):
        route.read("routes", given)


def test_release_of_before_is_read_with_a_path_that_is_refused_today() -> None:
    """Else its whole stack would have no boot, no backup and no certificate until the next one runs."""
    given = {"host": "a.example", "path": "/caf%C3%A9//a(b", "service": "web", "port": 80, "health": None}
    assert route.read("routes", given).path == given["path"]


# What runs


class Docker:
    """One Nginx that runs, or none; and what it says of a candidate."""

    def __init__(self, running: bool = True, says: str = "") -> None:
        self.running, self.says = running, says
        self.asked: list[str] = []

    def __call__(self, command: list[str], **_: Any) -> Result:
        self.asked.append(command[1])
        if command[1] == "exec":
            return Result(1 if self.says else 0, "", self.says)
        return Result(0, "nginx-1\n" if command[1] == "ps" and self.running else "", "")


def text(host: str = "a.example", stack: str = "shop") -> str:
    wish = Manifest(
        stack, services={"web": PLAIN}, routes=(Route(host, "/", "web", 80, None),), proxy=Proxy("nginx")
    )
    return routes.text(wish, {"web": [f"{stack}-web-1"]})


def test_candidate_that_nginx_refuses_does_not_land(tmp_path: Any) -> None:
    layout = Layout(tmp_path)
    routes.write(layout, "shop", text(), Docker())
    refusing = Docker(says="nginx: [emerg] no")
    with pytest.raises(DroverError, match="refuses it"):
        routes.write(layout, "shop", text("b.example"), refusing)
    assert (layout.routes / "shop.conf").read_text() == text()
    assert "kill" not in refusing.asked


def test_file_is_written_where_no_nginx_can_judge_it(tmp_path: Any) -> None:
    layout = Layout(tmp_path)
    for docker in (Docker(running=False), Docker(says="container is restarting")):
        routes.write(layout, "shop", text(), docker)
        assert (layout.routes / "shop.conf").read_text() == text()


def test_host_name_of_another_stack_is_refused(tmp_path: Any) -> None:
    layout = Layout(tmp_path)
    routes.write(layout, "shop", text(), Docker())
    with pytest.raises(DroverError, match="host name of shop"):
        routes.write(layout, "blog", text(stack="blog"), Docker())


def test_other_kind_of_proxy_takes_over_and_users_stay(tmp_path: Any) -> None:
    layout = Layout(tmp_path)
    layout.users.mkdir(parents=True)
    (layout.users / "shop.staff").touch()
    wish = Manifest("shop", routes=(Route("a.example", "/", "web", 80, None, auth="staff"),))
    routes.write(layout, "shop", proxy.render(wish, {"web": ["shop-web-1"]}), Docker())
    routes.write(layout, "shop", text(), Docker())
    assert [path.name for path in layout.routes.iterdir()] == ["shop.conf"]
    routes.forget(layout, "shop", wish.routes)
    assert (layout.users / "shop.staff").exists()
    routes.write(layout, "shop", "", Docker())
    assert not list(layout.routes.iterdir()) and list(layout.users.iterdir()), "they go with a pruning"


@pytest.mark.parametrize("kind", ["traefik", "nginx"])
def test_route_whose_users_are_missing_is_an_error_and_not_silence(tmp_path: Any, kind: str) -> None:
    layout = Layout(tmp_path)
    asks = Route("a.example", "/office", "web", 80, None, auth="staff")
    wish = Manifest("shop", routes=(asks,), proxy=Proxy(kind))
    content = proxy.render(wish, {"web": ["shop-web-1"]})
    with pytest.raises(DroverError, match=r"route of shop for a.example/office was not written: staff"):
        routes.write(layout, "shop", content, Docker())
    layout.users.mkdir(parents=True)
    (layout.users / "shop.staff").touch()
    routes.write(layout, "shop", content, Docker())
    assert list(layout.routes.iterdir())


def test_kind_is_learnt_from_the_proxy_that_stands(tmp_path: Any) -> None:
    layout = Layout(tmp_path)
    assert wishes.proxy(layout).kind == "traefik"
    identity = "0123456789abcdef"
    folder = layout.release("proxy", identity)
    folder.mkdir(parents=True)
    settings = {"kind": "nginx", "trusted": ["10.0.0.0/8"], "request_seconds": 5, "idle_seconds": 70}
    named = {"format": 1, "stack": "proxy", "release": identity, "file": "compose.yaml"}
    manifest = {**named, "services": {}, "routes": [], "proxy": settings}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (layout.stack("proxy") / "current").symlink_to(f"releases/{identity}")
    layout.users.mkdir(parents=True)
    (layout.users / "shop.staff").touch()
    found = wishes.proxy(layout, "shop")
    assert (found.kind, found.trusted, list(found.users)) == ("nginx", ("10.0.0.0/8",), ["staff"])
    own = wishes.load(layout, "proxy", identity)
    assert routes.text(own, {}) == proxy.render(own, {})
