"""The commented sample of an inventory: every key of the schema with its meaning and an example."""

# GPL-3.0-or-later

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from ansible_collections.drover.platform.plugins.plugin_utils.key import Key


def written(name: str, key: Key, note: str) -> str:
    """The file of one variable; `note` says who wrote it."""
    return "\n".join(["---", note.rstrip(), f"# {key.about}", f"{name}:", *sample(key, 1)]) + "\n"


def sample(key: Key, level: int) -> Iterator[str]:
    """The lines of a key's inside."""
    if key.kind == "list" and key.items:
        yield from dashed(list(sample(key.items, level + 1)), level)
    elif key.kind == "map" and key.items:
        yield line(f"{key.sample_name}:", level)
        yield from sample(key.items, level + 1)
    for name, inner in key.keys.items():
        yield from entry(name, inner, level)


def dashed(lines: list[str], level: int) -> Iterator[str]:
    """A list's item: its first key carries the dash, and comments before it stand where the dash does."""
    first = next(index for index, text in enumerate(lines) if not text.lstrip().startswith("#"))
    yield from ("  " * level + text.lstrip() for text in lines[:first])
    yield "  " * level + "- " + lines[first].lstrip()
    yield from lines[first + 1 :]


def entry(name: str, key: Key, level: int) -> Iterator[str]:
    """One key: its meaning as a comment, then an example of it, commented out where it is none to keep."""
    margin = "  " * level
    yield from (f"{margin}# {text}" for text in textwrap.wrap(key.about + notes(key), 100 - len(margin)))
    lines = list(example(name, key, level))
    kept = key.in_sample and has_example(key)
    yield from (text if kept else f"{margin}# {text.removeprefix(margin)}" for text in lines)


def example(name: str, key: Key, level: int) -> Iterator[str]:
    if isinstance(key.example, dict | list):
        yield line(f"{name}:", level)
        yield from (line(text, level + 1) for text in flat(key.example))
    elif key.example is not None:
        yield line(f"{name}: {json.dumps(key.example)}", level)
    else:
        yield line(f"{name}:", level)
        yield from sample(key, level + 1) if has_example(key) else ()


def has_example(key: Key) -> bool:
    inside = [*key.keys.values(), *([key.items] if key.items else [])]
    return key.example is not None or (key.supported and any(has_example(inner) for inner in inside))


def flat(values: dict[str, Any] | list[Any]) -> Iterator[str]:
    if isinstance(values, dict):
        yield from (f"{name}: {json.dumps(value)}" for name, value in values.items())
    else:
        yield from (f"- {json.dumps(value)}" for value in values)


def notes(key: Key) -> str:
    """Choices, default, and whether it must or cannot be given."""
    found = [
        "required" if key.required else "",
        f"one of: {', '.join(key.choices)}" if key.choices else "",
        f"default: {key.default}" if key.default else "",
        "" if key.supported else "not supported yet",
    ]
    return f" ({'; '.join(note for note in found if note)})" if any(found) else ""


def line(text: str, level: int) -> str:
    return "  " * level + text
