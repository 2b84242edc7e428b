# GPL-3.0-or-later
"""Routes for Traefik's file provider: JSON, which is YAML too, with comments above.

One broken file in Traefik's folder blocks every later update.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from drover.layout import PROXY, Layout
from drover.proxy.source import CERTIFICATES, Source, safe
from drover.route import Route
from drover.run import Runner

SUFFIX = ".yml"
SHARED = True
LINGER = 0  # a request is led by what Traefik knows when it comes
WEB, SECURE = "web", "secure"  # entry points
CHALLENGES = "/.well-known/acme-challenge/"
SEEN = "seen"
HEALTH = "/drover-health"
INTERVAL = {"interval": "5s", "unhealthyInterval": "500ms", "timeout": "3s"}
USERS = "/srv/proxy/users"  # as the proxy sees them
PAGES = "http://drover-pages:8080"  # the service `pages` of compose/traefik
NOBODY = "255.255.255.255/32"
FIRST = 1_000_000_000  # priority of what is looked at before any route
ODD = r"(?i)(%(00|23|25|2e|2f|3b|3f|5c)|[;\\\x00]|//)"
"""A path that one program reads so and another otherwise; Traefik itself takes away `..` and `//`."""
READS = "(Method(`GET`) || Method(`HEAD`) || Method(`OPTIONS`)) && !HeaderRegexp(`Upgrade`, `.`)"
"""A request that only reads; one that asks for another protocol may say anything in it."""
TEXTS = ("text/html", "text/plain", "text/css", "text/xml", "text/javascript", "application/javascript",
         "application/json", "application/xml", "application/wasm", "image/svg+xml")  # fmt: skip

_TAKEN = ("Access-Token", "By", "Client-Cert", "Email", "Groups", "Method", "Path", "Preferred-Username",
          "Prefix", "Protocol", "Scheme", "Server", "Ssl", "Tls-Client-Cert", "Tls-Client-Cert-Info", "Uri",
          "User")  # fmt: skip
TAKEN = ("Forwarded", *(f"X-Forwarded-{each}" for each in _TAKEN))
"""Headers that no client may send on; the same as in compose/nginx/conf/forward.conf."""

Parts = dict[str, dict[str, Any]]


def routes(source: Source, mark: str) -> str:
    """A stack's routes."""
    parts: Parts = {"routers": {}, "services": {}, "middlewares": {}, "serversTransports": {}}
    for index, route in enumerate(source.routes):
        _add(parts, source, f"{source.stack}-{index}", route)
    for index, host in enumerate(dict.fromkeys(each.host for each in source.routes if each.guarded)):
        _guard(parts, source, f"{source.stack}-{index}-odd", host)
    if source.maintenance or source.down_page or source.reads_only:
        parts["services"][f"{source.stack}-0-pages"] = _balancer([PAGES])
    files = sorted({f"{CERTIFICATES}/{each.file}" for each in source.proxy.certificates.values()})
    return _file(source, mark, parts, [{"certFile": each, "keyFile": each} for each in files])


def own(source: Source, mark: str) -> str:
    """Where a load balancer asks whether it serves, and an issuer of certificates whether a name is ours."""
    health = _unlogged(_router(source, f"Path(`{HEALTH}`)", 2, "ping@internal"))
    parts: Parts = {"routers": {f"{PROXY}-0-health": health}, "services": {}}
    if source.challenged:
        rule = f"PathPrefix(`{CHALLENGES}`)"
        challenge = _unlogged(_router(source, rule, FIRST + 1, f"{PROXY}-challenges"))
        parts["routers"][f"{PROXY}-challenges"] = {**challenge, "entryPoints": [WEB]}
        parts["services"][f"{PROXY}-challenges"] = _balancer([PAGES])
    return _file(source, mark, parts)


def _file(source: Source, mark: str, parts: Parts, certificates: Sequence[dict[str, str]] = ()) -> str:
    """With the proxy's own service that answers 418. A name without a certificate gets none at all."""
    seen = _unlogged(_router(source, f"Host(`{mark}`)", 1, "noop@internal"))
    http = {**parts, "routers": {**parts["routers"], f"{source.stack}-seen": seen}}
    tls: dict[str, Any] = {"certificates": certificates} if certificates else {}
    if source.secure and source.stack == PROXY:
        tls = {"options": {"default": {"sniStrict": True, "minVersion": "VersionTLS12"}}}
    found = {"http": {key: value for key, value in http.items() if value}, **({"tls": tls} if tls else {})}
    return safe(json.dumps(found, indent=2)) + "\n"


