# GPL-3.0-or-later
"""Debian packages: what dpkg knows, what is missing or not held, and the commands that mend it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from .disk import HostError

LIST_COMMAND = ("dpkg-query", "--show", "--showformat=${Package} ${db:Status-Abbrev}\n")
# The lock of a first boot's own upgrades is waited for rather than failed on.
LOCK_SECONDS = 300
_APT = ("apt-get", "-q", "-y", f"-oDPkg::Lock::Timeout={LOCK_SECONDS}")
_KEEP_OURS = (
    "-oDpkg::Options::=--force-confdef",
    "-oDpkg::Options::=--force-confold",
    "--no-install-recommends",
)
CONFIGURE_COMMAND = ("dpkg", "--configure", "-a", "--force-confdef", "--force-confold")
MEND_COMMAND = (*_APT, *_KEEP_OURS, "--fix-broken", "install")
UPDATE_COMMAND = (*_APT, "update")
LOCKED = ("Could not get lock", "Unable to acquire", "Unable to lock")


@dataclass(frozen=True)
class Source:
    """An apt repository in the form of deb822, trusted only for the key of that checksum."""

    name: str
    uri: str
    suite: str
    component: str
    key_url: str
    key_sha256: str

    @property
    def path(self) -> str:
        return f"/etc/apt/sources.list.d/{self.name}.sources"

    @property
    def key_path(self) -> str:
        return f"/etc/apt/keyrings/{self.name}.asc"

    @property
    def text(self) -> str:
        return (
            f"Types: deb\nURIs: {self.uri}\nSuites: {self.suite}\nComponents: {self.component}\n"
            f"Signed-By: {self.key_path}\n"
        )


def distribution(os_release: str) -> str:
    """Such as debian-13 or ubuntu-24.04, from /etc/os-release."""
    lines = dict(line.partition("=")[::2] for line in os_release.splitlines())
    return f"{lines.get('ID', '')}-{lines.get('VERSION_ID', '')}".replace('"', "")


def parse_list(text: str) -> dict[str, str]:
    """Package → its two letters: wanted (i, h, r, …) and status (i for installed)."""
    return {
        name: letters for name, _, letters in (line.partition(" ") for line in text.splitlines()) if letters
    }


def is_installed(letters: str) -> bool:
    return letters[1:2] == "i"


def is_half_done(known: Mapping[str, str]) -> bool:
    """A run of dpkg died: something is unpacked, or its configuration failed."""
    return any(letters[1:2] in "UFWtH" for letters in known.values() if len(letters) > 1)


def missing(present: Sequence[str], known: Mapping[str, str]) -> list[str]:
    return [name for name in present if not is_installed(known.get(name, ""))]


def not_held(patterns: Sequence[str], known: Mapping[str, str]) -> list[str]:
    return sorted(
        name
        for name, letters in known.items()
        if is_installed(letters)
        and letters[0] != "h"
        and any(fnmatchcase(name, pattern) for pattern in patterns)
    )


def install_command(packages: Sequence[str]) -> list[str]:
    return [*_APT, *_KEEP_OURS, "install", *packages]


def hold_command(packages: Sequence[str]) -> list[str]:
    return ["apt-mark", "hold", *packages]


def environment(start: bool) -> dict[str, str]:
    """For apt. Without `start` systemctl does as in a chroot: services are enabled, and wait."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "LC_ALL": "C.UTF-8"}
    return quiet if start else {**quiet, "SYSTEMD_OFFLINE": "1"}


def chosen(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The entry of this distribution; an error says which there are."""
    if table and name not in table:
        raise HostError(f"{name} is not among the supported distributions: {', '.join(sorted(table))}")
    return dict(table.get(name, {}))
