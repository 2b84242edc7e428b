# GPL-3.0-or-later
"""Memory, processes and processors of each service: the stack's data, else the file, else the platform."""

from __future__ import annotations

import re

from ..compose.normal import Plain
from ..stack import Data, Stack, inner

_SHORT = {"memory": "mem_limit", "pids": "pids_limit", "cpus": "cpus"}


def override(stack: Stack, name: str) -> Plain:
    """The limits that the file lacks, in the form it uses: Compose refuses both forms side by side."""
    service = stack.view.services[name]
    missing = {kind: value for kind, value in _wanted(stack, name, service).items() if value is not None}
    if inner(service, "deploy", "resources", "limits"):
        values = {kind: str(value) if kind == "cpus" else value for kind, value in missing.items()}
        return {"deploy": {"resources": {"limits": values}}} if missing else {}
    return {_SHORT[kind]: value for kind, value in missing.items()}


def _wanted(stack: Stack, name: str, service: Plain) -> Data:
    data = stack.data["limits"].get(name, {})
    return {
        kind: data.get(kind) or (None if _has(service, kind) else stack.platform["limits"].get(kind))
        for kind in _SHORT
    }


def _has(service: Plain, kind: str) -> bool:
    long = inner(service, "deploy", "resources", "limits", kind)
    return any(map(_bounds, (service.get(_SHORT[kind]), long)))


def _bounds(value: object) -> bool:
    """Whether it is a limit: 0 and what is below mean none to Docker, in whatever unit."""
    return value is not None and not re.fullmatch(r"-.*|(0+(\.0*)?|\.0+)\s*[a-zA-Z]*", str(value))
