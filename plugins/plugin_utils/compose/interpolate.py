# GPL-3.0-or-later
"""Fills in ${VARIABLES} as Compose does, remembering what stood there."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..problem import Path, Say

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS = (":-", ":?", ":+", "-", "?", "+")


class Text(str):
    """Filled-in text that still knows its raw form and the variables in it."""

    raw: str
    names: frozenset[str]

    def __new__(cls, text: str, raw: str, names: frozenset[str] = frozenset()) -> Text:
        """Text as Compose sees it, beside the text as the file has it."""
        made = super().__new__(cls, text)
        made.raw, made.names = raw, names
        return made


def raw(value: object) -> object:
    """The value as the file has it."""
    return value.raw if isinstance(value, Text) else value


def names(value: object) -> frozenset[str]:
    """The variables that stand in the value."""
    return value.names if isinstance(value, Text) else frozenset()


class UnsetError(Exception):
    """A variable without a value and without a default."""


class MalformedError(Exception):
    """A dollar sign that begins nothing."""


def fill(value: object, variables: Mapping[str, str], path: Path, say: Say) -> object:
    """The value with every text in it filled in; keys stay as they are."""
    if isinstance(value, dict):
        return {key: fill(inner, variables, (*path, key), say) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, variables, (*path, index), say) for index, inner in enumerate(value)]
    return _text(value, variables, path, say) if isinstance(value, str) and "$" in value else value


def _text(text: str, variables: Mapping[str, str], path: Path, say: Say) -> Text:
    used: set[str] = set()
    try:
        return Text(substitute(text, variables, used), text, frozenset(used))
    except UnsetError as unset:
        say(path, f"${{{unset}}} has no value", _advice(str(unset)))
    except MalformedError:
        say(path, "it holds a $ that begins no variable", "write $$ for a plain dollar sign")
    return Text(text, text, frozenset(used))


def _advice(name: str) -> str:
    if name in {"VERSION", "IMAGE"}:
        return f"write {name.lower()} for the stack"
    return f"write {name} under the stack's env, or a default: ${{{name}:-value}}"


def substitute(text: str, variables: Mapping[str, str], used: set[str]) -> str:
    """The text filled in; the names met are added to `used`."""
    done, rest = "", text
    while "$" in rest:
        before, _, rest = rest.partition("$")
        found, rest = _one(rest, variables, used)
        done += before + found
    return done + rest


def _one(rest: str, variables: Mapping[str, str], used: set[str]) -> tuple[str, str]:
    """What stands after a dollar sign: (its text, the rest)."""
    if rest.startswith("$"):
        return "$", rest[1:]
    if rest.startswith("{"):
        end = _closing(rest)
        return _braced(rest[1:end], variables, used), rest[end + 1 :]
    name = _NAME.match(rest)
    if not name:
        raise MalformedError
    return _value(name[0], variables, used), rest[name.end() :]


def _closing(rest: str) -> int:
    depth = 0
    for index, char in enumerate(rest):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if depth == 0:
            return index
    raise MalformedError


def _braced(inside: str, variables: Mapping[str, str], used: set[str]) -> str:
    name = _NAME.match(inside)
    if not name:
        raise MalformedError
    rest = inside[name.end() :]
    operator = next((operator for operator in _OPERATORS if rest.startswith(operator)), None)
    if not rest or operator is None:
        return _value(name[0], variables, used) if not rest else _malformed()
    return _operated(name[0], operator, rest[len(operator) :], variables, used)


def _malformed() -> str:
    raise MalformedError


def _operated(name: str, operator: str, argument: str, variables: Mapping[str, str], used: set[str]) -> str:
    value = variables.get(name)
    there = bool(value) if operator.startswith(":") else value is not None
    used.add(name)
    if operator.endswith("?"):
        return _value(name, variables if there else {}, used)
    if operator.endswith("+"):
        return substitute(argument, variables, used) if there else ""
    return str(value) if there else substitute(argument, variables, used)


def _value(name: str, variables: Mapping[str, str], used: set[str]) -> str:
    used.add(name)
    if name not in variables:
        raise UnsetError(name)
    return variables[name]
