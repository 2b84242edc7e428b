# GPL-3.0-or-later
"""Variables of the data are read by a service, and secret ones stay out of every other text."""

from __future__ import annotations

from collections.abc import Iterator

from ..derive.environment import reads_dotenv, wanted
from ..problem import Path, Problem
from ..stack import Stack
from ..words import listed, unwritable

NEEDS = frozenset({"env", "secrets"})
_OURS = ("COMPOSE_", "DOCKER_", "DROVER_")


def problems(stack: Stack) -> Iterator[Problem]:
    """Names of Compose's own, variables nobody reads, secrets nobody has, secrets inside other text."""
    read = {variable for _, variable in stack.view.variables()}
    read |= {key for name in stack.view.services for key in wanted(stack, name).values()}
    everything = any(reads_dotenv(service) for service in stack.view.services.values())
    for key in stack.data["env"]:
        if key in {"VERSION", "IMAGE"} or key.startswith(_OURS):
            yield stack.problem(("env", key), "the platform sets this name itself", "write another name")
        elif key not in read and not everything:
            yield stack.problem(
                ("env", key),
                f"no service of {stack.view.label} reads it",
                f"name {key} under a service's environment:, or remove it",
            )
        if unwritable(str(stack.data["env"][key])):
            found = f"it holds {unwritable(str(stack.data['env'][key]))}"
            yield stack.problem(("env", key), found, "remove the character")
        yield from _secret(stack, key)


def _secret(stack: Stack, key: str) -> Iterator[Problem]:
    secret = stack.secret_name(key)
    if secret is None:
        return
    if secret not in stack.data["secrets"]:
        # Not quoted: it may be the secret itself, typed where its name belongs.
        known = f"one of: {listed(stack.data['secrets'])}" if stack.data["secrets"] else "its name"
        yield stack.problem(
            ("env", key, "secret"),
            "no secret under the stack's secrets has this name",
            f"write {known}; the value itself belongs under secrets",
        )
    for path, variable in stack.view.variables():
        if variable == key and not _whole(stack, path, key):
            yield stack.view.problem(
                path,
                f"the secret ${{{key}}} is part of another text",
                f"write the whole text as a secret of its own, or only {key}: ${{{key}}}",
            )


def _whole(stack: Stack, path: Path, key: str) -> bool:
    """Whether the path is a service's variable that holds the key and nothing else."""
    return (
        len(path) == 4
        and path[0] == "services"
        and path[2] == "environment"
        and wanted(stack, str(path[1])).get(str(path[3])) == key
    )
