# GPL-3.0-or-later
"""How each service tells that it is well."""

from __future__ import annotations

from .. import catalogue
from ..compose.normal import Plain
from ..stack import Data, Stack, inner

EARLY: Plain = {"start_period": "30s", "start_interval": "1s"}
"""Else Docker first looks after a whole interval, 30 s unless said, and all that depends on it waits."""
_UNSAID: tuple[object, ...] = (None, "", [])


def override(stack: Stack, name: str) -> Plain:
    """An early first look; and what the catalogue knows of the image, each where the file says nothing."""
    service = stack.view.services[name]
    if own(service):
        return _missing(service, EARLY)
    known = catalogue.look_up(service.get("image"))
    if known is None or known.health is None or off(service) or name in stack.oneshots:
        return {}
    return _missing(
        service,
        {
            "test": list(known.health),
            "interval": "10s",
            "timeout": "5s",
            "retries": 6,
            **EARLY,
            "start_period": "60s",
        },
    )


def _missing(service: Plain, wanted: Plain) -> Plain:
    check = service.get("healthcheck")
    missing = {key: value for key, value in wanted.items() if inner(check, key) in _UNSAID}
    return {"healthcheck": missing} if missing else {}


def own(service: Plain) -> bool:
    """Whether the file has a health check that is not switched off."""
    return bool(inner(service.get("healthcheck"), "test")) and not off(service)


def off(service: Plain) -> bool:
    """Whether the file switches every health check off, the image's included."""
    check = service.get("healthcheck")
    return str(inner(check, "disable")).lower() == "true" or inner(check, "test") in (["NONE"], "NONE")


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
    service = stack.view.services[name]
    known = catalogue.look_up(service.get("image"))
    by_docker = own(service) or (known is not None and known.health is not None and not off(service))
    return by_docker or probe(stack, name) is not None
