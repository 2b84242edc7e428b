# GPL-3.0-or-later
"""Certificates that the client brings: what is in them, and the file that the proxy reads."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ..forms import FORMS
from ..stack import Data

_BEGIN = re.compile("-+BEGIN (TRUSTED |X509 )?CERTIFICATE-+")
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class Certificate(NamedTuple):
    """One that is whole: its names, and certificate and key in one text, as every program reads it."""

    names: tuple[str, ...]
    text: str

    @property
    def file(self) -> str:
        """Named by its names, so that a renewed one takes the place of the old."""
        return f"{hashlib.sha256(' '.join(self.names).encode()).hexdigest()[:16]}.pem"

    def covers(self, host: str) -> bool:
        """Whether it is for this host name; a `*` stands for one label."""
        return host in self.names or f"*.{host.partition('.')[2]}" in self.names


class UnfitError(ValueError):
    """What is wrong with a pair of texts, without either of them. `part` is the key to blame."""

    def __init__(self, part: str, found: str) -> None:
        super().__init__(found)
        self.part = part


def read(data: Data) -> Certificate:
    """The certificate of one entry; UnfitError for what is no pair."""
    try:
        chain = x509.load_pem_x509_certificates(data["certificate"].encode())
        public, names = chain[0].public_key(), _names(chain[0])
    except _UNREADABLE:
        raise UnfitError("certificate", "it is no certificate in PEM") from None
    if len(chain) != len(_BEGIN.findall(data["certificate"])):
        raise UnfitError("certificate", "one of its certificates is cut off")
    try:
        key = load_pem_private_key(data["key"].encode(), None)
    except _UNREADABLE:
        raise UnfitError("key", "it is no key in PEM, or one with a password") from None
    forms = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*forms) != public.public_bytes(*forms):
        raise UnfitError("key", "it is not the key of the certificate")
    if not names:
        raise UnfitError("certificate", "no host name is in it (subjectAltName)")
    both = [each.public_bytes(Encoding.PEM) for each in chain]
    both.append(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Certificate(names, b"".join(both).decode())


def _names(found: x509.Certificate) -> tuple[str, ...]:
    """Those that a route can have; others are nobody's here."""
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    lower = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    return tuple(sorted(name for name in lower if FORMS["host"].accepts(name.removeprefix("*."))))


def given(platform: Data) -> list[Certificate]:
    """Those of the platform that are whole."""
    found = []
    for each in platform["proxy"]["tls"]["certificates"]:
        with suppress(UnfitError):
            found.append(read(each))
    return found


def ends_here(platform: Data) -> bool:
    """Whether the proxy ends TLS itself."""
    tls = platform["proxy"]["tls"]
    return bool(tls["acme"]["email"] or tls["certificates"])
