# GPL-3.0-or-later
"""One short text for all that makes a service's containers what they are."""

from __future__ import annotations

import hashlib
import json

from .. import dump
from ..compose.interpolate import raw
from ..compose.normal import Plain
from ..stack import Stack, entries, mapping, variables
from . import environment, files, override


def of(stack: Stack, name: str) -> str:
    """12 hexadecimal digits over all that the platform knows of the service.

    Secrets are not in it, nor how many containers there are.
    """
    read = [str(entry["path"]) for entry in entries(stack.view.services[name], "env_file")]
    known = [
        _one(stack.view.services[name]),
        dump.text(override.service(stack, name)),
        [what.digest for what in files.everything(stack, name)],
        [_env_file(stack, path) for path in read],
        {key: variables(stack.data)[key] for key in environment.wanted(stack, name).values()},
        {
            key: value
            for key, value in variables(stack.data).items()
            if environment.reads_dotenv(stack.view.services[name])
        },
        {key: stack.view.networks.get(key) for key, _ in mapping(stack.view.services[name], "networks")},
    ]
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=raw).encode()).hexdigest()[:12]


def _one(service: Plain) -> Plain:
    """The service without what Compose leaves out of its own hash too."""
    plain = {key: value for key, value in service.items() if key != "scale"}
    deploy = plain.get("deploy")
    if isinstance(deploy, dict):
        plain["deploy"] = {key: value for key, value in deploy.items() if key != "replicas"}
    return plain


def _env_file(stack: Stack, path: str) -> str:
    file = stack.view.folder / path
    there = path != environment.DOTENV and file.is_file()
    return hashlib.sha256(file.read_bytes()).hexdigest() if there else ""
