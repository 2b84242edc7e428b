# GPL-3.0-or-later
"""What both actions do with Ansible's arguments and variables. Still without importing Ansible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import aws as clouds
from . import model as models
from . import origin, size
from .forms import mistake
from .problem import Problem, located
from .stack import Data

COLLECTION = Path(__file__).resolve().parents[2]
_NOT_DATA = {"hostvars", "groups", "vars", "environment", "omit"}


def finalized(name: str, value: Any, templar: Any, finalize: Callable[..., Any], context: Any) -> Any:
    """The argument as Ansible makes it of the task's text, unless a variable behind it is a YAML bomb."""
    for key, variable in _variables(templar).items():
        if key not in _NOT_DATA and not key.startswith("ansible_") and size.too_large(variable):
            return f"{size.TOO_LARGE} in {key}{origin.place(variable)}"
    return finalize(name, value, templar, context)


def _variables(templar: Any) -> Mapping[str, Any]:
    return getattr(templar, "available_variables", None) or {}


def model(arguments: Mapping[str, Any], task_vars: Mapping[str, Any]) -> models.Model:
    """The model of a task's arguments, its problems placed in the inventory's files."""
    stacks, stack_places = origin.plain(arguments.get("stacks") or [], models.STACKS_NAME)
    platform, platform_places = origin.plain(arguments.get("platform") or {}, models.PLATFORM_NAME)
    what = "proxy" if arguments.get("what") == "proxy" else "stacks"
    found = models.load(stacks, platform, roots(task_vars), what)
    placed = located(found.problems, {**stack_places, **platform_places})
    found.problems = [_named(problem, stacks) for problem in placed]
    return found


def aws(arguments: Mapping[str, Any]) -> tuple[Data, list[Problem]]:
    """What the inventory says of AWS, complete, and its problems placed in the inventory's files."""
    given, places = origin.plain(arguments.get("aws"), clouds.NAME)
    found, problems = clouds.load(given)
    return found, located(problems, places)


def _named(problem: Problem, stacks: Any) -> Problem:
    """The problem with its stack's name in place of its number in the list."""
    if len(problem.path) < 2 or problem.path[0] != models.STACKS_NAME or not isinstance(problem.path[1], int):
        return problem
    entry = stacks[problem.path[1]]
    name = entry.get("name") if isinstance(entry, dict) else None
    return (
        replace(problem, path=(name, *problem.path[2:]))
        if isinstance(name, str) and mistake("name", name) is None
        else problem
    )


def roots(task_vars: Mapping[str, Any]) -> list[Path]:
    """Where compose folders are looked for: beside the inventory, then in this collection."""
    inventory = task_vars.get("inventory_dir")
    return [*([Path(str(inventory)) / "compose"] if inventory else []), COLLECTION / "compose"]


def report(problems: Iterable[Problem]) -> str:
    """All problems, one a line, in the order of files and lines."""
    lines = list(dict.fromkeys(str(problem) for problem in sorted(problems, key=_order)))
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    return "\n".join([f"The inventory has {count}; nothing was changed.", *lines])


def _order(problem: Problem) -> tuple[str, int]:
    return problem.file or "", problem.line or 0
