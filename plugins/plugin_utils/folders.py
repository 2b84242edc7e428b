# GPL-3.0-or-later
"""Finds the folder of a stack's Compose file: the inventory's compose/ first, then the collection's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from .compose.parse import NAMES


def found(name: str, roots: Sequence[Path]) -> Path | None:
    """The first folder of that name which holds a Compose file."""
    return next(
        (root / name for root in roots if any((root / name / file).is_file() for file in NAMES)), None
    )


def known(roots: Sequence[Path]) -> list[str]:
    """Every folder that a stack may name."""
    return sorted({folder for root in roots if root.is_dir() for folder in _below(root)})


def _below(root: Path) -> Iterator[str]:
    for folder, _, files in os.walk(root):
        if any(name in files for name in NAMES):
            yield str(Path(folder).relative_to(root))


def label(folder: Path) -> str:
    """The folder as a person would name it: from where they stand if it lies below."""
    path = folder.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
