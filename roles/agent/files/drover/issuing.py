# GPL-3.0-or-later
"""Certificates by ACME: certbot asks, and what it gets is put where the proxy reads it."""

from __future__ import annotations

import os
import shutil
import ssl
import time
from pathlib import Path
from typing import NamedTuple

from drover import disk
from drover.host import Host
from drover.layout import Layout
from drover.run import NOT_FOUND, Runner
from drover.table import stamp
from drover.tls import Acme

SECONDS = 120.0  # for one certificate
PATIENCE = 3000.0  # after a failure: issuers count them, and the timer comes each hour
RENEWED = 1 / 3  # of its lifetime: left when a new one is asked for
NOISE = ("Saving debug log", "Ask for help", "- - -", "Requesting a certificate", "Account registered")


class Span(NamedTuple):
    """When a certificate holds, in seconds since 1970."""

    begin: float
    end: float

    def left(self, share: float) -> bool:
        """Whether more than this share of its lifetime is left."""
        return time.time() < self.end - (self.end - self.begin) * share


def span(run: Runner, path: Path) -> Span | None:
    """From when until when the certificate in a file holds; None for what is none."""
    done = run(["openssl", "x509", "-noout", "-startdate", "-enddate", "-in", str(path)])
    said = dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line)
    try:
        begin, end = (ssl.cert_time_to_seconds(said[key]) for key in ("notBefore", "notAfter"))
    except (KeyError, ValueError):
        return None
    return Span(float(begin), float(end))


def obtain(host: Host, acme: Acme, name: str) -> bool:
    """Get a certificate for the name; whether there is one now. Why not is kept for `failure`."""
    live = _folder(host.layout, acme) / "config" / "live" / name
    have = span(host.run, live / "fullchain.pem")
    try:
        # What a run that was killed has got already, or one more.
        trouble = "" if have and have.left(RENEWED) else _ask(host, acme, name)
        if not trouble:
            _place(host.layout, acme, name, live)
    except OSError as error:
        trouble = str(error)
    _note(host.layout, acme, name, trouble)
    return not trouble


def _folder(layout: Layout, acme: Acme) -> Path:
    return layout.acme / acme.issuer


def _ask(host: Host, acme: Acme, name: str) -> str:
    """Let certbot ask; why there is no certificate, empty if there is one."""
    folder = _folder(host.layout, acme)
    if not (folder / "config" / "renewal" / f"{name}.conf").exists():
        for part in ("live", "archive"):  # of a certbot that was killed: the next one would stumble over them
            shutil.rmtree(folder / "config" / part / name, ignore_errors=True)
    logs = host.layout.run / "certbot"  # in memory, and gone afterwards: keys of the role are in them
    how = {"http": ["--webroot", f"--webroot-path={host.layout.challenges}"], "dns": ["--dns-route53"]}
    command = [
        *("certbot", "certonly", "--non-interactive", "--agree-tos", "--force-renewal", f"--logs-dir={logs}"),
        *(f"--{each}-dir={folder / each}" for each in ("config", "work")),
        *(f"--server={acme.server}", f"--email={acme.email}"),
        *(f"--cert-name={name}", f"--domain={name}", *how[acme.challenge]),
    ]
    try:
        done = host.run(command, timeout=SECONDS, merged=True)
    finally:
        shutil.rmtree(logs, ignore_errors=True)
    if done.code == NOT_FOUND:
        return "certbot is not installed, converge with the tag agent too"
    return _reason(done.words) if done.code else ""


def _place(layout: Layout, acme: Acme, name: str, live: Path) -> None:
    pair = "".join((live / f"{part}.pem").read_text("ascii") for part in ("fullchain", "privkey"))
    path = layout.certificates / acme.file(name)
    owner = layout.certificates.stat().st_uid
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chown(path.parent, owner, -1)
    disk.replace(path, pair, 0o600, owner)


def _reason(said: str) -> str:
    """What the issuer said, else all that certbot says, in one line and without where its logs are."""
    lines = [line.strip() for line in said.splitlines()]
    details = [line.partition(":")[2] for line in lines if line.startswith("Detail:")]
    others = [line for line in lines if line and not line.startswith(NOISE)]
    return " ".join(" ".join(details or others).split())[:600] or "certbot failed"


def _noted(layout: Layout, acme: Acme, name: str) -> Path:
    return _folder(layout, acme) / f"{name}.{acme.challenge}.failed"


def _note(layout: Layout, acme: Acme, name: str, trouble: str) -> None:
    path = _noted(layout, acme, name)
    if trouble:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        disk.replace(path, trouble)
    elif path.exists():
        disk.remove(path)


def failure(layout: Layout, acme: Acme, name: str) -> str:
    """Why the last attempt failed, and when; empty if it did not."""
    path = _noted(layout, acme, name)
    try:
        return f"{path.read_text('utf-8')} (at {stamp(path.stat().st_mtime)}, asked again each hour)"
    except FileNotFoundError:
        return ""


def rests(layout: Layout, acme: Acme, name: str) -> bool:
    """Whether it failed a moment ago, so that nobody is asked now."""
    try:
        return time.time() - _noted(layout, acme, name).stat().st_mtime < PATIENCE
    except FileNotFoundError:
        return False
