# GPL-3.0-or-later
"""How many containers of a service run."""

from __future__ import annotations

from ..compose.normal import Plain
from ..stack import inner


def written(service: Plain) -> tuple[str, object]:
    """The key that says the number, and what it says; None where nothing does."""
    number = inner(service, "deploy", "replicas")
    return ("scale", service.get("scale")) if number is None else ("deploy.replicas", number)


def wanted(service: Plain) -> int:
    """How many containers the file wants; one unless it says."""
    _, number = written(service)
    return int(str(number)) if str(number).isdigit() else 1
