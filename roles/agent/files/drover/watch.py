# GPL-3.0-or-later
"""What Docker runs, looked at by many stacks at once, and their common end when somebody interrupts."""

from __future__ import annotations

import threading
import time

from drover.docker import Container, observe
from drover.run import Runner


class InterruptedWorkError(BaseException):
    """Another thread was interrupted or has died: this one ends where it is, as if it had been killed."""


class Watch:
    """One look serves all that asked before it began, so that twenty stacks cost no more than one."""

    def __init__(self, run: Runner) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._seen: tuple[Container, ...] = ()
        self._began = 0.0
        self._ended = threading.Event()

    def look(self) -> tuple[Container, ...]:
        """Every container, as it was at some time after this call."""
        asked = time.monotonic()
        with self._lock:
            if self._began <= asked:
                began = time.monotonic()
                self._seen = observe(self._run)
                self._began = began
            return self._seen

    def seen(self) -> tuple[Container, ...]:
        """What the last look saw: for whoever has changed nothing since."""
        with self._lock:
            if self._began:
                return self._seen
        return self.look()

    def pause(self, seconds: float) -> None:
        """Wait, unless all shall end."""
        if self._ended.wait(seconds):
            raise InterruptedWorkError

    def end(self) -> None:
        """Let every thread end at its next pause."""
        self._ended.set()
