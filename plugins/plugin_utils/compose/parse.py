# GPL-3.0-or-later
"""Reads a stack's Compose file, and every file it names, into one View."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from ..forms import mistake
from ..problem import Path, Unshown
from ..words import close_to, kind, listed, quoted
from . import document as documents
from . import interpolate, known, merge, normal
from .document import Document
from .normal import Plain
from .view import SECTIONS, View

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
DEEPEST = 20


@dataclass
class _Reading:
    """The view that grows while files are read."""

    view: View
    variables: Mapping[str, str]
    services: dict[tuple[str, str], Plain] = field(default_factory=dict)


def read(folder: FilePath, label: str, variables: Mapping[str, str]) -> View:
    """The view of the folder's Compose file; `label` is the folder as a person would name it."""
    view = View(folder, label)
    main = next((name for name in NAMES if (folder / name).is_file()), None)
    if main is None:
        view.say((), "there is no compose.yaml in it", "write the stack's Compose file there")
        return view
    reading = _Reading(view, variables)
    _take(reading, main, 0)
    if not view.services and not view.problems:
        view.say(("services",), "there is no service", "write at least one service")
    for found in view.documents.values():
        view.problems.extend(found.problems)
    return view


def _document(reading: _Reading, file: str) -> Document:
    """The file's document, filled in; read once however often it is named."""
    view = reading.view
    if file not in view.documents:
        content = _content(reading, file)
        found = documents.read(f"{view.label}/{file}", content)
        view.documents[file] = found
        if found.data is not None:
            found.data = interpolate.fill(found.data, reading.variables, (), found.say)
        if not found.problems and not isinstance(found.data, dict):
            found.say((), f"found {kind(found.data)}", "write a mapping with the key services")
        found.data = found.data if isinstance(found.data, dict) else {}
        _check_keys(found)
    return view.documents[file]


def _content(reading: _Reading, file: str) -> bytes:
    content = (reading.view.folder / file).read_bytes()
    reading.view.files[file] = content
    return content


def _check_keys(found: Document) -> None:
    data = found.data if isinstance(found.data, dict) else {}
    for key in data:
        if key not in known.TOP and not key.startswith("x-"):
            found.say(
                (key,), f"no such key{close_to(key, known.TOP)}", f"write one of: {listed(sorted(known.TOP))}"
            )
    for section in SECTIONS:
        if data.get(section) is not None and not isinstance(data[section], dict):
            found.say((section,), f"found {kind(data[section])}", "write a mapping by name")
            data[section] = {}


def _take(reading: _Reading, file: str, level: int) -> None:
    """Adds everything one file and its includes define."""
    if level > DEEPEST:
        reading.view.say(("include",), f"files include each other {DEEPEST} deep", "remove the circle")
        return
    found = _document(reading, file)
    data = _sections(found)
    _include(reading, found, file, level)
    for section in SECTIONS:
        for name, value in data[section].items():
            _define(reading, found, file, (section, name), value)


def _sections(found: Document) -> dict[str, Plain]:
    data = found.data if isinstance(found.data, dict) else {}
    return {section: data.get(section) or {} for section in SECTIONS}


def _define(reading: _Reading, found: Document, file: str, path: Path, value: object) -> None:
    section, name = str(path[0]), str(path[1])
    entries = reading.view.section(section)
    odd = mistake("service", name)
    if odd and section == "secrets":
        found.say((section, Unshown(name)), f"this name {odd[0]}", odd[1])
    elif odd:
        found.say(path, f"{quoted(name)} {odd[0]}", odd[1])
    elif name in entries:
        found.say(path, "an included file defines it too", "keep it in one file")
    elif value is not None and not isinstance(value, dict):
        found.say(path, f"found {kind(value)}", "write a mapping")
    else:
        reading.view.origins[path] = file
        entries[name] = (
            _service(reading, file, name, ()) if section == "services" else _based(value or {}, file)
        )


def _based(value: Plain, file: str) -> Plain:
    """A config's or secret's file, relative to the stack's folder."""
    if isinstance(value.get("file"), str):
        return {**value, "file": _rebased(str(value["file"]), file)}
    return value


def _rebased(path: str, file: str) -> str:
    """A relative path of a file in a sub-folder, as the stack's folder sees it; others unchanged."""
    folder = posixpath.dirname(file)
    if path.startswith(("/", "~")) or not folder:
        return path
    return "./" + posixpath.normpath(posixpath.join(folder, path))


