"""Whether anything happened to the account, or to our containers: reading both all the time takes a core."""

from __future__ import annotations

import subprocess
import threading
import time

from localcloud import cloud
from localcloud.cloud import RUN
from testhost.docker import CHECKOUT

ACCOUNT = RUN / "changes"  # moto's overlay writes another word after each call that is not only a question
ANYWAY = 10.0  # seconds after which all is read again, whatever was missed
WATCHED = ("create", "start", "die", "destroy")


class Changes:
    """Watches from the first question on."""

    def __init__(self) -> None:
        self._events: subprocess.Popen[bytes] | None = None
        self._again = threading.Event()
        self._account = ""
        self._read = 0.0

    def any(self) -> bool:
        """Tell whether something may be different since the last time this said so."""
        self._watch()
        account = ACCOUNT.read_text() if ACCOUNT.exists() else ""
        late = time.monotonic() - self._read > ANYWAY
        if not (late or self._again.is_set() or account != self._account):
            return False
        self._again.clear()
        self._account, self._read = account, time.monotonic()
        return True

    def again(self) -> None:
        """Have the next question answered with yes."""
        self._again.set()

    def close(self) -> None:
        """End what watches."""
        if self._events:
            self._events.kill()

    def _watch(self) -> None:
        if self._events and self._events.poll() is None:
            return
        filters = [f"--filter=label={cloud.LABEL}={CHECKOUT}", "--filter=type=container"]
        filters += [f"--filter=event={each}" for each in WATCHED]
        command = ["docker", "events", "--format={{.Action}}", *filters]
        self._events = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        threading.Thread(target=self._listen, args=(self._events,), daemon=True).start()
        self.again()

    def _listen(self, events: subprocess.Popen[bytes]) -> None:
        assert events.stdout  # noqa: S101
        for _ in events.stdout:
            self.again()
