# GPL-3.0-or-later
"""The release's .env, and the variables each service reads; secret ones are kept beside the release."""

from __future__ import annotations

import re

from .. import paths
from ..compose.interpolate import names, raw
from ..compose.normal import Plain
from ..dump import Override, Verbatim
from ..stack import Stack, entries, variables

DOTENV = ".env"


def wanted(stack: Stack, name: str) -> dict[str, str]:
    """Variable inside the container → key of the stack's env, for every key the service reads whole."""
    service = stack.view.services[name]
    found = {
        variable: key
        for variable, value in _environment(service).items()
        if (key := _whole(variable, value) or "") in stack.data["env"]
    }
    if stack.single or reads_dotenv(service):
        rest = (
            set(stack.data["env"]) - set(found.values()) - set(() if stack.single else _environment(service))
        )
        return {**{key: key for key in sorted(rest)}, **found}
    return found


def reads_dotenv(service: Plain) -> bool:
    """Whether the service's env_file is the .env beside the file, which the release writes anew."""
    return any(entry.get("path") == DOTENV for entry in entries(service, "env_file"))


def secret(stack: Stack, name: str) -> dict[str, str]:
    """Variable inside the container → the secret it holds."""
    named = {variable: stack.secret_name(key) for variable, key in wanted(stack, name).items()}
    return {variable: secret for variable, secret in named.items() if secret}


def override(stack: Stack, name: str) -> Plain:
    """Environment and env_file, where the service reads a secret or is the stack's only one."""
    hidden = secret(stack, name)
    environment = _environment(stack.view.services[name])
    own = {variable: Verbatim(f"${{{key}}}") for variable, key in wanted(stack, name).items() if stack.single}
    shown = {key: _verbatim(value) for key, value in {**environment, **own}.items() if key not in hidden}
    file = f"{paths.secrets(stack.name, name)}.env"
    changed = bool(own) or bool(hidden.keys() & environment.keys())
    return {
        **({"environment": Override(shown)} if changed else {}),
        # Not required, since Compose judges a release before its secrets are there; the agent requires it.
        **({"env_file": [{"path": file, "required": False}]} if hidden else {}),
    }


def dotenv(stack: Stack) -> str:
    """The release's .env: with it, plain `docker compose up -d` in the folder does the same again."""
    settings = {
        "COMPOSE_PROJECT_NAME": stack.name,
        "COMPOSE_FILE": f"{main_file(stack)}:platform.yaml",
        "COMPOSE_PROFILES": ",".join(stack.data["profiles"]),
    }
    lines = {**variables(stack.data), **{key: value for key, value in settings.items() if value}}
    return "".join(line(key, lines[key]) for key in sorted(lines))


def main_file(stack: Stack) -> str:
    """The name of the stack's Compose file in its folder."""
    return next(iter(stack.view.files), "compose.yaml")


def line(key: str, value: str) -> str:
    """One line as Compose reads it back: quoted, with its dollar signs and line ends escaped."""
    if re.fullmatch(r"[A-Za-z0-9_./:@%+,=-]*", value):
        return f"{key}={value}\n"
    escaped = re.sub(r'([\\"$])', r"\\\1", value).replace("\n", "\\n").replace("\r", "\\r")
    return f'{key}="{escaped}"\n'


def _environment(service: Plain) -> Plain:
    value = service.get("environment")
    return value if isinstance(value, dict) else {}


def _whole(variable: str, value: object) -> str | None:
    """The one key that the value consists of: bare, `${KEY}`, or `${KEY:-default}` and the like."""
    if value is None:
        return variable
    only = re.fullmatch(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?[-?].*)?\})", str(raw(value)), re.DOTALL)
    return (only[1] or only[2]) if only and names(value) else None


def _verbatim(value: object) -> object:
    return Verbatim(str(raw(value))) if isinstance(value, str) else value
