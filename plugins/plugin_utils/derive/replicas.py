# GPL-3.0-or-later
"""How many containers of a service run."""

from __future__ import annotations

import re

from ..compose.normal import Plain
from ..stack import inner

MOST = 1000


def written(service: Plain) -> tuple[str, object]:
    """The key that says the number, and what it says; None where nothing does."""
    number = inner(service, "deploy", "replicas")
    return ("scale", service.get("scale")) if number is None else ("deploy.replicas", number)


def wanted(service: Plain) -> int:
    """How many containers the file wants; one unless it says."""
    _, number = written(service)
    return int(str(number)) if number is not None and readable(number) else 1


def readable(number: object) -> bool:
    """Whether it is a number of containers that the agent takes, from 0 to MOST."""
    return re.fullmatch(r"[0-9]{1,4}", str(number)) is not None and int(str(number)) <= MOST
