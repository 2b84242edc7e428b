# GPL-3.0-or-later
"""How the proxy ends TLS: what its manifest says of it, and which certificate is for which host name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from drover.fields import HOST, get, text
from drover.layout import Layout
from drover.run import DroverError

GIVEN, ACME = "given", "acme"  # folders of the certificates
CHALLENGE = re.compile("http|dns")
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,253}")
FILE = re.compile(r"[a-z0-9_][a-z0-9._-]{0,252}\.pem")
SERVER = re.compile(r"https://[A-Za-z0-9._:/-]{1,500}")


class Acme(NamedTuple):
    """Who issues certificates, and how it sees that a name is ours."""

    server: str
    email: str
    challenge: str

    @property
    def issuer(self) -> str:
        """A short name: what one issuer certifies is nothing to those who believe another."""
        return hashlib.sha256(self.server.encode()).hexdigest()[:8]

    def file(self, name: str) -> str:
        """Where the certificate of a host name is, below the folder of certificates."""
        return f"{ACME}/{self.issuer}/{name}.pem"


class Given(NamedTuple):
    """A certificate that the client brought: its file, and the names in it."""

    file: str
    names: tuple[str, ...]


class Tls(NamedTuple):
    """Where certificates come from."""

    acme: Acme | None = None
    given: tuple[Given, ...] = ()


class Certificate(NamedTuple):
    """A file below the folder of certificates, with its key; `age` tells one content from the next."""

    file: str
    age: int

    @property
    def given(self) -> bool:
        """Whether the client brought it."""
        return self.file.startswith(GIVEN)


def read(where: str, data: object) -> Tls:
    """What a manifest says; a DroverError names what is not as it has to be."""
    if not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a mapping")
    return Tls(
        _acme(f"{where}.acme", data["acme"]) if data.get("acme") else None,
        tuple(_given(f"{where}.given", each) for each in data.get("given") or ()),
    )


def _acme(where: str, data: object) -> Acme:
    if not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a mapping")
    return Acme(
        text(data, "server", SERVER, where),
        text(data, "email", EMAIL, where),
        text(data, "challenge", CHALLENGE, where),
    )


def _given(where: str, data: object) -> Given:
    if not isinstance(data, Mapping):
        raise DroverError(f"{where}: not a mapping")
    names = get(data, "names", list, where)
    return Given(text(data, "file", FILE, where), tuple(_name(each, where) for each in names))


def _name(value: Any, where: str) -> str:
    bare = value.removeprefix("*.") if isinstance(value, str) else value
    text({"names": bare}, "names", HOST, where)
    return str(value)


def known(layout: Layout, tls: Tls | None) -> dict[str, Certificate]:
    """The certificates that are there, by host name; `*.` stands for one label."""
    if not tls:
        return {}
    issued = {path.stem: tls.acme.file(path.stem) for path in _issued(layout, tls.acme)} if tls.acme else {}
    brought = {name: f"{GIVEN}/{each.file}" for each in reversed(tls.given) for name in each.names}
    ages = {file: _age(layout, file) for file in {*issued.values(), *brought.values()}}
    return {name: Certificate(file, ages[file]) for name, file in {**issued, **brought}.items() if ages[file]}


def _issued(layout: Layout, acme: Acme) -> Iterable[Path]:
    return (layout.certificates / acme.file("")).parent.glob("[!.]*.pem")


def _age(layout: Layout, file: str) -> int:
    """Milliseconds of its last change; 0 if it is not there."""
    try:
        return (layout.certificates / file).stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return 0


def covering(found: Mapping[str, Certificate], host: str) -> Certificate | None:
    """The certificate for the host name, if there is one: what was given goes before what was issued."""
    both = [found.get(host), found.get("*." + host.partition(".")[2])]
    fitting = [each for each in both if each]
    return next((each for each in fitting if each.given), fitting[0] if fitting else None)
