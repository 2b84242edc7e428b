# GPL-3.0-or-later
"""What every command needs: where things are, how to run programs, and what was recorded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from drover.layout import Layout
from drover.run import Runner
from drover.state import State


class Host(NamedTuple):
    """The machine we are on. `say` tells a waiting person what goes on; it never carries a result."""

    layout: Layout
    run: Runner
    state: State
    say: Callable[[str], None]


def about(layout: Layout) -> dict[str, Any]:
    """Client, environment and name of this host; a host that was never told has only a name."""
    try:
        known = json.loads(layout.host.read_text("utf-8"))
    except (OSError, ValueError):
        known = {}
    return {"host": os.uname().nodename, **(known if isinstance(known, dict) else {})}


def who() -> str:
    """Who started this: the controller's user if it says so, else the user of this machine."""
    return next(
        (os.environ[name] for name in ("DROVER_WHO", "SUDO_USER", "LOGNAME", "USER") if os.environ.get(name)),
        "root",
    )
