"""Makes machines and balancers as the emulated account says, until it is ended."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Any

from localcloud import account, balancers, changes, cloud, machines, networks, plan
from localcloud.cloud import CACHE, TROUBLE, CloudError
from testhost.docker import CHECKOUT, say

LOCK = CACHE / "reconciler.lock"  # held while it runs; says its process
LOG = CACHE / "reconciler.log"
PAUSE = 0.5  # seconds


class Reconciler:
    """Does one step at a time for each machine, several machines side by side."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(max_workers=8)
        self.busy: set[str] = set()
        self.said: dict[str, str] = {}
        self.changes = changes.Changes()

    def tick(self) -> None:
        """If anything happened, read all and do what is to be done; look after the balancers anyway."""
        if not self.changes.any():
            balancers.look(self.log)
            return
        busy = set(self.busy)  # what is read now may show their work half done
        instances, found = account.instances(), machines.found()
        for step in plan.steps(instances, found):
            if step.identity not in busy | self.busy:
                self.busy.add(step.identity)
                self.pool.submit(self.carry_out, step, instances.get(step.identity))
        alive = {one.vpc for one in instances.values() if one.state != "terminated"}
        balanced, ready = balancers.tick(self.log)
        if not ready:
            self.changes.again()
        if not self.busy:
            networks.tidy(alive | balanced)

    def carry_out(self, step: plan.Step, instance: plan.Wanted | None) -> None:
        verbs: dict[str, Callable[[Any], None]] = {
            "create": machines.create,
            "start": machines.start,
            "stop": machines.stop,
            "restart": machines.restart,
            "tell": machines.told_to_stop,
        }
        try:
            if step.verb == "remove":
                machines.remove(step.identity)
            else:
                verbs[step.verb](instance)
            self.log(step.identity, f"{step.verb}: done")
        except TROUBLE as problem:
            self.log(step.identity, f"{step.verb}: {problem}")
        except Exception:
            self.log(step.identity, f"{step.verb}: {traceback.format_exc()}")
        finally:
            self.busy.discard(step.identity)
            self.changes.again()

    def end(self) -> None:
        """Leave at once; a Docker command under way is ended by whoever ends the whole group."""
        self.changes.close()
        os._exit(0)

    def log(self, about: str, text: str) -> None:
        """Write a line, but not the same one again and again."""
        if self.said.get(about) != text:
            self.said[about] = text
            say(f"{time.strftime('%H:%M:%S')} {about} {text}")


def run() -> None:
    """Reconcile until the process is ended; only one at a time."""
    with LOCK.open("a+") as lock:
        _hold(lock)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        reconciler = Reconciler()
        signal.signal(signal.SIGTERM, lambda *_: reconciler.end())
        while True:
            try:
                reconciler.tick()
            except TROUBLE as problem:
                reconciler.changes.again()
                reconciler.log("account", str(problem))
            except Exception:  # one odd thing in the account does not end the mirror
                reconciler.changes.again()
                reconciler.log("account", traceback.format_exc())
            time.sleep(PAUSE)


def _hold(lock: IO[str], seconds: float = 1) -> None:
    """Take the lock; whoever only asks who runs has it for a moment too."""
    until = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise CloudError("a reconciler runs already") from None
            time.sleep(0.02)


def running() -> int | None:
    """Return the process that holds the lock."""
    if not LOCK.exists():
        return None
    with LOCK.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read() or 0) or None
    return None


def start() -> None:
    """Start it in the background, unless it runs."""
    if running():
        return
    command = [sys.executable, str(cloud.HERE / "localcloud"), "reconcile"]
    with LOG.open("ab") as log:
        subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=CHECKOUT, start_new_session=True
        )
    until = time.monotonic() + 10
    while not running():
        if time.monotonic() > until:
            raise CloudError(f"the reconciler does not start: {LOG}")
        time.sleep(0.05)


def stop() -> None:
    """End it with the Docker commands that it has under way."""
    process = running()
    if process:
        with suppress(ProcessLookupError):
            alone = os.getpgid(process) == process  # not so in the foreground of somebody's script
            (os.killpg if alone else os.kill)(process, signal.SIGTERM)
        while running():
            time.sleep(0.05)
