# GPL-3.0-or-later
"""The boundary to Ansible: its tagged and lazy values become plain ones, and say where they were written.

Origins are Ansible's private tags. Where they are missing, messages name the path only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from .problem import Path, Place
from .size import TOO_LARGE, too_large

try:
    from ansible._internal._datatag._tags import Origin

    _tag: Callable[[object], Any] = Origin.get_tag
except ImportError:  # another ansible-core: no line numbers, nothing else is lost

    def _tag(value: object) -> Any:
        return None


def plain(value: object, name: str) -> tuple[Any, dict[Path, Place]]:
    """The value as plain data, and the file and line of each path below `name`."""
    places: dict[Path, Place] = {}
    return (TOO_LARGE if too_large(value) else _plain(value, (name,), places)), places


def place(value: object) -> str:
    """` (file:line)` of the value, where known."""
    found = _tag(value)
    return f" ({near(found.path)}:{found.line_num})" if found is not None and found.path else ""


def _plain(value: object, path: Path, places: dict[Path, Place]) -> object:
    _note(value, path, places)
    if isinstance(value, Mapping):
        return {
            _key(key, path, places): _plain(inner, (*path, str(key)), places) for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(inner, (*path, index), places) for index, inner in enumerate(value)]
    return _scalar(value)


def _key(key: object, path: Path, places: dict[Path, Place]) -> str:
    text = str(key)
    _note(key, (*path, text), places)
    return text


def _scalar(value: object) -> object:
    """The value without Ansible's tags, which live in subclasses."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return None if value is None else str(value)


def _note(value: object, path: Path, places: dict[Path, Place]) -> None:
    origin = _tag(value)
    if origin is not None and origin.path:
        places[path] = (near(origin.path), origin.line_num)


def near(file: str) -> str:
    """The file as a person would name it from where they stand."""
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative
