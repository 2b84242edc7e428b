# GPL-3.0-or-later
"""What the engines share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

CHUNK = 1 << 20


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
