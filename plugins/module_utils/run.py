# GPL-3.0-or-later
"""Running one command on the host."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import NamedTuple


class Answer(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    error: str

    @property
    def said(self) -> str:
        """What a person wants to read of a failure."""
        return (self.error.strip() or self.out.strip() or f"exit status {self.code}")[-2000:]


def run(command: Sequence[str]) -> Answer:
    """Run it to its end, in English, without input."""
    done = subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    return Answer(done.returncode, done.stdout, done.stderr)
