"""An issuer of certificates (Let's Encrypt's own test server), and certificates of the client's own."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from testinfra.host import Host

FOLDER = "/root/issuer"
ZONE = Path(__file__).parent / "zone.py"
CONFIG = {
    "pebble": {
        "listenAddress": "127.0.0.1:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": f"{FOLDER}/own.pem",
        "privateKey": f"{FOLDER}/own.pem",
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
    }
}


@dataclass(frozen=True)
class Issuer:
    """It runs on the host."""

    host: Host
    challenge: str

    @classmethod
    def start(cls, host: Host, address: str) -> Issuer:
        """One that comes by HTTP: every name that it looks up leads to the address."""
        names = "pebble-challtestsrv -http01 '' -https01 '' -tlsalpn01 '' -doh ''"
        return cls._run(host, "http", f"{names} -defaultIPv4 {address} -defaultIPv6 ''")

    @classmethod
    def by_dns(cls, host: Host) -> Issuer:
        """One that looks into Route 53, which the host has to have access to."""
        put(host, f"{FOLDER}/zone.py", ZONE.read_text())
        return cls._run(host, "dns", f"python3 {FOLDER}/zone.py 8053", "python3-boto3")

    @classmethod
    def _run(cls, host: Host, challenge: str, names: str, *packages: str) -> Issuer:
        """Install and run it; the host trusts its address, as it would an issuer in the internet."""
        if host.run("systemctl is-active issuer").rc == 0:
            return cls(host, challenge)
        install = "DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends"
        host.check_output(f"{install} {' '.join(('pebble', *packages))} >/dev/null 2>&1")
        own = pair("localhost")
        put(host, f"{FOLDER}/own.pem", own["certificate"] + own["key"])
        put(host, f"{FOLDER}/config.json", json.dumps(CONFIG))
        put(host, "/usr/local/share/ca-certificates/issuer.crt", own["certificate"])
        host.check_output("update-ca-certificates >/dev/null 2>&1")
        run = "systemd-run --quiet --unit"
        host.check_output(f"{run}=names {names}")
        # It looks at each name anew, and does not answer wrongly on purpose.
        modes = ("VA_NOSLEEP=1", "AUTHZREUSE=0", "WFE_NONCEREJECT=0")
        quick = " ".join(f"--setenv=PEBBLE_{each}" for each in modes)
        pebble = f"pebble -config {FOLDER}/config.json -dnsserver 127.0.0.1:8053"
        host.check_output(f"{run}=issuer {quick} {pebble}")
        return cls(host, challenge)

    @property
    def settings(self) -> dict[str, Any]:
        """What the inventory says of it."""
        directory = "https://localhost:14000/dir"
        return {"acme": {"email": "ops@test.example", "server": directory, "challenge": self.challenge}}

    @property
    def root(self) -> str:
        """The root that its certificates lead to: another one at each start."""
        return str(self.host.check_output("curl -sSk https://127.0.0.1:15000/roots/0"))

    def misled(self, name: str, misled: bool) -> None:
        """Let its look-ups of a name fail, or succeed again."""
        verb = "set" if misled else "clear"
        told = json.dumps({"host": f"{name}."})
        self.host.check_output(f"curl -sSf -d '{told}' http://127.0.0.1:8055/{verb}-servfail")


def put(host: Host, path: str, content: str) -> None:
    """Write a file on the host."""
    folder = path.rpartition("/")[0]
    host.check_output(f"install -d {folder} && cat >{path} <<'END'\n{content}\nEND")


def pair(*names: str, days: int = 60) -> dict[str, str]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=30))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    certificate = made.sign(key, hashes.SHA256()).public_bytes(pem)
    return {"certificate": certificate.decode(), "key": private.decode()}
