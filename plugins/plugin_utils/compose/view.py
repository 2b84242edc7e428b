# GPL-3.0-or-later
"""What a stack's Compose files say once extends, include, variables and short forms are worked out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from ..problem import Path, Place, Problem
from .document import Document
from .interpolate import names
from .normal import Plain

SECTIONS = ("services", "networks", "volumes", "secrets", "configs")


@dataclass
class View:
    """The resolved stack: each section by name, the files read, and what is wrong with them."""

    folder: FilePath
    label: str
    services: dict[str, Plain] = field(default_factory=dict)
    networks: dict[str, Plain] = field(default_factory=dict)
    volumes: dict[str, Plain] = field(default_factory=dict)
    secrets: dict[str, Plain] = field(default_factory=dict)
    configs: dict[str, Plain] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def say(self, path: Path, found: str, fix: str) -> None:
        """Adds a problem, placed in the file that holds the path."""
        self.problems.append(self.problem(path, found, fix))

    def problem(self, path: Path, found: str, fix: str) -> Problem:
        """A problem, placed in the file that holds the path."""
        return Problem(path, found, fix, *self.place(path))

    def place(self, path: Path) -> Place:
        """File and line of the path: where its service or section entry was written."""
        document = self.documents.get(self.origins.get(path[:2], ""))
        if document is None:
            return f"{self.label}/compose.yaml", 1
        return document.file, document.line(path)

    def section(self, name: str) -> dict[str, Plain]:
        """One of SECTIONS."""
        found: dict[str, Plain] = getattr(self, name)
        return found

    def variables(self) -> Iterator[tuple[Path, str]]:
        """Every variable that stands anywhere, with the path it stands at."""
        for section in SECTIONS:
            yield from _variables(self.section(section), (section,))


def _variables(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _variables(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _variables(inner, (*path, index))
    else:
        yield from ((path, name) for name in names(value))
