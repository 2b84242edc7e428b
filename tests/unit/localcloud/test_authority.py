"""Certificates: of the authority, for the names, and made again only when they do not fit."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from localcloud import authority

NAMES = ["www.example", "*.api.example"]


@pytest.fixture(autouse=True)
def _made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "certificates", monkeypatch)


def make(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "CERTIFICATES", folder)
    monkeypatch.setattr(authority, "AUTHORITY", folder / "authority.pem")
    monkeypatch.setattr(authority, "KEY", folder / "authority.key")
    authority.ensure()


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def issued(folder: Path, names: list[str] = NAMES) -> Path:
    authority.issue(names, folder / "www.pem")
    return folder / "www.pem"


def test_a_certificate_is_the_authoritys_and_for_the_names(tmp_path: Path):
    found = read(issued(tmp_path))
    found.verify_directly_issued_by(read(authority.AUTHORITY))
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == NAMES


def test_the_key_beside_it_is_its_own_and_nobody_elses(tmp_path: Path):
    file = issued(tmp_path)
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    assert key.public_key() == read(file).public_key()
    for secret in (file, authority.KEY):
        assert secret.stat().st_mode & 0o777 == 0o600


def test_a_client_believes_it_for_its_names_only(tmp_path: Path):
    file = issued(tmp_path)
    assert believed(file, "www.example")
    assert believed(file, "v1.api.example")
    assert not believed(file, "other.example")


def believed(file: Path, name: str) -> bool:
    """Shake hands in memory, as a client that trusts the authority and asks for this name."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    client = ssl.create_default_context(cafile=str(authority.AUTHORITY))
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    shaking = [
        client.wrap_bio(back, there, server_hostname=name),
        server.wrap_bio(there, back, server_side=True),
    ]
    while shaking:
        end = shaking.pop(0)
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            shaking.append(end)
        except ssl.SSLCertVerificationError:
            return False
    return True


def test_what_fits_stays(tmp_path: Path):
    before = issued(tmp_path).read_bytes()
    assert issued(tmp_path).read_bytes() == before
    authority.ensure()
    assert issued(tmp_path).read_bytes() == before


@pytest.mark.parametrize("names", [NAMES[:1], NAMES[::-1], ["other.example"]])
def test_other_names_need_another(tmp_path: Path, names: list[str]):
    before = issued(tmp_path).read_bytes()
    assert issued(tmp_path, names).read_bytes() != before


@pytest.mark.parametrize("rest", [0, 100])
def test_one_half_written_is_made_again(tmp_path: Path, rest: int):
    file = issued(tmp_path)
    file.write_bytes(file.read_bytes()[:rest])
    read(issued(tmp_path)).verify_directly_issued_by(read(authority.AUTHORITY))


def test_one_of_another_authority_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    issued(tmp_path)
    make(tmp_path / "others", monkeypatch)
    read(issued(tmp_path)).verify_directly_issued_by(read(authority.AUTHORITY))


def test_one_about_to_end_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(authority, "VALID", timedelta(days=20))
    before = issued(tmp_path).read_bytes()
    monkeypatch.undo()
    make(tmp_path / "certificates", monkeypatch)
    assert issued(tmp_path).read_bytes() != before


def test_a_long_name_is_cut_where_a_subject_ends(tmp_path: Path):
    assert read(issued(tmp_path, ["a" * 60 + ".example"])).subject
