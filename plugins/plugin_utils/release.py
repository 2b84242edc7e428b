# GPL-3.0-or-later
"""A release: every file that makes one state of a stack, and the manifest that the agent reads.

Its name is a hash of what it holds. Secrets are not part of it, so a rotated one keeps the release.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from . import proxy
from .derive import (
    backups,
    digest,
    environment,
    files,
    health,
    networks,
    order,
    override,
    replicas,
    routes,
    secrets,
    smoke,
    workers,
)
from .derive.files import Shipped
from .stack import PROXY, Data, Stack, entries

FORMAT = 1


@dataclass(frozen=True)
class Release:
    """One stack made ready: its files, what it ships beside them, and its secrets by service and file."""

    stack: str
    identity: str
    manifest: Data
    files: Mapping[str, bytes]
    shipped: tuple[Shipped, ...]
    secrets: Mapping[str, Mapping[str, str]]
    secret_env: Mapping[str, str]
    users: Mapping[str, str]  # files of users by secret
    pages: Mapping[str, bytes]  # what the proxy shows in the stack's place
    certificates: Mapping[str, str]  # those that were given, with the proxy's own stack


def build(stack: Stack) -> Release:
    """The release of a stack that has no problems."""
    digests = {name: digest.of(stack, name) for name in stack.view.services}
    content = {
        **_read_by_compose(stack),
        "platform.yaml": override.text(stack, digests).encode(),
        environment.DOTENV: environment.dotenv(stack).encode(),
    }
    unnamed = manifest(stack, digests)
    identity = _identity({**content, "manifest.json": _json(unnamed)})
    named = {**unnamed, "release": identity}
    unique = {what.digest: what for name in stack.view.services for what in files.everything(stack, name)}
    return Release(
        stack.name,
        identity,
        named,
        {**content, "manifest.json": _json(named)},
        tuple(unique[digest] for digest in sorted(unique)),
        _secret_files(stack),
        _secret_env(stack),
        routes.users(stack),
        routes.pages(stack),
        proxy.certificates(stack.platform) if stack.name == PROXY else {},
    )


def _read_by_compose(stack: Stack) -> dict[str, bytes]:
    """The Compose files and the env_files they name, at their own relative paths."""
    named = {
        str(entry["path"])
        for service in stack.view.services.values()
        for entry in entries(service, "env_file")
    }
    there = {path for path in named if path != environment.DOTENV and (stack.view.folder / path).is_file()}
    return {**stack.view.files, **{path: (stack.view.folder / path).read_bytes() for path in sorted(there)}}


def _identity(content: Mapping[str, bytes]) -> str:
    total = hashlib.sha256()
    for path in sorted(content):
        total.update(f"{path}\0640\0{len(content[path])}\0".encode() + content[path])
    return total.hexdigest()[:16]


def _json(data: Data) -> bytes:
    return (json.dumps(data, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def manifest(stack: Stack, digests: Mapping[str, str]) -> Data:
    """The stack in plain data, as the agent wants it; without the release's own name."""
    deploy, tests = stack.data["deploy"], smoke.tests(stack)
    return {
        "format": FORMAT,
        "stack": stack.name,
        "version": stack.data["version"],
        "file": environment.main_file(stack),
        "services": {
            name: {"digest": digests[name], **_service(stack, name)} for name in sorted(stack.services)
        },
        "deploy": {
            **{key: deploy[key] for key in ("timeout", "soak", "drain")},
            **{key: [_command(entry) for entry in deploy[key]] for key in ("before", "after")},
            **({"backup": True} if deploy["backup"] == "before" else {}),
        },
        "routes": routes.manifest(stack),
        **routes.shown(stack),
        **({"proxy": proxy.manifest(stack.platform)} if stack.name == PROXY else {}),
        "networks": networks.joined_public(stack),
        "backups": backups.jobs(stack),
        **workers.parts(stack),
        **({"smoke": tests} if tests else {}),
        "data_folders": sorted(
            {folder for name in stack.view.services for folder in _data_folders(stack, name)}
        ),
    }


def _command(entry: Data) -> Data:
    return {"service": entry["service"], "command": shlex.split(entry["command"])}


def _data_folders(stack: Stack, name: str) -> list[str]:
    mounts = [
        mount for mount in entries(stack.view.services[name], "volumes") if not files.source_of(stack, mount)
    ]
    return [folder for mount in mounts if (folder := files.data_folder(mount))]


def _service(stack: Stack, name: str) -> Data:
    service = stack.view.services[name]
    return {
        "image": str(service.get("image")),
        "kind": "oneshot" if name in stack.oneshots else "service",
        "order": order.of(stack, name),
        "replicas": replicas.wanted(service),
        "health": health.probe(stack, name),
        "secrets": sorted(read.file for read in secrets.reads(stack, name)),
        "secret_env": sorted(environment.secret(stack, name)),
        "uid": secrets.uid(stack, name),
        **({"always": True} if name in workers.always(stack) else {}),
        **({"worker": True} if workers.is_worker(stack, name) else {}),
    }


def _secret_files(stack: Stack) -> dict[str, dict[str, str]]:
    found = {
        name: {read.file: secrets.value(stack, read.source) for read in secrets.reads(stack, name)}
        for name in stack.services
    }
    return {name: contents for name, contents in found.items() if contents}


def _secret_env(stack: Stack) -> dict[str, str]:
    """Service → the lines of its secret variables."""
    found = {name: environment.secret(stack, name) for name in stack.services}
    return {
        name: "".join(
            environment.line(variable, secrets.value(stack, hidden[variable])) for variable in sorted(hidden)
        )
        for name, hidden in found.items()
        if hidden
    }
