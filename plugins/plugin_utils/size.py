# GPL-3.0-or-later
"""How large a value is once its aliases are written out; counted without doing so."""

from __future__ import annotations

MOST_VALUES = 100_000
DEEPEST = 60
TOO_LARGE = "more than 100000 values"
"""Stands for a variable whose aliases would grow beyond every use."""


def too_large(value: object) -> bool:
    """Whether the value has too many parts, is nested too deep, or holds itself."""
    size, depth = _extent(value, {}, 0)
    return size > MOST_VALUES or depth > DEEPEST


def _extent(value: object, known: dict[int, tuple[int, int]], level: int) -> tuple[int, int]:
    """(parts, nesting) of the value."""
    if level > DEEPEST or not isinstance(value, dict | list):
        return 1, 1 if level <= DEEPEST else DEEPEST + 1
    if id(value) not in known:
        parts = value.values() if isinstance(value, dict) else value
        extents = [_extent(part, known, level + 1) for part in parts]
        known[id(value)] = (
            1 + sum(size for size, _ in extents),
            1 + max((deep for _, deep in extents), default=0),
        )
    return known[id(value)]
