# GPL-3.0-or-later
"""Opens exactly the ports that the stack's data publishes; `ports:` of the file opens none."""

from __future__ import annotations

from ..compose.normal import Plain
from ..dump import Override, Reset
from ..stack import Data, Stack


def override(stack: Stack, name: str) -> Plain:
    """The published ports in long form, or none."""
    published = [_long(entry) for entry in stack.data["publish"] if entry["service"] == name]
    if published:
        return {"ports": Override(published)}
    return {"ports": Reset()} if stack.view.services[name].get("ports") else {}


def _long(entry: Data) -> Data:
    return {
        "target": entry["port"],
        "published": str(entry["host_port"]),
        "host_ip": entry["address"],
        "protocol": entry["protocol"],
        "mode": "ingress",
    }
