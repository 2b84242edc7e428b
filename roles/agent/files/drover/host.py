# GPL-3.0-or-later
"""What every command needs: where things are, how to run programs, and what was recorded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from drover.layout import Layout
from drover.lock import held
from drover.run import Runner, runner
from drover.state import State

WHO = 64  # characters


class Host(NamedTuple):
    """The machine we are on. `say` tells a waiting person what goes on; it never carries a result."""

    layout: Layout
    run: Runner
    state: State
    say: Callable[[str], None]
    who: str = "root"  # for history


@contextmanager
def locked(
    layout: Layout, purpose: str, wait: float, say: Callable[[str], None], name: str = "", file: str = "lock"
) -> Iterator[Host]:
    """A host of our own until the end: nobody else does the same, and what we start keeps the lock."""
    with held(layout.run / file, purpose, wait, say) as descriptor:
        host = Host(layout, runner([descriptor]), State(layout.state), say, who(name))
        try:
            yield host
        finally:
            host.state.close()


def about(layout: Layout) -> dict[str, Any]:
    """Client, environment and name of this host; a host that was never told has only a name."""
    try:
        known = json.loads(layout.host.read_text("utf-8"))
    except (OSError, ValueError):
        known = {}
    return {"host": os.uname().nodename, **(known if isinstance(known, dict) else {})}


def who(name: str = "") -> str:
    """Who started this: the name that was given, else the user of this machine; fit for a line."""
    users = (os.environ.get(variable, "") for variable in ("SUDO_USER", "LOGNAME", "USER"))
    return next(filter(None, map(_printable, (name, *users))), "root")


def _printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable()).strip()[:WHO]
