# GPL-3.0-or-later
"""One apply at a time. The kernel lets go of the lock when its last holder ends, however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from drover.run import DroverError


@contextmanager
def held(path: Path, purpose: str, wait: float, say: Callable[[str], None]) -> Iterator[int]:
    """Hold the lock and yield its file descriptor; after `wait` seconds name the holder and give up."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(descriptor, wait, say)
        _write(descriptor, json.dumps({"purpose": purpose, "pid": os.getpid(), "since": int(time.time())}))
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, wait: float, say: Callable[[str], None]) -> None:
    until = time.monotonic() + wait
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise DroverError(
                    f"busy: {_holder(descriptor)} holds the lock; gave up after {wait:.0f} s"
                ) from None
        if not told:
            say(f"waiting for {_holder(descriptor)}")
            told = True
        time.sleep(0.1)


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _holder(descriptor: int) -> str:
    """Who wrote itself into the file last; its commands may outlive it."""
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0))
        since = time.strftime("%H:%M:%S", time.localtime(owner["since"]))
        lives = Path(f"/proc/{owner['pid']}").exists()
        ended = "" if lives else ", which was killed; what it started still runs"
        return f"drover {owner['purpose']} (pid {owner['pid']}, since {since}{ended})"
    except (ValueError, KeyError, TypeError):
        return "another drover"
