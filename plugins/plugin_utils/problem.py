# GPL-3.0-or-later
"""What is wrong with an inventory or a stack file, in the form a person can act on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

Path = tuple[str | int, ...]
"""Where a value sits: keys and list indexes from the variable or the file down to it."""


class Unshown(str):
    """A key that may be a secret typed at the wrong place: it finds its line, and no message shows it."""


Place = tuple[str | None, int | None]
"""A file as a person would name it, and a line in it."""

Say = Callable[[Path, str, str], None]
"""Reports one problem: where, what was found, what to write."""


@dataclass(frozen=True)
class Problem:
    """One mistake. `found` never holds a secret's value; `fix` begins with a verb."""

    path: Path
    found: str
    fix: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}  " if self.line else f"{self.file}  " if self.file else ""
        return f"{where}{shown(self.path)}: {self.found}; {self.fix}"


def shown(path: Path) -> str:
    """`("shop", "routes", 0, "host")` becomes `shop.routes[0].host`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{_key(part)}" if text else _key(part)
    return text or "the document"


def _key(part: str) -> str:
    """The key up to a `:` or `=`: after it stands a value, in `{password:x}` and the like."""
    if isinstance(part, Unshown):
        return "…"
    end = re.search("[:=]", part)
    return f"{part[: end.start()]}…" if end else part


def nearest(places: Mapping[Path, Place], path: Path) -> Place:
    """The place of the path, or of the closest parent that has one."""
    for length in range(len(path), -1, -1):
        if path[:length] in places:
            return places[path[:length]]
    return None, None


def located(problems: Iterable[Problem], places: Mapping[Path, Place]) -> list[Problem]:
    """The problems, those without a file given the place their path has."""
    return [problem if problem.file else _at(problem, nearest(places, problem.path)) for problem in problems]


def _at(problem: Problem, place: Place) -> Problem:
    return replace(problem, file=place[0], line=place[1])
