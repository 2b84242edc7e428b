# GPL-3.0-or-later
"""The proxy is a stack like any other, written from the platform's settings."""

from __future__ import annotations

from .derive import certificates as certified
from .stack import PROXY, Data

IMAGES = {"traefik": ("traefik", "v3.7.15"), "nginx": ("nginx", "1.30.6")}
UID = 65532  # of the proxy's process, as its Compose file says


def stack(platform: Data, pages: bool) -> Data:
    """The stack's data for a platform whose defaults are filled in; with pages, those to show."""
    settings = platform["proxy"]
    ports = [(80, settings["http_port"]), *([(443, 443)] if certified.ends_here(platform) else [])]
    return {
        "name": PROXY,
        "compose": settings["kind"],
        "image": settings["image"] or IMAGES[settings["kind"]][0],
        "version": settings["version"] or IMAGES[settings["kind"]][1],
        "publish": [_published(settings["kind"], *each) for each in ports],
        **(_traefik(settings, pages) if settings["kind"] == "traefik" else {}),
    }


def _published(service: str, port: int, host_port: int) -> Data:
    here = {"address": "0.0.0.0", "protocol": "tcp"}  # noqa: S104
    return {"service": service, "port": port, "host_port": host_port, **here}


def _traefik(settings: Data, pages: bool) -> Data:
    """What Traefik learns from its command alone; Nginx reads it from a file, as the agent writes it."""
    trusted = {"TRUSTED": ",".join(settings["trusted"])} if settings["trusted"] else {}
    times = {"REQUEST": f"{settings['request_timeout']}s", "IDLE": f"{settings['idle_timeout']}s"}
    acme = settings["tls"]["acme"]
    shows = pages or (acme["email"] and acme["challenge"] == "http")  # what the issuer asks for
    return {"env": {**trusted, **times}, "profiles": ["pages"] if shows else []}


def manifest(platform: Data) -> Data:
    """What the agent knows of it."""
    settings = platform["proxy"]
    return {
        "kind": settings["kind"],
        "trusted": list(settings["trusted"]),
        "request_seconds": settings["request_timeout"],
        "idle_seconds": settings["idle_timeout"],
        **({"tls": _tls(platform)} if certified.ends_here(platform) else {}),
    }


def _tls(platform: Data) -> Data:
    acme = platform["proxy"]["tls"]["acme"]
    given = [{"file": each.file, "names": list(each.names)} for each in certified.given(platform)]
    return {**({"acme": dict(acme)} if acme["email"] else {}), "given": given}


def certificates(platform: Data) -> dict[str, str]:
    """The given ones, each with its key, by the file that they come in."""
    return {each.file: each.text for each in certified.given(platform)}
