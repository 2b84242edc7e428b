# GPL-3.0-or-later
"""A release: every file that makes one state of a stack, and the manifest that the agent reads.

Its name is a hash of what it holds. Secrets are not part of it, so a rotated one keeps the release.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from . import dump
from .compose.interpolate import raw
from .derive import environment, files, health, networks, override, replicas, secrets
from .derive.files import Shipped
from .stack import Data, Stack, entries, mapping, variables

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


def build(stack: Stack) -> Release:
    """The release of a stack that has no problems."""
    content = {
        **_read_by_compose(stack),
        "platform.yaml": override.text(stack).encode(),
        environment.DOTENV: environment.dotenv(stack).encode(),
    }
    unnamed = manifest(stack)
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


def manifest(stack: Stack) -> Data:
    """The stack in plain data, as the agent wants it; without the release's own name."""
    return {
        "format": FORMAT,
        "stack": stack.name,
        "version": stack.data["version"],
        "file": environment.main_file(stack),
        "services": {name: _service(stack, name) for name in sorted(stack.services)},
        "routes": [
            {key: route[key] for key in ("path", "service", "port", "health")}
            | {"host": route["host"].lower()}
            for route in sorted(stack.routes, key=lambda route: (route["host"], route["path"]))
        ],
        "networks": networks.joined_public(stack),
        "data_folders": sorted(
            {folder for name in stack.view.services for folder in _data_folders(stack, name)}
        ),
    }


def _data_folders(stack: Stack, name: str) -> list[str]:
    mounts = [
        mount for mount in entries(stack.view.services[name], "volumes") if not files.source_of(stack, mount)
    ]
    return [folder for mount in mounts if (folder := files.data_folder(mount))]


def _service(stack: Stack, name: str) -> Data:
    service = stack.view.services[name]
    return {
        "digest": digest(stack, name),
        "image": str(service.get("image")),
        "kind": "oneshot" if name in stack.oneshots else "service",
        "replicas": replicas.wanted(service),
        "health": health.probe(stack, name),
        "secrets": sorted(read.file for read in secrets.reads(stack, name)),
        "secret_env": sorted(environment.secret(stack, name)),
        "uid": secrets.uid(stack, name),
    }


def digest(stack: Stack, name: str) -> str:
    """12 hexadecimal digits over all that the platform knows of the service; secrets are not in it."""
    read = [str(entry["path"]) for entry in entries(stack.view.services[name], "env_file")]
    known = [
        stack.view.services[name],
        dump.text(override.service(stack, name)),
        [what.digest for what in files.everything(stack, name)],
        [_env_file(stack, path) for path in read],
        {
            key: value
            for key, value in variables(stack.data).items()
            if environment.reads_dotenv(stack.view.services[name])
        },
        {key: stack.view.networks.get(key) for key, _ in mapping(stack.view.services[name], "networks")},
    ]
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=raw).encode()).hexdigest()[:12]


def _env_file(stack: Stack, path: str) -> str:
    file = stack.view.folder / path
    there = path != environment.DOTENV and file.is_file()
    return hashlib.sha256(file.read_bytes()).hexdigest() if there else ""


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
