# GPL-3.0-or-later
"""`drover lock`: somebody wants no deploys for a while."""

from __future__ import annotations

import time

from drover import guard
from drover.host import Host
from drover.run import DroverError
from drover.state import Lock


def locked(host: Host, what: str, reason: str, force: bool) -> Lock | None:
    """Show, take or release the lock; return who holds it then. Another's is taken only when it is stale."""
    found, now = host.state.lock(), time.time()
    if what == "show":
        return found
    if found and found.who != host.who and not force and now - found.at < guard.STALE:
        raise DroverError(f"deploys are {guard.described(found, now)}; ask {found.who}, or use --force")
    if found and found.who != host.who:
        host.say(f"deploys were {guard.described(found, now)}")
    lock = Lock(host.who, now, reason) if what == "take" else None
    host.state.set_lock(lock)
    return lock


def described(lock: Lock | None) -> str:
    """For a person."""
    return f"deploys are {guard.described(lock, time.time())}" if lock else "nobody locks deploys"
