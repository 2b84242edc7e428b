# GPL-3.0-or-later
"""Valkey and Redis: their own snapshot file. Two of the same data differ, so keys are compared by sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

from drover.backups.engines.common import rest, script
from drover.backups.parts import Line

FILE = "dump.rdb"
VARIABLES = ("VALKEY_", "REDIS")
SCRIPT = script(__file__)
SAMPLES, KEEPS, SEED = True, True, "dump.rdb"


def reader(variables: Mapping[str, str]) -> Callable[[bytes], Line]:
    """The file's bytes say nothing that can be compared."""
    del variables
    return lambda _: Line(None)


def filtered(stream: IO[bytes], variables: Mapping[str, str]) -> Iterator[bytes]:
    """As it is."""
    del variables
    yield from rest(stream)


def server(command: Sequence[str]) -> list[str]:
    """It begins with the snapshot file, which it does not read if it keeps a log of its changes."""
    return [*command, "--appendonly", "no"]
