# GPL-3.0-or-later
"""Valkey and Redis: their own snapshot file. Two of the same data differ, so keys are compared by sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drover.backups.engines.common import script, whole
from drover.backups.parts import Line, Parts

FILE = "dump.rdb"
VARIABLES = ("VALKEY_", "REDIS")
SCRIPT = script(__file__)
MEMORY = "160m"
SAMPLES, KEEPS, HOLDS = True, True, False
SEED, BRINGS_PASSWORD = "dump.rdb", False

filtered = whole


def reader(variables: Mapping[str, str]) -> Parts:
    """The file's bytes say nothing that can be compared."""
    del variables
    return Parts(lambda _: Line(None))


def server(command: Sequence[str]) -> list[str]:
    """It begins with the snapshot file, which it does not read if it keeps a log of its changes."""
    return [*command, "--appendonly", "no"]
