# GPL-3.0-or-later
"""What the engines share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

CHUNK = 1 << 20


@dataclass
class Named:
    """What the text of a dump names: databases that it makes, and roles that it expects."""

    databases: set[str] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)
    ours: bool = False  # whether it is one that a backup takes


def script(module: str) -> str:
    """The shell functions beside an engine's module."""
    return Path(module).with_suffix(".sh").read_text("utf-8")


def rest(stream: IO[bytes]) -> Iterator[bytes]:
    """What is left of it, as it comes."""
    while chunk := stream.read(CHUNK):
        yield chunk


def whole(stream: IO[bytes], variables: Mapping[str, str]) -> Iterator[bytes]:
    """For `filtered`: the dump as it is."""
    del variables
    return rest(stream)


def same(command: Sequence[str]) -> list[str]:
    """For `server`: as the stack runs it."""
    return [*command]
