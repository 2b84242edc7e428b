# GPL-3.0-or-later
"""Routes in Nginx's language: blocks that compose/nginx includes.

Values become syntax in `_quoted` and `_pattern` alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from drover.proxy.source import Source
from drover.release import Proxy
from drover.route import Route

USERS = "/srv/proxy/users"  # as the proxy sees them
PAGES = "/srv/proxy/pages"
INSIDE = "/.drover-"  # beginning of paths that only Nginx itself asks for
CHALLENGES = """location ^~ /.well-known/acme-challenge/ {
    access_log off;
    default_type text/plain;
    root /srv/proxy/challenges;
}"""
REFUSAL = """server {
    listen 443 ssl default_server;
    server_name _;
    ssl_reject_handshake on;
}
"""
LINGER = 4  # seconds after an answer for which a worker that was told to end still takes a request
PLAIN = re.compile(rb"[A-Za-z0-9/_~-]")


class Group(NamedTuple):
    """The containers of one service behind one port, as one Nginx chooses among."""

    stack: str
    service: str
    port: int
    sticky: bool

    @property
    def name(self) -> str:
        """Two stacks never have the same: a stack's name has no dot."""
        return f"{self.stack}.{self.service}.{self.port}{'.sticky' if self.sticky else ''}"


def routes(source: Source, mark: str, groups: Mapping[Group, Sequence[str]] | None = None) -> str:
    """A stack's routes; by `groups` more containers are known than requests are led to."""
    known = known_groups(source) if groups is None else groups
    blocks = [line for group, names in known.items() for line in _group(group, names)]
    choices = [line for each in source.routes for line in _choices(source.stack, each)]
    session = _session(source.stack) if any(group.sticky for group in known) else []
    changes = [_changes(source.stack)] if source.reads_only else []
    return _file([*session, *changes, *blocks, *choices, *_hosts(source)], mark)


def own(source: Source, mark: str) -> str:
    """Whom to believe, and how long to wait."""
    refusal = [REFUSAL] if source.secure else []
    return _file([_believed(source.proxy), _times(source.proxy), *refusal], mark)


def _file(blocks: Sequence[str], mark: str) -> str:
    body = "\n".join(blocks)
    return f"\n{body}\n{_server(mark, ['access_log off;', 'return 418;'])}"


def _believed(proxy: Proxy) -> str:
    lines = [f"set_real_ip_from {each};" for each in proxy.trusted]
    balancers = "".join(f"    {each} 1;\n" for each in proxy.trusted)
    return (
        "".join(f"{line}\n" for line in lines)
        + "real_ip_header X-Forwarded-For;\nreal_ip_recursive on;\n\n"
        + f"geo $realip_remote_addr $drover_balancer {{\n    default 0;\n{balancers}}}\n\n"
        + "map $drover_balancer:$http_x_forwarded_proto $drover_scheme {\n"
        + "    default $scheme;\n    1:http http;\n    1:https https;\n}\n"
    )


def _times(proxy: Proxy) -> str:
    request, idle = f"{proxy.request_seconds}s", f"{proxy.idle_seconds}s"
    return (
        f"client_header_timeout {request};\nclient_body_timeout {request};\nsend_timeout {request};\n"
        f"keepalive_timeout {idle};\nkeepalive_min_timeout {LINGER}s;\n"
    )


def _server(name: str, lines: Sequence[str], certificate: str = "") -> str:
    ports = ["listen 80;"]
    if certificate:  # one file holds both
        both = [f"ssl_certificate {certificate};", f"ssl_certificate_key {certificate};"]
        ports += ["listen 443 ssl;", "http2 on;", *both]
    inside = "".join(f"    {line}\n" for line in [*ports, f"server_name {name};", *lines])
    return f"server {{\n{inside}}}\n"


def _block(head: str, lines: Sequence[str]) -> list[str]:
    return [f"{head} {{", *(f"    {line}" for line in lines), "}"]


def known_groups(source: Source) -> dict[Group, tuple[str, ...]]:
    """The containers' names, by what leads to them."""
    found: dict[Group, tuple[str, ...]] = {}
    for each in () if source.maintenance else source.routes:
        found[Group(source.stack, each.service, each.port, each.sticky)] = source.servers[each.service]
        if each.canary:
            group = Group(source.stack, each.canary.service, each.canary.port, each.sticky)
            found[group] = source.servers[each.canary.service]
    return dict(sorted(found.items()))


def _group(group: Group, names: Sequence[str]) -> Iterator[str]:
    """Looked up while it runs, so that a container that is not there holds up nobody."""
    session = _variable(group.stack, "session")
    lines = [
        f"zone {group.name} 64k;",
        *([f"hash ${session} consistent;"] if group.sticky else []),
        *(f"server {each}:{group.port} resolve;" for each in names),
        "keepalive 32;",
        "keepalive_timeout 4s;",  # less than any program's own
    ]
    yield _lines(_block(f"upstream {group.name}", lines))


def _choices(stack: str, route: Route) -> Iterator[str]:
    """What is chosen for one route: a share, a pace."""
    if route.canary:
        chosen = _variable(stack, "session") if route.sticky else "request_id"
        canary = Group(stack, route.canary.service, route.canary.port, route.sticky)
        lines = [f"{route.canary.percent}% {canary.name};", f"* {_main(stack, route).name};"]
        yield _lines(_block(f'split_clients "${chosen}" ${_variable(stack, "share", route)}', lines))
    if route.rate:
        pace = f"{route.rate.requests}r/{route.rate.per[0]}"
        yield f"limit_req_zone $binary_remote_addr zone={_variable(stack, 'rate', route)}:1m rate={pace};\n"


