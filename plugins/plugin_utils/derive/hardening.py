# GPL-3.0-or-later
"""Takes from each container the rights it does not need."""

from __future__ import annotations

from .. import catalogue
from ..compose.normal import Plain
from ..dump import Override
from ..stack import Stack, strings


def override(stack: Stack, name: str) -> Plain:
    """No new privileges, and no capability that is not named."""
    service = stack.view.services[name]
    kept = [
        option
        for option in strings(service.get("security_opt"))
        if not option.startswith("no-new-privileges")
    ]
    return {
        "security_opt": Override(["no-new-privileges:true", *kept]),
        "cap_drop": Override(["ALL"]),
        "cap_add": Override(capabilities(service)),
    }


def capabilities(service: Plain) -> list[str]:
    """The file's, and the image's; a file that drops ALL itself keeps exactly its own."""
    own = {_bare(cap) for cap in strings(service.get("cap_add"))}
    if "ALL" in {_bare(cap) for cap in strings(service.get("cap_drop"))}:
        return sorted(own)
    known = catalogue.look_up(service.get("image"))
    dropped = {_bare(cap) for cap in strings(service.get("cap_drop"))}
    return sorted((own | set(known.caps if known else catalogue.BASELINE)) - dropped)


def _bare(cap: str) -> str:
    return cap.upper().removeprefix("CAP_")
