# GPL-3.0-or-later
"""One stack: its data from the inventory beside the view of its Compose files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from .compose.normal import Plain
from .compose.view import View
from .problem import Path, Problem, shown
from .schema import ROUTE
from .shape import filled

PROXY = "proxy"
STANDS_FOR_A_SECRET = "kept-beside-the-release"  # noqa: S105
Data = dict[str, Any]


@dataclass(frozen=True)
class Stack:
    """Data with every default filled in; `path` is where the inventory has it."""

    path: Path
    data: Data
    view: View
    platform: Data

    @property
    def name(self) -> str:
        """The stack's name, which is Compose's project name too."""
        return str(self.data["name"])

    @cached_property
    def services(self) -> dict[str, Plain]:
        """The services that run: those without a profile, and those of the stack's profiles."""
        wanted = set(self.data["profiles"])
        return {
            name: service
            for name, service in self.view.services.items()
            if not service.get("profiles") or wanted & set(strings(service["profiles"]))
        }

    @cached_property
    def single(self) -> str | None:
        """The stack's only service, if it has just one."""
        return next(iter(self.view.services)) if len(self.view.services) == 1 else None

    @cached_property
    def routes(self) -> list[Data]:
        """Every route, the short form's included."""
        given = {"service": self.single, **{key: self.data[key] for key in ("host", "port", "health")}}
        short = cast(Data, filled(given, ROUTE))
        return [
            *([short] if self.data["host"] and self.data["port"] and self.single else []),
            *self.data["routes"],
        ]

    @cached_property
    def oneshots(self) -> frozenset[str]:
        """Services that run once: somebody waits for their success, or the file says `restart: "no"`."""
        ending = {name for name, service in self.view.services.items() if service.get("restart") == "no"}
        return self.awaited | ending

    @cached_property
    def awaited(self) -> frozenset[str]:
        """Services for whose success another one waits."""
        return frozenset(
            name
            for service in self.view.services.values()
            for name, how in mapping(service, "depends_on")
            if how.get("condition") == "service_completed_successfully"
        )

    def routed(self, service: str) -> bool:
        """Whether the proxy, or a port of the host, leads to the service."""
        canaries = [route["canary"] for route in self.routes]
        return any(entry["service"] == service for entry in [*self.routes, *canaries, *self.data["publish"]])

    def secret_name(self, variable: str) -> str | None:
        """The secret that the variable of `env` holds; None for a plain or unknown one."""
        value = self.data["env"].get(variable)
        return str(value["secret"]) if isinstance(value, Mapping) else None

    def allowed(self, service: str, rule: str) -> str | None:
        """The reason why the service may break the rule."""
        reason = self.data["allow"].get(service, {}).get(rule)
        return str(reason) if reason else None

    def shown(self, path: Path) -> str:
        """A path of the stack's data as a person would name it."""
        return shown((self.name, *path[len(self.path) :]))

    def problem(self, path: Path, found: str, fix: str) -> Problem:
        """A problem of the inventory's data, below this stack."""
        return Problem((*self.path, *path), found, fix)


def variables(data: Data) -> dict[str, str]:
    """What ${…} in the stack's files stands for; a secret is stood for, never written."""
    given = {
        key: STANDS_FOR_A_SECRET if isinstance(value, Mapping) else as_text(value)
        for key, value in data["env"].items()
    }
    fixed = {"VERSION": data["version"], "IMAGE": data["image"], "COMPOSE_PROJECT_NAME": data["name"]}
    return {**given, **{key: str(value) for key, value in fixed.items() if value}}


def as_text(value: object) -> str:
    """A plain value as the environment has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def strings(value: object) -> list[str]:
    """The items of a list as text; nothing for anything else."""
    return [str(item) for item in value] if isinstance(value, list) else []


def entries(service: Plain, key: str) -> list[Plain]:
    """The mappings in a list of the service."""
    value = service.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def mapping(service: Plain, key: str) -> list[tuple[str, Plain]]:
    """The named mappings of a key of the service."""
    value = service.get(key)
    return (
        [(name, item if isinstance(item, dict) else {}) for name, item in value.items()]
        if isinstance(value, dict)
        else []
    )


def inner(value: object, *keys: str) -> Any:
    """The value below the keys; None where something is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
