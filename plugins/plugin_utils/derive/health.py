# GPL-3.0-or-later
"""How each service tells that it is well."""

from __future__ import annotations

from .. import catalogue
from ..compose.normal import Plain
from ..dump import Override
from ..stack import Data, Stack, inner

EARLY = {"start_period": "30s", "start_interval": "1s"}
"""Else Docker first looks after a whole interval, 30 s unless said, and all that depends on it waits."""


def override(stack: Stack, name: str) -> Plain:
    """An early first look; and the catalogue's command, for a known image whose file has none."""
    service = stack.view.services[name]
    known = catalogue.look_up(service.get("image"))
    if own(service):
        check = service.get("healthcheck")
        early = {key: value for key, value in EARLY.items() if inner(check, key) is None}
        return {"healthcheck": early} if early else {}
    if known is None or known.health is None or name in stack.oneshots:
        return {}
    return {
        "healthcheck": Override(
            {
                "test": list(known.health),
                "interval": "10s",
                "timeout": "5s",
                "retries": 6,
                **EARLY,
                "start_period": "60s",
            }
        )
    }


def own(service: Plain) -> bool:
    """Whether the file has a health check that is not switched off."""
    check = service.get("healthcheck")
    return (
        bool(inner(check, "test"))
        and not inner(check, "disable")
        and inner(check, "test") not in (["NONE"], "NONE")
    )


def probe(stack: Stack, name: str) -> Data | None:
    """Port and path that the agent asks, from the service's first route that has one."""
    return next(
        (
            {"port": route["port"], "path": route["health"]}
            for route in stack.routes
            if route["service"] == name and route["health"]
        ),
        None,
    )


def told(stack: Stack, name: str) -> bool:
    """Whether anything tells the service's health."""
    known = catalogue.look_up(stack.view.services[name].get("image"))
    return bool(own(stack.view.services[name]) or (known and known.health) or probe(stack, name))