def _include(reading: _Reading, found: Document, file: str, level: int) -> None:
    data = found.data if isinstance(found.data, dict) else {}
    entries = data.get("include") or []
    if not isinstance(entries, list):
        found.say(("include",), f"found {kind(entries)}", "write a list of files")
        return
    for index, entry in enumerate(entries):
        for path in _include_paths(found, entry, ("include", index)):
            other = _reachable(reading, found, file, path, ("include", index))
            if other:
                _take(reading, other, level + 1)


def _include_paths(found: Document, entry: object, path: Path) -> list[str]:
    if isinstance(entry, dict):
        for key in entry.keys() - {"path"}:
            found.say((*path, key), "Drover does not read it", "remove it: values go to the stack's env")
        entry = entry.get("path")
    return normal.texts(entry, path, found.say)


def _reachable(reading: _Reading, found: Document, file: str, path: str, at: Path) -> str | None:
    """The other file relative to the stack's folder, if it is there and inside."""
    other = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
    if other.startswith(("..", "/")) or path.startswith("~"):
        found.say(at, f"{quoted(path)} lies outside the stack's folder", "move the file into the folder")
    elif not (reading.view.folder / other).is_file():
        found.say(at, f"there is no file {quoted(path)}", "name a file of the stack's folder")
    else:
        return other
    return None


def _service(reading: _Reading, file: str, name: str, chain: tuple[tuple[str, str], ...]) -> Plain:
    """The service in long form with what it extends beneath it."""
    if (file, name) in reading.services:
        return reading.services[file, name]
    found = _document(reading, file)
    path: Path = ("services", name)
    raw = _sections(found)["services"].get(name) or {}
    if not isinstance(raw, dict):
        return {}
    _check_service_keys(found, raw, path)
    own = _rebase(normal.service(raw, path, found.say), file)
    base = _extended(reading, found, file, name, own.pop("extends", None), (*chain, (file, name)))
    reading.services[file, name] = merge.service(base, own)
    return reading.services[file, name]


def _check_service_keys(found: Document, raw: Plain, path: Path) -> None:
    for key in raw:
        if key in known.NEWER:
            found.say((*path, key), f"Compose {known.OLDEST} does not know it", "remove it")
        elif key not in known.SERVICE and not key.startswith("x-"):
            found.say(
                (*path, key), f"no such key{close_to(key, known.SERVICE)}", "remove it or mend its name"
            )


def _rebase(service: Plain, file: str) -> Plain:
    """The service with its relative paths as the stack's folder sees them.

    A release has its env_files at these paths, so they hold no . and no .. either.
    """
    for mount in _dicts(service.get("volumes")):
        if isinstance(mount.get("source"), str) and mount.get("type") == "bind":
            mount["source"] = _rebased(str(mount["source"]), file)
    for entry in _dicts(service.get("env_file")):
        if isinstance(entry.get("path"), str):
            entry["path"] = posixpath.normpath(_rebased(str(entry["path"]), file))
    return service


def _dicts(value: object) -> list[Plain]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _extended(
    reading: _Reading,
    found: Document,
    file: str,
    name: str,
    extends: object,
    chain: tuple[tuple[str, str], ...],
) -> Plain:
    """The service that this one extends, or nothing."""
    path: Path = ("services", name, "extends")
    if extends is None:
        return {}
    wanted = {"service": extends} if isinstance(extends, str) else extends
    if not isinstance(wanted, dict) or not isinstance(wanted.get("service"), str):
        found.say(
            path, f"found {kind(extends)}", "write {service: name} or {service: name, file: other.yaml}"
        )
        return {}
    other = _reachable(reading, found, file, str(wanted["file"]), path) if wanted.get("file") else file
    return _base(reading, found, (other, str(wanted["service"])), path, chain) if other else {}


def _base(
    reading: _Reading,
    found: Document,
    target: tuple[str, str],
    path: Path,
    chain: tuple[tuple[str, str], ...],
) -> Plain:
    file, name = target
    if target in chain:
        found.say(path, f"{name} extends itself", "remove the circle")
    elif name not in _sections(_document(reading, file))["services"]:
        found.say(path, f"there is no service {quoted(name)} in {file}", "name a service of that file")
    else:
        return _service(reading, file, name, chain)
    return {}
