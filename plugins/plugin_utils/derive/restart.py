# GPL-3.0-or-later
"""What happens when a container ends."""

from __future__ import annotations

from ..compose.normal import Plain
from ..stack import Stack, inner


def override(stack: Stack, name: str) -> Plain:
    """Services come back; what runs once does not. The file's own policy stays."""
    service = stack.view.services[name]
    if service.get("restart") or inner(service, "deploy", "restart_policy"):
        return {}
    return {"restart": "no" if name in stack.oneshots else "unless-stopped"}
