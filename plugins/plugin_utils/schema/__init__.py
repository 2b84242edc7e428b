# GPL-3.0-or-later
"""Every key of `drover_stacks`, `drover_platform` and `drover_aws`: types, choices, defaults and texts.

Validation, the roles' argument specs, the reference page and the commented sample come from here.
"""

from __future__ import annotations

from .aws import AWS, INSTANCE, LIFECYCLE
from .backup import PROGRAM
from .platform import PLATFORM
from .route import ROUTE
from .run import CHANGE, ONLY
from .service import ALLOW
from .stack import STACK, STACKS

__all__ = [
    "ALLOW",
    "AWS",
    "CHANGE",
    "INSTANCE",
    "LIFECYCLE",
    "ONLY",
    "PLATFORM",
    "PROGRAM",
    "ROUTE",
    "STACK",
    "STACKS",
]
