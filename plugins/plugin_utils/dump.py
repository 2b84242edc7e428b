# GPL-3.0-or-later
"""Writes an override that Compose reads: sorted, stable, with the tags !reset and !override."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

Data = dict[str, Any]
_SAFE = re.compile(r"[A-Za-z_/.][A-Za-z0-9_/. -]*(?<! )\Z")
_WORDS = re.compile(r"(y|n|yes|no|on|off|true|false|null|\.?inf|\.?nan|[._]+)\Z", re.IGNORECASE)

_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")


@dataclass(frozen=True)
class Override:
    """Replaces what the file says instead of adding to it."""

    value: object


@dataclass(frozen=True)
class Reset:
    """Removes what the file says."""


class Verbatim(str):
    """Text whose ${…} Compose shall fill in; all other text has its dollar signs doubled."""


def text(data: object) -> str:
    """The YAML text of a mapping; equal data gives equal bytes."""
    return "".join(f"{line}\n" for line in _mapping(cast(Data, data), ""))


def _mapping(data: Data, margin: str) -> Iterator[str]:
    for key in sorted(data):
        yield from _entry(f"{margin}{_scalar(Verbatim(key))}:", data[key], margin)


def _entry(start: str, value: object, margin: str) -> Iterator[str]:
    """`start` with the value after it, or on lines of its own below."""
    tag, value = _untagged(value)
    if isinstance(value, dict) and value:
        yield start + tag
        yield from _mapping(value, f"{margin}  ")
    elif isinstance(value, list) and value:
        yield start + tag
        for item in value:
            yield from _item(item, f"{margin}  ")
    else:
        yield f"{start}{tag} {_scalar(value)}"


def _item(item: object, margin: str) -> Iterator[str]:
    """One item of a list: a mapping's first key stands behind the dash."""
    lines = (
        list(_mapping(item, f"{margin}  "))
        if isinstance(item, dict) and item
        else [f"{margin}- {_scalar(item)}"]
    )
    yield f"{margin}- {lines[0].lstrip().removeprefix('- ')}"
    yield from lines[1:]


def _untagged(value: object) -> tuple[str, object]:
    if isinstance(value, Reset):
        return " !reset", None
    return (" !override", value.value) if isinstance(value, Override) else ("", value)


def _scalar(value: object) -> str:
    """One value, as YAML 1.1 and 1.2 alike read it; JSON's quoting is YAML's."""
    if not isinstance(value, str):
        return json.dumps(value)
    text = str(value) if isinstance(value, Verbatim) else str(value).replace("$", "$$")
    if _SAFE.match(text) and not _WORDS.match(text):
        return text
    return _BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
