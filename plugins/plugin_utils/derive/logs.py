# GPL-3.0-or-later
"""Caps each container's log, whatever the file says: naming a driver alone would drop the daemon's caps."""

from __future__ import annotations

from ..compose.normal import Plain
from ..dump import Override
from ..stack import Stack


def override(stack: Stack, name: str) -> Plain:
    """The local driver with its sizes; non-blocking, so that a full disk never stops an application."""
    del name
    logs = stack.platform["logs"]
    options = {
        "max-size": logs["max_size"],
        "max-file": str(logs["max_files"]),
        "mode": "non-blocking",
        "max-buffer-size": "4m",
    }
    return {"logging": Override({"driver": "local", "options": options})}
