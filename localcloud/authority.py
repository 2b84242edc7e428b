"""The certificate authority of the emulated account: AWS's own names and the balancers' certificates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcloud.cloud import CERTIFICATES, REGION

AUTHORITY = CERTIFICATES / "authority.pem"  # what clients trust
KEY = CERTIFICATES / "authority.key"
VALID = timedelta(days=365)
AWS_NAMES = [
    "*.amazonaws.com",
    f"*.{REGION}.amazonaws.com",
    f"*.s3.{REGION}.amazonaws.com",
    f"s3.dualstack.{REGION}.amazonaws.com",  # restic's, by IPv4 and IPv6
    f"*.s3.dualstack.{REGION}.amazonaws.com",
    f"*.dkr.ecr.{REGION}.amazonaws.com",
    f"*.ecr.{REGION}.amazonaws.com",
    "*.s3.amazonaws.com",
]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID)
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def ensure() -> None:
    """Make the authority once per checkout."""
    if AUTHORITY.exists():
        return
    CERTIFICATES.mkdir(parents=True, exist_ok=True)
    key, name = ec.generate_private_key(ec.SECP256R1()), _name("Drover localcloud")
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    made = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(KEY, _private(key))
    _write(AUTHORITY, made.public_bytes(serialization.Encoding.PEM), 0o644)


def issue(names: Sequence[str], target: Path) -> None:
    """Write a certificate for these names, its key beside it, as HAProxy reads it; one that fits stays."""
    authority = x509.load_pem_x509_certificate(AUTHORITY.read_bytes())
    if target.exists() and _fits(target.read_bytes(), names, authority):
        return
    signer = cast("ec.EllipticCurvePrivateKey", serialization.load_pem_private_key(KEY.read_bytes(), None))
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    made = (
        _builder(_name(names[0]), authority.subject, key)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(signer, hashes.SHA256())
    )
    _write(target, made.public_bytes(serialization.Encoding.PEM) + _private(key))


def _fits(pem: bytes, names: Sequence[str], authority: x509.Certificate) -> bool:
    """Tell whether it stands for these names, is of this authority, and is good for a month yet."""
    try:
        found = x509.load_pem_x509_certificate(pem)
        found.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    ends = found.not_valid_after_utc - datetime.now(UTC)
    return _names(found) == list(names) and ends > timedelta(days=30)


def _write(target: Path, content: bytes, mode: int = 0o600) -> None:
    """Write all of it or nothing; a key is for our eyes only."""
    draft = target.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=mode)
    draft.write_bytes(content)
    draft.rename(target)


def _names(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return found.value.get_values_for_type(x509.DNSName)
