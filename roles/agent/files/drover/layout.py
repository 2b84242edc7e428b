# GPL-3.0-or-later
"""Where things are on a host. Every path of the agent is here."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from drover.run import DroverError

PROXY = "proxy"  # the stack that carries the routes
PUBLIC = "public"  # the network that it publishes its ports on
PROXY_PORT = 80  # in its container
STANDBY = "proxy/standby"  # no stack has this name: a second proxy, while the first is replaced


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
    def candidate(self) -> Path:
        """The same with one file changed, for the proxy to judge."""
        return self.root / "srv/proxy/candidate"

    @property
    def users(self) -> Path:
        """Who may pass the routes that ask for a password: files that only the proxy reads."""
        return self.root / "srv/proxy/users"

    @property
    def certificates(self) -> Path:
        """Certificates with their keys, which only the proxy reads."""
        return self.root / "srv/proxy/certificates"

    @property
    def challenges(self) -> Path:
        """What an issuer of certificates asks for, to see that a host name leads here."""
        return self.root / "srv/proxy/challenges"

    @property
    def acme(self) -> Path:
        """The account at the issuer, and why a name has no certificate yet."""
        return self.root / "var/lib/drover/acme"

    @property
    def pages(self) -> Path:
        """What the proxy shows in a stack's place."""
        return self.root / "srv/proxy/pages"

    @property
    def host(self) -> Path:
        """Client, environment and name of this host."""
        return self.root / "etc/drover/host.json"

    @property
    def channels(self) -> Path:
        """Where events go: Apprise's own configuration."""
        return self.root / "etc/drover/apprise.yml"

    @property
    def backup(self) -> Path:
        """Where backups go; beside it the repository's password and what else restic has to know."""
        return self.root / "etc/drover/backup.json"

    @property
    def restic(self) -> Path:
        """The program that keeps them."""
        return self.root / "opt/drover/bin/restic"

    @property
    def pgbackrest(self) -> Path:
        """Where the log of databases goes, with the repository's key; there if one is kept."""
        return self.root / "etc/drover/pgbackrest.conf"

    def spool(self, stack: str, name: str = "") -> Path:
        """Where a database leaves its log for us to take away."""
        return self.root / "var/lib/drover/wal" / stack / name

    @property
    def staging(self) -> Path:
        """Copies of SQLite databases on their way into a snapshot, and volumes on their way back."""
        return self.root / "var/lib/drover/backup"

    @property
    def state(self) -> Path:
        """History, what was applied, events."""
        return self.root / "var/lib/drover/state.db"

    @property
    def lifecycle(self) -> Path:
        """Which part this host has; there unless it is the one that serves."""
        return self.root / "var/lib/drover/lifecycle"

    @property
    def held(self) -> Path:
        """Databases that this host keeps from writes, a line each; there if some have to be let go again."""
        return self.root / "var/lib/drover/held"

    @property
    def run(self) -> Path:
        """Locks, and events that found no room on the disk; gone after a boot."""
        return self.root / "run/drover"

    @property
    def interfaces(self) -> Path:
        """The kernel's settings of each interface of the host."""
        return self.root / "proc/sys/net/ipv4/conf"

    def network(self, pid: int) -> Path:
        """What the kernel says of a process's network."""
        return self.root / "proc" / str(pid) / "net"

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
