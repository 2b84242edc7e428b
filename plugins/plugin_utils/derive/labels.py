# GPL-3.0-or-later
"""Labels that explain a container to whoever looks at it."""

from __future__ import annotations

from ..compose.normal import Plain
from ..stack import Stack
from . import health


def override(stack: Stack, name: str) -> Plain:
    """The stack, the service, what the agent probes, and the reasons for its exceptions."""
    probe = health.probe(stack, name)
    rules = stack.data["allow"].get(name, {})
    return {
        "labels": {
            "drover.stack": stack.name,
            "drover.service": name,
            **({"drover.health": f"{probe['port']}{probe['path']}"} if probe else {}),
            **{f"drover.reason.{rule}": reason for rule, reason in rules.items() if reason},
        }
    }
