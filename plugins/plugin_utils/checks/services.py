# GPL-3.0-or-later
"""Services that the data or other services name are there."""

from __future__ import annotations

from collections.abc import Iterator

from ..derive import replicas
from ..derive.backups import ENGINES, LABEL
from ..derive.environment import DOTENV
from ..problem import Path, Problem
from ..stack import Stack, entries, inner, mapping, strings
from ..words import close_to, listed, quoted

OURS = "drover."  # labels by which the agent knows containers
NEEDS = frozenset({"limits", "allow", "profiles"})


def unknown(stack: Stack, path: Path, name: str) -> Iterator[Problem]:
    """A problem if no service of the name runs."""
    known = listed(stack.services)
    if name in stack.view.services and name not in stack.services:
        profiles = listed(strings(stack.view.services[name].get("profiles")))
        yield stack.problem(
            path, f"{quoted(name)} starts only with a profile", f"write profiles: [{profiles}]"
        )
    elif name not in stack.services:
        yield stack.problem(
            path,
            f"there is no service {quoted(name)} in {stack.view.label}{close_to(name, stack.services)}",
            f"write one of: {known}",
        )


def runs_once(stack: Stack, path: Path, name: str) -> Iterator[Problem]:
    """A problem if the service ends by itself, so that nothing would answer there."""
    if name in stack.oneshots:
        why = "another service awaits its end" if name in stack.awaited else 'it has restart: "no"'
        fix = (
            "lead to another service"
            if name in stack.awaited
            else "write restart: unless-stopped in the file"
        )
        yield stack.problem(path, f"{quoted(name)} runs once: {why}", fix)


def problems(stack: Stack) -> Iterator[Problem]:
    """Limits and exceptions name services, profiles exist, dependencies run, env_files are there."""
    for key in ("limits", "allow"):
        for name in stack.data[key]:
            if name not in stack.view.services:
                yield from unknown(stack, (key, name), name)
    yield from _profiles(stack)
    for name in stack.services:
        yield from _dependencies(stack, name)
    for name, service in stack.view.services.items():
        yield from _replicas(stack, name)
        yield from _labels(stack, name)
        for index, entry in enumerate(entries(service, "env_file")):
            required = name in stack.services and entry.get("required") is not False
            file = str(entry.get("path") or "")
            yield from _env_file(stack, ("services", name, "env_file", index), file, required)


def _profiles(stack: Stack) -> Iterator[Problem]:
    known = {
        profile for service in stack.view.services.values() for profile in strings(service.get("profiles"))
    }
    for index, profile in enumerate(stack.data["profiles"]):
        if profile not in known:
            yield stack.problem(
                ("profiles", index),
                f"no service has the profile {quoted(profile)}",
                f"write one of: {listed(sorted(known))}" if known else "remove it",
            )


def _replicas(stack: Stack, name: str) -> Iterator[Problem]:
    key, number = replicas.written(stack.view.services[name])
    if number is not None and not replicas.readable(number):
        yield stack.view.problem(
            ("services", name, *key.split(".")),
            f"found {quoted(number)}",
            f"write a whole number from 0 to {replicas.MOST}",
        )


def _labels(stack: Stack, name: str) -> Iterator[Problem]:
    for key, _ in mapping(stack.view.services[name], "labels"):
        if key == LABEL:
            yield from _engine(stack, ("services", name, "labels", key))
        elif key.startswith(OURS):
            found = f"labels that begin with {quoted(OURS)} are the platform's"
            yield stack.view.problem(("services", name, "labels", key), found, "give it another name")


def _engine(stack: Stack, path: Path) -> Iterator[Problem]:
    """A problem if the label that names a database's engine names none."""
    said = inner(stack.view.services[str(path[1])], "labels", LABEL)
    if said not in ENGINES:
        found = f"found {quoted(said)}{close_to(str(said), ENGINES)}"
        yield stack.view.problem(path, found, f"write one of: {listed(ENGINES)}")


def _dependencies(stack: Stack, name: str) -> Iterator[Problem]:
    for other, how in mapping(stack.view.services[name], "depends_on"):
        if other not in stack.services and how.get("required") is not False:
            yield stack.view.problem(
                ("services", name, "depends_on", other),
                "no service of this name starts",
                f"write one of: {listed(stack.services)}",
            )


def _env_file(stack: Stack, path: Path, file: str, required: bool) -> Iterator[Problem]:
    source = stack.view.folder / file
    if file.startswith(("/", "~")) or not source.resolve().is_relative_to(stack.view.folder.resolve()):
        yield stack.view.problem(
            path, f"{quoted(file)} lies outside the stack's folder", "move the file into the folder"
        )
    elif file == DOTENV:
        return
    elif source.is_file():
        yield from _text_file(stack, path, file, source.read_bytes())
    elif required:
        yield stack.view.problem(
            path,
            f"there is no file {quoted(file)}",
            "add it, or remove it and write its values under the stack's env",
        )


def _text_file(stack: Stack, path: Path, file: str, content: bytes) -> Iterator[Problem]:
    """Compose would read other bytes too, but hands them to Docker as JSON, which replaces them."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        found = f"byte {error.start} of {quoted(file)} is not UTF-8"
        yield stack.view.problem(path, found, "save the file as UTF-8")
