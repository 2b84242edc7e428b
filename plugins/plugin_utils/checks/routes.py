# GPL-3.0-or-later
"""Routes lead to services that are there, and no two to different ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..derive import certificates, replicas
from ..derive import routes as derived
from ..placeholder import why_not
from ..problem import Path, Problem
from ..stack import Data, Stack
from ..words import listed, quoted
from .services import runs_once, unknown

NEEDS = frozenset({"routes", "host", "port", "health", "profiles", "secrets", "pages", "maintenance"})
_OURS = re.compile(
    r"(host|connection|upgrade|content-length|transfer-encoding|te|trailer|set-cookie|forwarded|x-real-ip"
    r"|x-forwarded-(for|host|port|proto))",
    re.IGNORECASE,
)
"""Headers that are the proxy's own business."""
_FIXED = ("server", "date")
_USER = re.compile(r"[^:\s$]{1,64}:(?P<password>\S.{0,199})")


def problems(stack: Stack) -> Iterator[Problem]:
    """A route's service exists, runs, and has a network and a container; the short form is whole."""
    yield from _short(stack)
    yield from _without_container(stack)
    yield from _pages(stack)
    for index, route in enumerate(stack.data["routes"]):
        yield from _leads_to(stack, ("routes", index, "service"), route["service"])
        if route["canary"]["service"]:
            yield from _leads_to(stack, ("routes", index, "canary", "service"), route["canary"]["service"])
        yield from _https(stack, ("routes", index, "https"), route)
        yield from _headers(stack, ("routes", index, "headers"), route["headers"])
        yield from _auth(stack, ("routes", index, "auth"), route["auth"])


def _leads_to(stack: Stack, path: Path, name: str) -> Iterator[Problem]:
    yield from unknown(stack, path, name)
    yield from runs_once(stack, path, name)
    if stack.view.services.get(name, {}).get("network_mode"):
        yield stack.problem(
            path,
            f"{quoted(name)} has a network_mode of its own",
            "remove network_mode from the file, or the route",
        )


def _https(stack: Stack, path: Path, route: Data) -> Iterator[Problem]:
    """Without somebody who ends TLS, each redirect would come back as another one."""
    ends = route["tls"] and certificates.ends_here(stack.platform)
    if route["https"] and not ends and not stack.platform["proxy"]["trusted"]:
        fix = (
            "write drover_platform.proxy.trusted: [the load balancer's addresses] or proxy.tls, or remove it"
        )
        yield stack.problem(path, "no load balancer is believed that a request came by TLS", fix)


def _headers(stack: Stack, path: Path, headers: Data) -> Iterator[Problem]:
    for side, given in headers.items():
        for name in given:
            if _OURS.fullmatch(name):
                yield stack.problem((*path, side, name), "the proxy sets it by itself", "remove it")
            elif side == "response" and name.lower() in _FIXED:
                found = "Nginx writes its own whatever a route says"
                yield stack.problem((*path, side, name), found, "remove it")


def _auth(stack: Stack, path: Path, name: str | None) -> Iterator[Problem]:
    if not name:
        return
    if name not in stack.data["secrets"]:
        yield stack.problem(path, "the stack has no secret of that name", f"write secrets: {{{name}: …}}")
        return
    found = [_USER.fullmatch(line) for line in derived.lines(stack, name)]
    passwords = [each["password"] for each in found if each]
    if not found or len(passwords) < len(found) or any(map(_weak, passwords)):
        yield stack.problem(
            ("secrets", name),
            "not each of its lines is a user, a colon and a password that nobody guesses",
            "write a line user:password for each, or htpasswd's with $2y$ or $apr1$",
        )


def _weak(password: str) -> bool:
    """Whether it is no password; or a hash that one of the proxies cannot check."""
    if password.startswith(derived.HASHES):
        return False
    return password.startswith(("$", "{")) or why_not(password) is not None


def _pages(stack: Stack) -> Iterator[Problem]:
    for name, path in stack.data["pages"].items():
        if path and not (stack.view.folder / path).is_file():
            found = f"{stack.view.label} has no file {quoted(path)}"
            yield stack.problem(("pages", name), found, "write the path of a file in the stack's folder")


def _short(stack: Stack) -> Iterator[Problem]:
    data = stack.data
    several = listed(stack.view.services)
    if data["host"] and stack.single is None:
        yield stack.problem(("host",), f"the stack has several services ({several})", "write routes: instead")
    if data["host"] and not data["port"]:
        yield stack.problem(("host",), "the port is missing", "write port: and the port inside the container")
    if data["host"] and stack.single:
        yield from runs_once(stack, ("host",), stack.single)
    for key in ("port", "health"):
        if data[key] and not data["host"]:
            yield stack.problem((key,), "the host is missing", "write host: and the host name it answers to")


def _without_container(stack: Stack) -> Iterator[Problem]:
    for path, route in placed(stack):
        service = stack.view.services.get(route["service"], {})
        if replicas.wanted(service) == 0:
            key, _ = replicas.written(service)
            yield Problem(
                (*path[:-1], "service") if len(path) > len(stack.path) + 1 else path,
                f"{quoted(route['service'])} has {key}: 0 in {stack.view.label}, so nothing answers",
                f"write 1 or more for {key}, or remove the route",
            )


def clashes(stacks: Sequence[Stack]) -> Iterator[Problem]:
    """Two routes of the same host and path, in one stack or in two."""
    yield from _redirects(stacks)
    yield from _shared_hosts(stacks)
    seen: dict[tuple[str, str], str] = {}
    for stack in stacks:
        for path, route in placed(stack):
            key = route["host"].lower(), route["path"].rstrip("/") or "/"
            if key in seen:
                yield Problem(
                    path,
                    f"{quoted(key[0] + key[1])} is routed at {seen[key]} too",
                    "write another host or path, or remove one of the routes",
                )
            seen.setdefault(key, stack.shown(path))


def _redirects(stacks: Sequence[Stack]) -> Iterator[Problem]:
    """A host name that redirects does nothing else."""
    taken = {route["host"].lower() for stack in stacks for _, route in placed(stack)}
    for stack in stacks:
        for path, route in placed(stack):
            for index, host in enumerate(route["redirect_from"]):
                if host.lower() in taken:
                    yield Problem(
                        (*path[:-1], "redirect_from", index),
                        f"{quoted(host)} has a route, or redirects already",
                        "remove one of them",
                    )
                taken.add(host.lower())


def _shared_hosts(stacks: Sequence[Stack]) -> Iterator[Problem]:
    """Nginx leads a host name to the one file that has it."""
    owners: dict[str, str] = {}
    for stack in stacks:
        if stack.platform["proxy"]["kind"] != "nginx":
            continue
        for path, route in placed(stack):
            owner = owners.setdefault(route["host"].lower(), stack.name)
            if owner != stack.name:
                yield Problem(
                    path,
                    f"{quoted(route['host'])} belongs to {owner} too, and with nginx each has one stack",
                    "write all its routes in one stack, or use traefik",
                )


def placed(stack: Stack) -> Iterator[tuple[Path, Data]]:
    """Each route with the path it was written at."""
    short = len(stack.routes) - len(stack.data["routes"])
    for index, route in enumerate(stack.routes):
        path: Path = ("host",) if index < short else ("routes", index - short, "host")
        yield (*stack.path, *path), route
