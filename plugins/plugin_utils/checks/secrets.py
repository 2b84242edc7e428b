# GPL-3.0-or-later
"""Secrets have values, and each is read by somebody, as one user."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..derive import environment, secrets
from ..derive.files import data_folder
from ..placeholder import why_not
from ..problem import Path, Problem
from ..stack import Data, Stack, entries
from ..words import listed, quoted, unwritable

NEEDS = frozenset({"secrets", "env", "profiles", "routes", "host", "port", "health"})
_LONGEST = 64 * 1024


def channels(platform: Data, path: Path) -> Iterator[Problem]:
    """Alert channels are secrets too."""
    for index, channel in enumerate(platform["alerts"]["channels"]):
        wrong = why_not(channel)
        if wrong:
            yield Problem((*path, index), f"found {wrong}", "write an Apprise URL from a lookup or a vault")


def problems(stack: Stack) -> Iterator[Problem]:
    """Empty and placeholder values, secrets nobody reads, and files that ask for one nobody gave."""
    read = {read.source for name in stack.services for read in secrets.reads(stack, name)}
    read |= {secret for name in stack.services for secret in environment.secret(stack, name).values()}
    read |= {route["auth"] for route in stack.routes if route["auth"]}
    for name in stack.data["secrets"]:
        yield from _value(stack, name)
        if name not in read:
            yield stack.problem(
                ("secrets", name),
                f"no service of {stack.view.label} reads it",
                f"list {name} under a service's secrets:, or remove it",
            )
    for name in stack.services:
        yield from _service(stack, name)


def _value(stack: Stack, name: str) -> Iterator[Problem]:
    value = secrets.value(stack, name)
    wrong = why_not(value)
    if wrong:
        yield stack.problem(
            ("secrets", name), f"found {wrong}", "write the real value, from a lookup or a vault"
        )
    elif len(value) > _LONGEST or unwritable(value):
        yield stack.problem(
            ("secrets", name),
            "found a control character, or a very long value",
            f"write text of at most {_LONGEST} characters",
        )


def _service(stack: Stack, name: str) -> Iterator[Problem]:
    path = ("services", name, "secrets")
    for read in secrets.reads(stack, name):
        if read.source not in stack.data["secrets"]:
            # A name that the file defines is no value typed by mistake.
            name_of_it = read.source if read.source in stack.view.secrets else ""
            yield stack.view.problem(
                path,
                f"the stack's data has no secret {quoted(name_of_it) if name_of_it else 'it lists'}",
                f"write secrets: {{{name_of_it or 'NAME'}: …}} in the inventory",
            )
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", read.file):
            yield stack.view.problem(
                path,
                f"a secret's target, or its name, is no file of {secrets.TARGET}",
                "write a plain file name as target",
            )
    yield from _one_folder(stack, name, path)


def _one_folder(stack: Stack, name: str, path: Path) -> Iterator[Problem]:
    """The folder has one owner, one file per name, and its place to itself."""
    reads = secrets.reads(stack, name)
    if len({read.file for read in reads}) < len(reads):
        yield stack.view.problem(
            path, "two secrets have the same target", "write another target for one of them"
        )
    if len(secrets.uids(stack, name)) > 1:
        found = listed(map(str, sorted(secrets.uids(stack, name))))
        yield stack.view.problem(
            path, f"its secrets belong to several users ({found})", "write one uid for all of them"
        )
    for mount in entries(stack.view.services[name], "volumes") if reads else ():
        if str(mount.get("target")).rstrip("/") == secrets.TARGET:
            yield stack.view.problem(
                ("services", name, "volumes"),
                f"it mounts {data_folder(mount) or 'something'} at {secrets.TARGET}",
                "remove the mount: the secrets are there",
            )
