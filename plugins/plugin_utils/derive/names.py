# GPL-3.0-or-later
"""Removes what ties a service to one machine or one run."""

from __future__ import annotations

from ..compose.normal import Plain
from ..dump import Reset
from ..stack import Stack

_RESET = ("container_name", "build", "pull_policy")


def override(stack: Stack, name: str) -> Plain:
    """No fixed container name (two versions must run side by side), no build, no pull beside the agent's."""
    return {key: Reset() for key in _RESET if stack.view.services[name].get(key) is not None}
