"""TLS that ends at the proxy: certificates by ACME and of the client's own."""

from __future__ import annotations

import json
import ssl
from contextlib import nullcontext
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from shared.issuer import Issuer, pair
from shared.scenario import Scenario, eventually
from testinfra.host import Host

from .wire import Answer, Balancer

ISSUED = "issued.shop.test.example"


class Secure(HTTPSConnection):
    """A connection to the proxy under a name that no DNS has."""

    def __init__(self, balancer: Balancer, name: str, roots: str) -> None:
        super().__init__(name, 443, timeout=20, context=ssl.create_default_context(cadata=roots))
        self.balancer = balancer

    def connect(self) -> None:
        plain = self.balancer.connect(443)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)  # type: ignore[attr-defined]

    def ask(self, path: str = "/") -> Answer:
        self.request("GET", path)
        answer = self.getresponse()
        return Answer(answer.status, answer.headers, answer.read())


def served(balancer: Balancer, name: str, roots: str) -> int:
    """The serial number of the certificate that a client gets, which it believes."""
    secure = Secure(balancer, name, roots)
    secure.connect()
    found: Any = secure.sock
    der = found.getpeercert(binary_form=True)
    secure.close()
    return x509.load_der_x509_certificate(der).serial_number


def forget(host: Host) -> None:
    """As if nobody had ever asked for the certificate."""
    host.check_output(f"rm -r /var/lib/drover/acme/*/config/*/{ISSUED}*")
    host.check_output(f"rm /srv/proxy/certificates/acme/*/{ISSUED}.pem")


def test_service_learns_that_a_request_came_by_tls(
    balancer: Balancer, brought: dict[str, Any], issuer: Issuer
) -> None:
    given = brought["certificates"][0]["certificate"]
    for name, roots in (("plain.test.example", given), (ISSUED, issuer.root)):
        found = Secure(balancer, name, roots).ask("/x")
        assert found.status == 200 and found.seen["headers"]["X-Forwarded-Proto"] == "https"


def test_name_that_redirects_has_a_certificate_too(balancer: Balancer, issuer: Issuer) -> None:
    found = Secure(balancer, "www.plain.test.example", issuer.root).ask("/x?y=1")
    assert found.status in (301, 302, 307, 308)
    assert found.headers["Location"] == "https://plain.test.example/x?y=1"


@pytest.mark.parametrize("name", ["unknown.shop.test.example", "without.shop.test.example"])
def test_name_without_certificate_gets_none_instead_of_anothers(
    balancer: Balancer, issuer: Issuer, name: str
) -> None:
    with pytest.raises(ssl.SSLError) as refused:
        Secure(balancer, name, issuer.root).connect()
    assert not isinstance(refused.value, ssl.SSLCertVerificationError), "none is shown at all"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
@pytest.mark.parametrize(("version", "spoken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_old_tls_is_refused(balancer: Balancer, brought: dict[str, Any], version: str, spoken: bool) -> None:
    secure = Secure(balancer, "plain.test.example", brought["certificates"][0]["certificate"])
    context = secure._context  # type: ignore[attr-defined]
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with nullcontext() if spoken else pytest.raises(ssl.SSLError, match=r"version|alert"):
        secure.connect()


def test_https_redirects_everything_but_the_issuers_question(balancer: Balancer) -> None:
    found = balancer.ask(ISSUED, "/x?y=1")
    assert (found.status, found.headers["Location"]) in [
        (status, f"https://{ISSUED}/x?y=1") for status in (301, 308)
    ]
    assert balancer.status(ISSUED, "/.well-known/acme-challenge/nothing") == 404


def test_status_says_until_when(host: Host) -> None:
    found = json.loads(host.check_output("drover status --json"))
    assert found["fine"], found
    by_name = {each["name"]: each for each in found["certificates"]}
    assert by_name[ISSUED]["source"] == "acme" and by_name["plain.test.example"]["source"] == "given"
    assert "without.shop.test.example" not in by_name
    assert not any(each["problem"] for each in found["certificates"])
    listed = host.check_output("drover certificates")
    assert ISSUED in listed and "acme" in listed
    assert host.service("drover-certificates.timer").is_running


def test_keys_are_the_proxys_alone(host: Host) -> None:
    listed = host.check_output("find /srv/proxy/certificates -printf '%y %U %m\\n' | sort -u")
    assert listed.splitlines() == ["d 65532 700", "f 65532 600"]


def test_renewed_certificate_is_served_at_once(balancer: Balancer, host: Host, issuer: Issuer) -> None:
    before = served(balancer, ISSUED, issuer.root)
    forget(host)
    host.check_output("drover certificates")
    assert served(balancer, ISSUED, issuer.root) != before
    assert json.loads(host.check_output("drover status --json"))["fine"]


def test_issuer_that_refuses_is_told_of_and_the_site_answers_without_tls(
    balancer: Balancer, host: Host, issuer: Issuer
) -> None:
    forget(host)
    issuer.misled(ISSUED, True)
    try:
        failed = host.run("drover certificates")
        assert failed.rc == 1 and "no certificate: " in failed.stdout, failed.stdout + failed.stderr
        assert ISSUED in failed.stdout and "could not resolve" in failed.stdout, "what the issuer says"
        host.check_output("drover apply")
        assert balancer.status(ISSUED) == 200, "nobody is sent to where nothing answers"
        assert host.run("drover status").rc == 1
        assert f"{ISSUED}: no certificate" in host.check_output("journalctl -t drover -o cat")
    finally:
        issuer.misled(ISSUED, False)
    waits = host.run("drover certificates")
    assert waits.rc == 1 and "asking" not in waits.stderr, "issuers count failures"
    host.check_output("drover certificates --now")
    assert balancer.status(ISSUED) in (301, 308)


def test_certificate_that_ends_soon_is_told_of_and_the_next_one_counts(
    scenario: Scenario, balancer: Balancer, host: Host, folder: Path
) -> None:
    path = folder / "group_vars" / "all" / "platform.yml"
    before = path.read_text()
    settings = yaml.safe_load(before)
    late = pair("*.test.example", days=5)
    settings["drover_platform"]["proxy"]["tls"]["certificates"] = [late]
    path.write_text(yaml.safe_dump(settings))
    try:
        run = scenario.converge("--tags", "proxy,stacks", "--diff", inventory=folder)
        assert "its certificate ends in 5 days" in " ".join(run.output.split())
        assert "PRIVATE KEY" not in run.output
        assert served(balancer, "plain.test.example", late["certificate"])
        assert "ends in 5 days" in host.run("drover status").stdout
    finally:
        path.write_text(before)
        scenario.converge("--tags", "proxy,stacks", inventory=folder)
    assert eventually(lambda: host.run("drover status").rc == 0, 20), host.run("drover status").stdout