def _unlogged(router: dict[str, Any]) -> dict[str, Any]:
    return {**router, "observability": {"accessLogs": False}}


def _router(
    source: Source, rule: str, priority: int, service: str, middlewares: Sequence[str] = ()
) -> dict[str, Any]:
    more = {"middlewares": list(middlewares)} if middlewares else {}
    points = [WEB, SECURE] if source.secure else [WEB]
    return {"entryPoints": points, "rule": rule, "priority": priority, "service": service, **more}


def _add(parts: Parts, source: Source, name: str, route: Route) -> None:
    """One route. Where a load balancer tells who a client is, what came by it has a router of its own."""
    trusted = source.proxy.trusted if route.rate or route.allow else ()
    for through in ((), trusted) if trusted else ((),):
        suffix = "-through" if through else ""
        found = dict(_middlewares(source, name, route, through))
        chain = [f"{name}-{key}{suffix if key in ('allow', 'rate') else ''}" for key in found]
        parts["middlewares"] |= dict(zip(chain, found.values(), strict=True))
        rank = 2 * route.rank + bool(through)
        service = f"{source.stack}-0-pages" if source.maintenance else name
        rule = _rule(route, through)
        rule += f" && {READS}" if source.reads_only else ""
        parts["routers"][name + suffix] = _router(source, rule, rank, service, chain)
    if source.reads_only:
        _hold(parts, source, f"{name}-changes", route)
    if not source.maintenance:
        _services(parts, source, name, route)
    if route.redirect_from:
        rule = " || ".join(f"Host(`{each}`)" for each in route.redirect_from)
        parts["routers"][f"{name}-from"] = _router(
            source, rule, 2 * route.rank, "noop@internal", [f"{name}-from"]
        )
        scheme, port = ("https", "(?::[0-9]+)?") if source.forced(route) else ("$1", "")
        parts["middlewares"][f"{name}-from"] = _redirect(
            rf"^(https?)://[^:/]+{port}(.*)$", f"{scheme}://{route.host}$2"
        )


def _hold(parts: Parts, source: Source, name: str, route: Route) -> None:
    """What does not only read gets the page. No request fits both routers, so they can have the same rank."""
    rule = f"{_rule(route)} && !({READS})"
    parts["routers"][name] = _router(source, rule, 2 * route.rank, f"{source.stack}-0-pages", [name])
    parts["middlewares"][name] = _page(source)


def _page(source: Source) -> dict[str, Any]:
    return {"replacePath": {"path": f"/{source.stack}/maintenance.html"}}


def _redirect(regex: str, to: str) -> dict[str, Any]:
    return {"redirectRegex": {"regex": regex, "replacement": to, "permanent": True}}


def _rule(route: Route, through: Sequence[str] = ()) -> str:
    path = route.path.rstrip("/")
    anycase = f" || PathRegexp(`{_anycase(path)}`)" if route.guarded else ""
    below = f" && (Path(`{path}`) || PathPrefix(`{path}/`){anycase})" if path else ""
    addresses = " || ".join(f"ClientIP(`{each}`)" for each in through)
    return f"Host(`{route.host}`){below}" + (f" && ({addresses})" if through else "")


def _anycase(path: str) -> str:
    """Upper and lower case are one for a guarded path: some programs do not tell them apart."""
    return f"(?i)^{re.escape(path)}(/|$)"


def _guard(parts: Parts, source: Source, name: str, host: str) -> None:
    """On a host name with a guarded path, no path that could be read in two ways."""
    parts["routers"][name] = _router(
        source, f"Host(`{host}`) && PathRegexp(`{ODD}`)", FIRST, "noop@internal", [name]
    )
    parts["middlewares"][name] = {"ipAllowList": {"sourceRange": [NOBODY], "rejectStatusCode": 400}}


