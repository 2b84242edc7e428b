# GPL-3.0-or-later
"""The proxy is a stack like any other, written from the platform's settings."""

from __future__ import annotations

from .stack import PROXY, Data


def stack(platform: Data) -> Data:
    """The stack's data for a platform whose defaults are filled in."""
    settings = platform["proxy"]
    port = {
        "service": settings["kind"],
        "port": 80,
        "host_port": settings["http_port"],
        "address": "0.0.0.0",  # noqa: S104
        "protocol": "tcp",
    }
    return {
        "name": PROXY,
        "compose": settings["kind"],
        "image": settings["image"],
        "version": settings["version"],
        "publish": [port],
    }
