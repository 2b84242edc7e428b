# GPL-3.0-or-later
"""Where things are on the host."""

from __future__ import annotations

STACKS = "/srv/stacks"
PROXY = "/srv/proxy"
ROUTES = "/srv/proxy/routes"
USERS = "/srv/proxy/users"
PAGES = "/srv/proxy/pages"
CERTIFICATES = "/srv/proxy/certificates"
CHALLENGES = "/srv/proxy/challenges"


def stack(name: str) -> str:
    """The folder of everything a stack has."""
    return f"{STACKS}/{name}"


def release(name: str, identity: str) -> str:
    """One release of the stack, written whole and never changed."""
    return f"{STACKS}/{name}/releases/{identity}"


def shipped(name: str, digest: str) -> str:
    """A mounted file or folder of the stack, named by what it holds."""
    return f"{STACKS}/{name}/files/{digest}"


def data(name: str, relative: str) -> str:
    """A folder of data that the stack's file names by a relative path."""
    return f"{STACKS}/{name}/data/{relative}"


def spool(name: str, service: str) -> str:
    """Where a database leaves its log for the host to take away."""
    return f"/var/lib/drover/wal/{name}/{service}"


def secrets(name: str, service: str = "") -> str:
    """The secrets of a stack, or of one of its services."""
    return f"{STACKS}/{name}/secrets" + (f"/{service}" if service else "")