def _middlewares(
    source: Source, name: str, route: Route, through: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """In the order in which a request meets them."""
    stack = source.stack
    if source.maintenance:
        yield "maintenance", _page(source)
        return
    told = {"ipStrategy": {"excludedIPs": list(through)}} if through else {}
    if source.forced(route):
        yield "https", {"redirectScheme": {"scheme": "https", "permanent": True}}
    if route.compress:
        types = list(TEXTS)
        yield "compress", {"compress": {"encodings": ["gzip"], "includedContentTypes": types}}
    if route.response_headers:
        yield "answer", {"headers": {"customResponseHeaders": dict(route.response_headers)}}
    if route.rate:
        pace = {"average": route.rate.requests, "period": f"1{route.rate.per[0]}", "burst": route.rate.burst}
        yield "rate", {"rateLimit": {**pace, **({"sourceCriterion": told} if told else {})}}
    if route.allow:
        yield "allow", {"ipAllowList": {"sourceRange": list(route.allow), **told}}
    if route.auth:
        file = f"{USERS}/{stack}.{route.auth}"
        age = source.proxy.users.get(route.auth, 0)  # in the name, so that Traefik reads a changed file
        yield f"auth-{age}", {"basicAuth": {"usersFile": file, "realm": stack, "removeHeader": True}}
    if route.max_body:
        yield "body", {"buffering": {"maxRequestBodyBytes": route.max_body}}
    if source.down_page:
        status, query = ["502-504"], f"/{stack}/down.html"
        yield "down", {"errors": {"status": status, "service": f"{stack}-0-pages", "query": query}}
    yield "headers", {"headers": {"customRequestHeaders": _sent(source, route)}}


def _sent(source: Source, route: Route) -> dict[str, str]:
    """What the service gets beside the request's own headers; an empty one is taken away.

    Of what a load balancer passes on, Traefik itself takes nothing away and replaces nothing.
    """
    passed = {"X-Real-Ip": "", "X-Forwarded-Host": route.host} if source.proxy.trusted else {}
    asked = {name.lower() for name, _ in route.request_headers}
    ours = {each: "" for each in TAKEN if each.lower() not in asked}
    return {**ours, **passed, **dict(route.request_headers)}


def _services(parts: Parts, source: Source, name: str, route: Route) -> None:
    stick = {"sticky": {"cookie": _cookie(name)}} if route.sticky else {}
    urls = [f"http://{each}:{route.port}" for each in source.servers[route.service]]
    check = (
        {"healthCheck": {"path": route.health, "hostname": route.host, **INTERVAL}} if route.health else {}
    )
    wait = {"serversTransport": name} if route.timeout else {}
    if route.timeout:
        parts["serversTransports"][name] = {
            "forwardingTimeouts": {"responseHeaderTimeout": f"{route.timeout}s"}
        }
    if not route.canary:
        parts["services"][name] = _balancer(urls, **check, **stick, **wait)
        return
    others = [f"http://{each}:{route.canary.port}" for each in source.servers[route.canary.service]]
    parts["services"][f"{name}-main"] = _balancer(urls, **check, **stick, **wait)
    parts["services"][f"{name}-canary"] = _balancer(others, **stick, **wait)
    shares = [
        {"name": f"{name}-main", "weight": 100 - route.canary.percent},
        {"name": f"{name}-canary", "weight": route.canary.percent},
    ]
    chosen = {"sticky": {"cookie": _cookie(f"{name}-group")}} if route.sticky else {}
    parts["services"][name] = {"weighted": {"services": shares, **chosen}}


def _cookie(name: str) -> dict[str, Any]:
    return {"name": "drover_" + name.replace("-", "_"), "httpOnly": True, "sameSite": "lax", "path": "/"}


def _balancer(urls: Sequence[str], **more: Any) -> dict[str, Any]:
    return {"loadBalancer": {"servers": [{"url": url} for url in urls], **more}}


def refuses(layout: Layout, run: Runner, name: str, content: str) -> str:
    """Nothing: Traefik has no check of its own."""
    del layout, run, name, content
    return ""


def prepare(layout: Layout, run: Runner, name: str, content: str) -> None:
    """Nothing: Traefik looks a name up when a request goes there."""
    del layout, run, name, content


def follow(run: Runner) -> None:
    """Nothing: Traefik watches the folder."""
    del run
