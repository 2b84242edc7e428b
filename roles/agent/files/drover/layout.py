# GPL-3.0-or-later
"""Where things are on a host. Every path of the agent is here."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from drover.run import DroverError

PROXY = "proxy"  # the stack that carries the routes
PROXY_PORT = 80  # in its container


class Layout(NamedTuple):
    """Paths below one root, which is another folder in tests."""

    root: Path = Path("/")

    @property
    def stacks(self) -> Path:
        """One folder for each stack."""
        return self.root / "srv/stacks"

    @property
    def routes(self) -> Path:
        """What the proxy reads."""
        return self.root / "srv/proxy/routes"

    @property
    def host(self) -> Path:
        """Client, environment and name of this host."""
        return self.root / "etc/drover/host.json"

    @property
    def channels(self) -> Path:
        """Where events go: Apprise's own configuration."""
        return self.root / "etc/drover/apprise.yml"

    @property
    def state(self) -> Path:
        """History, what was applied, events."""
        return self.root / "var/lib/drover/state.db"

    @property
    def run(self) -> Path:
        """Locks, and events that found no room on the disk; gone after a boot."""
        return self.root / "run/drover"

    def stack(self, name: str) -> Path:
        """A stack's folder."""
        return self.stacks / name

    def release(self, stack: str, identity: str) -> Path:
        """The folder of one release; never the link to it, so that it stays the same while we use it."""
        return self.stacks / stack / "releases" / identity

    def secrets(self, stack: str) -> Path:
        """Current secrets of a stack, a folder for each service."""
        return self.stacks / stack / "secrets"


def link(path: Path) -> str:
    """The release that `wanted` or `current` points at; empty only if there is nothing at all."""
    try:
        return path.readlink().name
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise DroverError(f"{path} is not a link to a release: {error.strerror}") from None