def _session(stack: str) -> list[str]:
    """The cookie by which a client is known again; who comes without one gets it."""
    name = _variable(stack, "session")
    known = ['"" $request_id;', f"default $cookie_{name};"]
    given = [f'"" "{name}=$request_id; Path=/; HttpOnly; SameSite=Lax";', 'default "";']
    return [
        _lines(_block(f"map $cookie_{name} ${name}", known)),
        _lines(_block(f"map $cookie_{name} ${name}_given", given)),
    ]


def _changes(stack: str) -> str:
    """Whether a request may do more than read; one for another protocol may say anything in it."""
    known = ["default 1;", '"~^(GET|HEAD|OPTIONS):$" 0;']
    return _lines(_block(f'map "$request_method:$http_upgrade" ${_variable(stack, "changes")}', known))


def _main(stack: str, route: Route) -> Group:
    return Group(stack, route.service, route.port, route.sticky)


def _variable(stack: str, what: str, route: Route | None = None) -> str:
    """A name of Nginx's: it stays the same as long as its stack and place do."""
    place = json.dumps([stack, *((route.host, route.path) if route else ())])
    return f"drover_{what}_{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _hosts(source: Source) -> Iterator[str]:
    """One server block a host name: the route that goes first stands first, since the first match counts."""
    by_host: dict[str, list[Route]] = {}
    for each in source.routes:
        by_host.setdefault(each.host, []).append(each)
    for host, found in sorted(by_host.items()):
        lines = ["if ($drover_odd_path) { return 400; }"] if any(each.guarded for each in found) else []
        lines += CHALLENGES.splitlines() if source.challenged else []
        for each in sorted(found, key=lambda each: (-each.rank, each.path)):
            lines += _location(source, each)
        lines += _block("location /", ["return 404;"])
        lines += _page("down", source) if source.down_page else []
        lines += _page("maintenance", source) if source.maintenance or source.reads_only else []
        yield _server(host, lines, source.certificate(host))
    for each in source.routes:
        scheme, port = ("https", "") if source.forced(each) else ("$drover_scheme", "$drover_port")
        lines = _block("location /", [f"return 308 {scheme}://{each.host}{port}$request_uri;"])
        lines += CHALLENGES.splitlines() if source.challenged else []
        for name in each.redirect_from:
            yield _server(name, lines, source.certificate(name))


def _page(name: str, source: Source) -> list[str]:
    """A location of its own, not a named one: there a POST would stay one, which a file answers with 405."""
    lines = [
        "internal;",
        f"root {PAGES}/{source.stack};",
        "default_type text/html;",
        "types { }",
        "add_header Cache-Control no-store always;",
        *(["add_header Retry-After 120 always;"] if name == "maintenance" else []),
        f"try_files /{name}.html =503;",
    ]
    return _block(f"location = {INSIDE}{name}", lines)


def _location(source: Source, route: Route) -> list[str]:
    """Upper and lower case are one for a guarded path: some programs do not tell them apart."""
    path = route.path.rstrip("/")
    below = '"^/"' if not path else f'"^{_pattern(path)}(/|$)"'
    return _block(f"location {'~*' if route.guarded else '~'} {below}", list(_inside(source, route)))


def _inside(source: Source, route: Route) -> Iterator[str]:
    shown = (f"error_page 503 {INSIDE}maintenance;", "return 503;")
    if source.maintenance:
        yield from shown
        return
    if source.reads_only:
        yield from _block(f"if (${_variable(source.stack, 'changes')})", shown)
    if source.forced(route):
        yield "if ($drover_scheme = http) { return 308 https://$host$request_uri; }"
    yield from (f"allow {each};" for each in route.allow)
    yield from ["deny all;"] if route.allow else []
    if route.rate:
        burst = f" burst={route.rate.burst - 1}" if route.rate.burst > 1 else " burst=0"
        yield f"limit_req zone={_variable(source.stack, 'rate', route)}{burst} nodelay;"
    if route.auth:
        yield from (
            f"auth_basic {_quoted(source.stack)};",
            f"auth_basic_user_file {USERS}/{source.stack}.{route.auth};",
        )
    yield from [f"error_page 502 503 504 {INSIDE}down;"] if source.down_page else []
    yield f"client_max_body_size {route.max_body};"
    if route.timeout:
        yield from (f"proxy_read_timeout {route.timeout}s;", f"proxy_send_timeout {route.timeout}s;")
    yield from ["gzip on;"] if route.compress else []
    yield "include /etc/nginx/drover/forward.conf;"
    if route.auth:
        yield 'proxy_set_header Authorization "";'
    yield from (f"proxy_set_header {key} {_quoted(value)};" for key, value in route.request_headers)
    for key, value in route.response_headers:
        yield f"proxy_hide_header {key};"
        yield from [f"add_header {key} {_quoted(value)} always;"] if value else []
    yield from (
        [f"add_header Set-Cookie ${_variable(source.stack, 'session')}_given always;"] if route.sticky else []
    )
    share = f"${_variable(source.stack, 'share', route)}"
    yield f"proxy_pass http://{share if route.canary else _main(source.stack, route).name};"


def _quoted(value: str) -> str:
    """One word of Nginx's language. A dollar sign cannot be written in it, so a variable holds one."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("$", "${drover_dollar}") + '"'


def _pattern(path: str) -> str:
    """What matches exactly this path as Nginx sees it, decoded: every odd byte by its number."""
    found = re.sub(rb"/+", b"/", unquote_to_bytes(path))
    return "".join(chr(byte) if PLAIN.match(bytes([byte])) else f"\\x{byte:02x}" for byte in found)
