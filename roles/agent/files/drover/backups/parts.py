# GPL-3.0-or-later
"""What a dump holds, part by part: digests of its bytes as they pass, one for each table, one for the rest.

Two dumps of the same data have the same parts. Nothing is asked twice, so it may change meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

START = 1024  # bytes of a line that tell whose it is
END = b"\n\\.\n"  # of a block: PostgreSQL's rows
REST = "everything else"
MOST = 8  # differences that are told


class Reader(Protocol):
    """Fed with a dump's bytes; tells what it holds after the last of them."""

    size: int

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""

    def found(self) -> dict[str, str]:
        """Part → digest, with a number before it where something was counted."""


class Line(NamedTuple):
    """Whose a line is: a part's name, or nobody's (None). `block`: rows follow until END."""

    part: str | None
    block: bool = False


class Parts:
    """Fed with a dump's bytes. `whose` is asked with the beginning of each line that is no row of a block."""

    def __init__(self, whose: Callable[[bytes], Line]) -> None:
        self._whose = whose
        self._digests: dict[str, hashlib._Hash] = {}
        self._rows: dict[str, int] = {}
        self._kept = b""  # what cannot be judged yet
        self._line: Line | None = None  # of a long line that goes on, or of a block
        self.size = 0

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        self.size += len(chunk)
        text, self._kept, at = self._kept + chunk, b"", 0
        while at < len(text):
            if self._line is None:
                at = self._begin(text, at)
            elif self._line.block:
                at = self._block(text, at, self._line)
            else:
                at = self._go_on(text, at, self._line)
            if at < 0:
                return

    def _begin(self, text: bytes, at: int) -> int:
        """A new line; -1 where too little of it is here."""
        end = text.find(b"\n", at)
        if end < 0 and len(text) - at < START:
            self._kept = text[at:]
            return -1
        line = self._whose(text[at : min(at + START, end if end >= 0 else len(text))])
        if end < 0:
            self._line = line._replace(block=False)
            return at
        self._add(line.part, text[at:end])
        if line.block:
            self._line = line
            self._rows[line.part or ""] = -1  # the end of this line is the first that is counted
            return end  # so that the end of a block without rows is found like any other
        return end + 1

    def _go_on(self, text: bytes, at: int, line: Line) -> int:
        end = text.find(b"\n", at)
        self._add(line.part, text[at:] if end < 0 else text[at:end])
        if end >= 0:
            self._line = None
        return len(text) if end < 0 else end + 1

    def _block(self, text: bytes, at: int, line: Line) -> int:
        end = text.find(END, at)
        if end < 0:
            last = max(at, len(text) - len(END) + 1)
            self._count(line, text, at, last)
            self._kept = text[last:]
            return -1
        self._count(line, text, at, end + 1)
        self._line = None
        return end + len(END)

    def _count(self, line: Line, text: bytes, at: int, end: int) -> None:
        """Rows are most of a dump: they are looked at where they lie."""
        self._rows[line.part or ""] += text.count(b"\n", at, end)
        self._add(line.part, memoryview(text)[at:end])

    def _add(self, part: str | None, content: bytes | memoryview) -> None:
        if part is not None:
            self._digests.setdefault(part or REST, hashlib.sha256()).update(content)

    def found(self) -> dict[str, str]:
        """Part → digest, with the number of rows where it is known. After the last bytes."""
        if self._kept and self._line is None:
            self._add(self._whose(self._kept[:START]).part, self._kept)
            self._kept = b""
        return {part: self._told(part, digest.hexdigest()[:32]) for part, digest in self._digests.items()}

    def _told(self, part: str, digest: str) -> str:
        return f"{self._rows[part]} rows {digest}" if part in self._rows else digest


def differences(recorded: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """What is not as it was recorded, for a person; bounded."""
    said = []
    for part in sorted({*recorded, *found}):
        before, now = recorded.get(part), found.get(part)
        if before != now:
            said.append(f"{part}: {_shown(before)} in the backup, {_shown(now)} in the copy")
    more = [f"and {len(said) - MOST} more"] if len(said) > MOST else []
    return [*said[:MOST], *more]


def _shown(value: str | None) -> str:
    if value is None:
        return "nothing"
    rows, _, digest = value.rpartition(" ")
    return f"{rows} ({digest[:8]})" if rows else digest[:8]
