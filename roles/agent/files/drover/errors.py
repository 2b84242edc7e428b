# GPL-3.0-or-later
"""What goes wrong with one stack, while the others go on."""

from __future__ import annotations

import sqlite3

from drover.run import DroverError

TROUBLE = (DroverError, OSError, sqlite3.Error)


class StackError(Exception):
    """A stack that did not get well; `service` and `container` where one of them is to blame.

    `said` are the last words of a container that is gone by the time they are told; `after` is what became
    of the stack.
    """

    def __init__(self, reason: str, service: str = "", container: str = "", said: str = "") -> None:
        super().__init__(reason)
        self.service = service
        self.container = container
        self.said = said
        self.after = ""
