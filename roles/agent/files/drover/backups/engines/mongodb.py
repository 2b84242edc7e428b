# GPL-3.0-or-later
"""MongoDB: its own mongodump, as one archive. Two of the same data differ, so documents are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

from drover.backups.engines.common import rest, script
from drover.backups.parts import Line

FILE = "dump.archive"
VARIABLES = ("MONGO",)
SCRIPT = script(__file__)
SAMPLES, KEEPS, SEED = True, False, ""


def reader(variables: Mapping[str, str]) -> Callable[[bytes], Line]:
    """The archive mixes collections as they come."""
    del variables
    return lambda _: Line(None)


def filtered(stream: IO[bytes], variables: Mapping[str, str]) -> Iterator[bytes]:
    """As it is."""
    del variables
    yield from rest(stream)


def server(command: Sequence[str]) -> list[str]:
    """As the stack runs it."""
    return [*command]
