# GPL-3.0-or-later
"""How a service's containers are replaced, in Compose's words: new beside old, old first, or in place."""

from __future__ import annotations

from ..compose.normal import Plain
from ..stack import Stack, entries, inner, mapping
from . import files

START_FIRST, STOP_FIRST, IN_PLACE = "start-first", "stop-first", "in-place"


def of(stack: Stack, name: str) -> str:
    """The order; the file's `deploy.update_config.order` counts where both would do.

    In place goes what shares another container's namespace, and what shares its own: the new one would hang
    on a container that is about to go.
    """
    service = stack.view.services[name]
    if shares(service) or any(name in shares(other) for other in stack.view.services.values()):
        return IN_PLACE
    if name in stack.data["deploy"]["singleton"] or name in stack.oneshots or _exclusive(stack, name):
        return STOP_FIRST
    said = inner(service, "deploy", "update_config", "order")
    if said in (START_FIRST, STOP_FIRST):
        return str(said)
    return STOP_FIRST if _writes(stack, service) else START_FIRST


def shares(service: Plain) -> set[str]:
    """The services of whose container it takes a namespace."""
    values = [str(service.get(key) or "") for key in ("pid", "ipc")]
    return {value.partition(":")[2] for value in values if value.startswith("service:")}


def _exclusive(stack: Stack, name: str) -> bool:
    """Whether it holds what Docker gives to one container only: a port of the host, an address."""
    published = any(entry["service"] == name for entry in stack.data["publish"])
    networks = mapping(stack.view.services[name], "networks")
    fixed = any(own.get("ipv4_address") or own.get("ipv6_address") for _, own in networks)
    return published or fixed


def _writes(stack: Stack, service: Plain) -> bool:
    """Whether it keeps data: two programs on the same files damage them, unless the file says otherwise."""
    return any(
        mount.get("type") in ("volume", "bind")
        and not mount.get("read_only")
        and not files.source_of(stack, mount)
        for mount in entries(service, "volumes")
    )
