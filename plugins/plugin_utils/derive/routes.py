# GPL-3.0-or-later
"""What the proxy is to do for a stack: its routes as the agent reads them, files of users, pages."""

from __future__ import annotations

import hashlib

from ..forms import size
from ..stack import Data, Stack
from . import apache, backups, secrets

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Maintenance</title>
<style>body {font: 1.1em sans-serif; max-width: 30em; margin: 20vh auto; padding: 0 1em}</style>
<h1>Back soon</h1><p>We are working on this site. Please try again in a few minutes.</p></html>
"""
HASHES = ("$apr1$", "$2a$", "$2b$", "$2y$")
"""What both proxies can check a password against."""


def manifest(stack: Stack) -> list[Data]:
    """Each route with what was asked for, and without what was not."""
    return [_route(each) for each in sorted(stack.routes, key=lambda each: (each["host"], each["path"]))]


def _route(route: Data) -> Data:
    asked = {key: route[key] for key in ("priority", "https", "auth", "timeout", "compress", "sticky")}
    asked |= {
        "plain": not route["tls"],
        "redirect_from": [host.lower() for host in route["redirect_from"]],
        "request_headers": route["headers"]["request"],
        "response_headers": route["headers"]["response"],
        "allow": list(route["allow"]),
        "rate": _rate(route["rate"]),
        "max_body": size(route["max_body"]) if route["max_body"] else None,
        "canary": route["canary"] if route["canary"]["service"] else None,
    }
    return {
        **{key: route[key] for key in ("path", "service", "port", "health")},
        "host": route["host"].lower(),
        **{key: value for key, value in asked.items() if value},
    }


def _rate(rate: Data) -> Data | None:
    return {**rate, "burst": rate["burst"] or rate["requests"]} if rate["requests"] else None


def shown(stack: Stack) -> Data:
    """Which pages stand in for the services."""
    found = {"maintenance": stack.data["maintenance"], "down_page": bool(stack.data["pages"]["down"])}
    return {key: True for key, value in found.items() if value}


def maintained(stack: Stack) -> bool:
    """Whether its page of maintenance may be shown: while it says so, is restored, or is frozen."""
    restored = stack.platform["backup"]["repository"] and stack.routes and backups.jobs(stack)
    read = stack.data["frozen"] == "read" and stack.routes
    return bool(stack.data["maintenance"] or restored or read)


def pages(stack: Stack) -> dict[str, bytes]:
    """The pages' content by file name."""
    own = {name: path for name, path in stack.data["pages"].items() if path}
    found = {f"{name}.html": (stack.view.folder / path).read_bytes() for name, path in own.items()}
    usual = {"maintenance.html": PAGE.encode()} if maintained(stack) else {}
    return {**usual, **found}


def users(stack: Stack) -> dict[str, str]:
    """The files of users by secret: a line of htpasswd for each who may enter."""
    names = {route["auth"] for route in stack.routes if route["auth"]}
    return {name: "".join(_user(stack, name, line) for line in lines(stack, name)) for name in sorted(names)}


def lines(stack: Stack, name: str) -> list[str]:
    """The secret's lines."""
    return [line.strip() for line in secrets.value(stack, name).splitlines() if line.strip()]


def _user(stack: Stack, name: str, line: str) -> str:
    """The salt stays, or each run would change the file; it tells nothing of the password."""
    user, _, password = line.partition(":")
    if password.startswith(HASHES):
        return f"{line}\n"
    salt = hashlib.sha256(f"{stack.name}\0{name}\0{user}".encode()).hexdigest()[:8]
    return f"{user}:{apache.md5(password, salt)}\n"
