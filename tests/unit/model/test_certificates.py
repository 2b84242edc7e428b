# GPL-3.0-or-later
"""TLS at the proxy: what is given is whole and fits, and every mistake is named by its key."""

from __future__ import annotations

import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.drover.platform.plugins.plugin_utils import model as models
from ansible_collections.drover.platform.plugins.plugin_utils import placement, release
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from drover.release import read

COLLECTION = Path(__file__).resolve().parents[3] / "compose"
ACME = {"email": "ops@acme.example"}


@cache
def pair(*names: str, days: int = 60) -> dict[str, str]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=90))
        .not_valid_after(now + datetime.timedelta(days=days))
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "certificate": made.sign(key, hashes.SHA256()).public_bytes(pem).decode(),
        "key": private.decode(),
    }


def load(
    settings: dict[str, Any], what: str = "stacks", kind: str = "traefik", port: int = 80, **route: Any
) -> models.Model:
    routes = [{"host": "shop.acme.example", "service": "app", "port": 80, "health": "/up", **route}]
    stack = {"name": "shop", "image": "shop", "version": "1", "routes": routes}
    return models.load(
        [stack], {"proxy": {"kind": kind, "tls": settings, "http_port": port}}, [COLLECTION], what
    )


def problems(settings: dict[str, Any], **route: Any) -> list[str]:
    return [str(each) for each in load(settings, **route).problems]


@pytest.mark.parametrize("kind", ["traefik", "nginx"])
def test_given_certificate_lands_for_the_proxy_alone_and_the_agent_knows_its_names(kind: str) -> None:
    both = {"acme": ACME, "certificates": [pair("*.acme.example", "acme.example")]}
    found = load(both, "proxy", kind)
    assert not found.problems
    made = release.build(found.stacks[0])
    manifest = read(made.manifest)
    assert manifest.proxy and manifest.proxy.tls and manifest.proxy.tls.acme
    (given,) = manifest.proxy.tls.given
    assert given.names == ("*.acme.example", "acme.example")
    (secret,) = placement.tree([made])["secrets"]
    assert secret["path"] == f"/srv/proxy/certificates/given/{given.file}" and secret["owner"] == "65532"
    assert "BEGIN CERTIFICATE" in secret["content"] and "BEGIN PRIVATE KEY" in secret["content"]
    assert [entry["host_port"] for entry in found.stacks[0].data["publish"]] == [80, 443]


def test_without_tls_nothing_listens_for_it() -> None:
    found = load({}, "proxy")
    assert [entry["host_port"] for entry in found.stacks[0].data["publish"]] == [80]
    assert "tls" not in release.build(found.stacks[0]).manifest["proxy"]


def test_https_needs_somebody_who_ends_tls() -> None:
    assert not problems({"acme": ACME}, https=True)
    assert "no load balancer is believed" in problems({}, https=True)[0]
    assert "no load balancer is believed" in problems({"acme": ACME}, https=True, tls=False)[0]


def test_every_host_name_has_a_certificate_or_says_that_it_needs_none() -> None:
    other = {"certificates": [pair("blog.acme.example")]}
    (said,) = problems(other)
    assert "shop.routes[0].host" in said.replace("drover_stacks[0]", "shop") and '"shop.acme.example"' in said
    assert not problems(other, tls=False)
    assert not problems({**other, "acme": ACME})
    wild = {"certificates": [pair("*.acme.example")]}
    assert not problems(wild)
    assert "www.shop.acme.example" in problems(wild, redirect_from=["www.shop.acme.example"])[0]


GOOD = pair("shop.acme.example")


def cut(whole: dict[str, str]) -> dict[str, str]:
    """With one more of which the end is missing."""
    return {**whole, "certificate": whole["certificate"] + whole["certificate"][:-40]}


def given(*certificates: dict[str, str]) -> dict[str, Any]:
    return {"certificates": list(certificates)}


@pytest.mark.parametrize(
    ("tls", "key", "said"),
    [
        ({"acme": {"challenge": "dns"}}, "acme", 'the key "email" is missing'),
        ({"acme": {"email": "ops"}}, "acme.email", "is not an address of e-mail"),
        ({"acme": {**ACME, "challenge": "tls"}}, "acme.challenge", "write one of: http, dns"),
        ({"acme": {**ACME, "server": "http://x"}}, "acme.server", "is not the address of an issuer"),
        (given({"certificate": GOOD["certificate"]}), "certificates[0]", 'the key "key" is missing'),
        (given({**GOOD, "key": "CHANGEME"}), "certificates[0].key", "found a placeholder"),
        (given({**GOOD, "key": "hunter2-not-pem"}), "certificates[0].key", "it is no key in PEM"),
        (given({**GOOD, "certificate": "x"}), "certificates[0].certificate", "it is no certificate"),
        (given({**GOOD, "key": pair("b.example")["key"]}), "certificates[0].key", "not the key of"),
        (given(pair()), "certificates[0].certificate", "no host name is in it"),
        (given(pair("ops_vpn.acme.example")), "certificates[0].certificate", "no host name is in it"),
        (given(cut(GOOD)), "certificates[0].certificate", "is cut off"),
        (
            given(GOOD, pair("shop.acme.example", days=61)),
            "certificates[1]",
            "for the same names",
        ),
        ({"acme": ACME}, "acme.challenge", "the issuer asks on port 80, and the proxy listens on 8080"),
    ],
)
def test_mistakes_name_their_key_and_no_secret(tls: dict[str, Any], key: str, said: str) -> None:
    found = problems(tls, **({"port": 8080} if "8080" in said else {}))
    assert any(f"drover_platform.proxy.tls.{key}" in each and said in each for each in found), found
    assert "hunter2" not in "".join(found) and "BEGIN" not in "".join(found)


def test_one_that_has_ended_holds_up_nothing() -> None:
    assert not problems(given(pair("shop.acme.example", days=-1)))


def test_several_may_have_a_name_in_common() -> None:
    assert not problems(
        given(pair("*.acme.example", "acme.example"), pair("acme.example", "www.acme.example"))
    )


@pytest.mark.parametrize(
    "loose", [lambda text: text.replace("\n", "\r\n"), lambda text: "\n\n" + text + "  \n"]
)
def test_what_lands_is_written_anew_as_every_program_reads_it(loose: Any) -> None:
    """OpenSSL is stricter than what reads it here."""
    data = {key: loose(value) for key, value in GOOD.items()}
    (found,) = load(given(data), "proxy").stacks
    ((_, text),) = release.build(found).certificates.items()
    lines = text.splitlines()
    assert lines[0] == "-----BEGIN CERTIFICATE-----" and lines[-1] == "-----END PRIVATE KEY-----"
    assert all(line == line.strip() and 0 < len(line) <= 64 for line in lines)
