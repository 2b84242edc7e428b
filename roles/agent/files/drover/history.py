# GPL-3.0-or-later
"""`drover history`: who changed what, when, and how it ended, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from drover.state import Row
from drover.table import aligned, stamp

HEAD = ("AT", "WHO", "ACTION", "STACK", "VERSION", "RESULT", "SECONDS")


def table(rows: Sequence[Row]) -> str:
    """The newest line first; below it why it was asked for, and what failed."""
    cells = [
        (
            stamp(row.at),
            row.who,
            row.action,
            row.stack,
            row.version or row.release or "-",
            row.result,
            f"{row.seconds:.0f}",
        )
        for row in rows
    ]
    head, *lines = aligned([HEAD, *cells])
    text = [head]
    for line, row in zip(lines, rows, strict=True):
        text.append(line)
        text += [f"    because: {row.reason}"] if row.reason else []
        text += [f"  ! {row.detail.splitlines()[0]}"] if row.result != "ok" and row.detail else []
    return "\n".join(text) if rows else "nothing was done on this host yet"
