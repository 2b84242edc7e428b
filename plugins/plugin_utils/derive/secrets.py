# GPL-3.0-or-later
"""Which service reads which secret, as which user: files beside the release, mounted as a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .. import catalogue, paths
from ..compose.normal import Plain
from ..dump import Reset
from ..stack import Stack, entries
from . import environment

TARGET = "/run/secrets"


@dataclass(frozen=True)
class Read:
    """One secret as one service sees it: its name in the data, its file name, the user the file says."""

    source: str
    file: str
    uid: int | None


def reads(stack: Stack, name: str) -> list[Read]:
    """The secrets that the service lists; a stack's only service reads every one that no variable holds."""
    listed = [_read(entry) for entry in entries(stack.view.services[name], "secrets") if entry.get("source")]
    known = {read.source for read in listed} | set(environment.secret(stack, name).values())
    known |= {route["auth"] for route in stack.routes if route["auth"]}
    rest = [secret for secret in stack.data["secrets"] if secret not in known] if stack.single else []
    return [*listed, *(Read(secret, secret, None) for secret in rest)]


def _read(entry: Plain) -> Read:
    source = str(entry["source"])
    target = str(entry.get("target") or source).removeprefix(f"{TARGET}/")
    return Read(source, target, _number(entry.get("uid")))


def _number(value: object) -> int | None:
    found = re.match(r"[0-9]{1,9}(?=:|\Z)", str(value)) if value is not None else None
    return int(found[0]) if found else None


def uids(stack: Stack, name: str) -> set[int]:
    """The users that data and file name for the service's secrets; more than one is a mistake."""
    named = {_data_uid(stack, read.source) for read in reads(stack, name)}
    own = {read.uid for read in reads(stack, name)}
    return {uid for uid in named or own if uid is not None} or {uid for uid in own if uid is not None}


def _data_uid(stack: Stack, source: str) -> int | None:
    value = stack.data["secrets"].get(source)
    return value.get("uid") if isinstance(value, dict) else None


def uid(stack: Stack, name: str) -> int | None:
    """The user that reads the service's secrets; None leaves it to the agent, which asks the image."""
    service = stack.view.services[name]
    said = min(uids(stack, name), default=None)
    user = _number(service.get("user"))
    return (
        said
        if said is not None
        else user
        if user is not None
        else catalogue.secret_reader(service.get("image"))
    )


def value(stack: Stack, source: str) -> str:
    """The secret itself."""
    found = stack.data["secrets"][source]
    return str(found["value"] if isinstance(found, dict) else found)


def override(stack: Stack, name: str) -> Plain:
    """Compose's own mounts give way to the folder's, which `files.override` adds."""
    return {"secrets": Reset()} if stack.view.services[name].get("secrets") else {}


def mount(stack: Stack, name: str) -> list[Plain]:
    """The folder of the service's secrets: alone, a file replaced by renaming would stay old inside."""
    if not reads(stack, name):
        return []
    return [{"type": "bind", "source": paths.secrets(stack.name, name), "target": TARGET, "read_only": True}]
