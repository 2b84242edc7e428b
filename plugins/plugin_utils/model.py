# GPL-3.0-or-later
"""The way in: data of an inventory → stacks without mistakes, or every mistake at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import cast

from . import folders, proxy, shape
from .checks import backups, certificates, run, secrets
from .compose import parse
from .derive import routes
from .problem import Path, Problem
from .schema import PLATFORM, STACK, STACKS
from .size import TOO_LARGE
from .stack import PROXY, Data, Stack, variables
from .words import close_to, listed, quoted

STACKS_NAME = "drover_stacks"
PLATFORM_NAME = "drover_platform"
PROXY_PATH: Path = (PLATFORM_NAME, "proxy")
_FOR_READING = {"name", "state", "compose", "env", "version", "image"}


@dataclass
class Model:
    """The stacks that were understood, those to remove, and what is wrong."""

    platform: Data = field(default_factory=dict)
    stacks: list[Stack] = field(default_factory=list)
    absent: list[Data] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    names: list[tuple[Path, str]] = field(default_factory=list)


def validate(stacks: object, platform: object, roots: Sequence[FilePath]) -> list[Problem]:
    """Every problem of the inventory's data and of the stack files; never raises on plain data."""
    return load(stacks, platform, roots).problems


def load(stacks: object, platform: object, roots: Sequence[FilePath], what: str = "stacks") -> Model:
    """The model; its stacks may be released only if it has no problems.

    roots: where compose folders are. what: `stacks`, or `proxy` for the proxy's own stack.
    """
    model = Model(problems=list(_size({STACKS_NAME: stacks, PLATFORM_NAME: platform})))
    if not model.problems:
        _platform(model, platform)
        _stacks(model, stacks, roots)
        _add_proxy(model, roots)
        model.problems += [*_doubles(model), *run.all_stacks(model.stacks)]
    model.stacks = [stack for stack in model.stacks if (stack.path == PROXY_PATH) == (what == "proxy")]
    model.absent = [] if what == "proxy" else model.absent
    return model


def _size(variables: Data) -> Iterator[Problem]:
    for name, value in variables.items():
        if isinstance(value, str) and value.startswith(TOO_LARGE):
            yield Problem((name,), f"found {value}", "remove the aliases inside aliases")
            return


def _platform(model: Model, platform: object) -> None:
    wrong = list(shape.problems(platform or {}, PLATFORM, (PLATFORM_NAME,)))
    model.platform = cast(Data, shape.filled({} if wrong else platform, PLATFORM))
    model.problems += [*wrong, *_settings(model.platform)]


def _stacks(model: Model, stacks: object, roots: Sequence[FilePath]) -> None:
    if not shape.fits(stacks, STACKS):
        model.problems += shape.problems(stacks, STACKS, (STACKS_NAME,))
        return
    for index, entry in enumerate(cast(list[object], stacks)):
        _add(model, entry, (STACKS_NAME, index), roots)


def _settings(platform: Data) -> Iterator[Problem]:
    yield from secrets.channels(platform, (PLATFORM_NAME, "alerts", "channels"))
    yield from certificates.problems(platform, (*PROXY_PATH, "tls"))
    yield from backups.settings(platform, (PLATFORM_NAME, "backup"))


def _add_proxy(model: Model, roots: Sequence[FilePath]) -> None:
    pages = any(_shows_pages(stack) for stack in model.stacks)
    _add(model, proxy.stack(model.platform, pages), PROXY_PATH, roots)


def _shows_pages(stack: Stack) -> bool:
    """Whether the proxy may have to show a page in its place."""
    return routes.maintained(stack) or bool(stack.data["pages"]["down"])


def _add(model: Model, entry: object, path: Path, roots: Sequence[FilePath]) -> None:
    """One stack: shape first, then its files, then what can be said about both."""
    wrong = list(shape.problems(entry, STACK, path))
    model.problems += wrong
    broken = {str(problem.path[len(path)]) if len(problem.path) > len(path) else "name" for problem in wrong}
    if not broken & _FOR_READING:
        healthy = {key: value for key, value in cast(Data, entry).items() if key not in broken}
        stack = _understood(model, cast(Data, shape.filled(healthy, STACK)), path, roots, broken)
        said = cast(Data, entry).get("backup")
        if stack and isinstance(said, bool):
            at, fix = (*path, "backup"), backups.instead(stack, said)
            model.problems = [replace(each, fix=fix) if each.path == at else each for each in model.problems]


def _understood(
    model: Model, data: Data, path: Path, roots: Sequence[FilePath], broken: set[str]
) -> Stack | None:
    """A stack whose files can be read; `broken` keys are left out of its data."""
    model.names.append((path, data["name"]))
    if data["state"] == "absent":
        model.absent.append(data)
        return None
    if data["data"] == "delete":
        found = Problem(
            (*path, "data"), "found delete for a stack that is present", "write state: absent, or keep"
        )
        model.problems.append(found)
    folder = _folder(model, data, path, roots)
    if folder is None:
        return None
    stack = Stack(path, data, parse.read(folder, folders.label(folder), variables(data)), model.platform)
    model.problems += stack.view.problems
    if not stack.view.services:
        return None
    model.stacks.append(stack)
    model.problems += _further(stack, run.one_stack(stack, broken))
    return stack


def _further(stack: Stack, problems: Iterator[Problem]) -> Iterator[Problem]:
    """The problems at places where reading the files has not already found one."""
    known = {(problem.file, problem.path) for problem in stack.view.problems}
    return (problem for problem in problems if (problem.file, problem.path) not in known)


def _folder(model: Model, data: Data, path: Path, roots: Sequence[FilePath]) -> FilePath | None:
    """The folder of the stack's Compose file; without one of its name, a single image uses `app`."""
    wanted = data["compose"] or data["name"]
    found = folders.found(wanted, roots)
    if found is None and data["image"] and not data["compose"]:
        found = folders.found("app", roots)
    if found is None:
        known = folders.known(roots)
        model.problems.append(
            Problem(
                (*path, "compose"),
                f"there is no folder {quoted(wanted)}{close_to(wanted, known)}",
                f"write compose/{wanted}/compose.yaml in the inventory, or one of: {listed(known)}",
            )
        )
    return found


def _doubles(model: Model) -> Iterator[Problem]:
    """Stacks of the same name, or of the proxy's."""
    seen: dict[str, Path] = {}
    for path, name in model.names:
        if name == PROXY and path[0] == STACKS_NAME:
            yield Problem(
                (*path, "name"), f"{quoted(name)} is the platform's own proxy", "write another name"
            )
        elif name in seen and name != PROXY:
            yield Problem(
                (*path, "name"), f"{quoted(name)} is the name of another stack too", "write another name"
            )
        seen[name] = path
