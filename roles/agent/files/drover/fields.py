# GPL-3.0-or-later
"""Single values of a manifest, read strictly: a DroverError names the key that is not as it has to be."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from drover.run import DroverError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
SERVICE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")


def get(raw: Mapping[str, Any], key: str, kind: type[Any], where: str) -> Any:
    """The value, which must be of that type."""
    if not isinstance(raw.get(key), kind):
        raise DroverError(f"{where}: {key}: found {raw.get(key)!r:.80}, not a {kind.__name__}")
    return raw[key]


def text(raw: Mapping[str, Any], key: str, pattern: re.Pattern[str], where: str) -> str:
    """The text, the whole of which the pattern matches."""
    value = raw.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise DroverError(f"{where}: {key}: found {value!r:.80}")
    return value


def number(raw: Mapping[str, Any], key: str, low: int, high: int, where: str) -> int:
    """The whole number between the two bounds."""
    value = raw.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise DroverError(f"{where}: {key}: found {value!r:.80}, not a number from {low} to {high}")
    return value


def flag(raw: Mapping[str, Any], key: str, where: str) -> bool:
    """True or false; false where nothing is said."""
    return bool(get(raw, key, bool, where)) if key in raw else False


def ranges(raw: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """Address ranges, written as their networks; none where nothing is said."""
    try:
        found = [get({"range": each}, "range", str, where) for each in raw.get(key) or ()]
        return tuple(str(ipaddress.ip_network(each)) for each in found)
    except (ValueError, TypeError):
        raise DroverError(f"{where}: {key}: found {raw[key]!r:.80}, not address ranges") from None
