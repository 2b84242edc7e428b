# GPL-3.0-or-later
"""Other programs: commands are lists, none runs for ever, and none sees the caller's environment."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import NamedTuple

TIMED_OUT = 124
NOT_FOUND = 127
SECONDS = 60.0
KEPT = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")


class DroverError(Exception):
    """What a person must read: it names the place, what was found and, where we know, what to do."""


class NotInstalledError(DroverError):
    """A program that the host was never given."""


class Result(NamedTuple):
    """How a command ended. `out` holds both streams where they were merged."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """What the program said about its failure."""
        return self.err.strip() or self.out.strip() or f"ended with {self.code}"


Runner = Callable[..., Result]


def environment() -> dict[str, str]:
    """The same for SSH, boot and timers: a stray VERSION in a shell must not end up in a container."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        **kept,
    }


def runner(keep: Sequence[int] = ()) -> Runner:
    """Return a function that runs commands, which inherit the file descriptors in `keep`.

    The lock is one of them: when the agent is killed, its `docker compose` lives on for a moment, and the
    lock with it, so that no second agent starts beside it. `more` is added to the command's environment.
    """

    def run(
        command: Sequence[str],
        *,
        stdin: str = "",
        timeout: float = SECONDS,
        merged: bool = False,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> Result:
        try:
            process = subprocess.Popen(
                list(command),
                cwd="/",
                env={**environment(), **more},
                pass_fds=tuple(keep),
                start_new_session=True,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merged else subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            )
        except FileNotFoundError:
            return Result(NOT_FOUND, "", f"{command[0]} is not installed")
        return _finish(process, stdin, timeout)

    return run


def _finish(process: subprocess.Popen[str], stdin: str, timeout: float) -> Result:
    try:
        out, err = process.communicate(stdin or None, timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        out, err = _said(process)
        return Result(TIMED_OUT, out, f"{err.rstrip()}\nno end after {timeout:.0f} s".lstrip())
    except BaseException:
        _end(process)
        raise
    return Result(process.returncode, out or "", err or "")


def _said(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a command said that was ended; nothing if somebody else has its streams now."""
    try:
        out, err = process.communicate(timeout=3)
    except subprocess.TimeoutExpired:
        return "", ""
    return out or "", err or ""


def _end(process: subprocess.Popen[str]) -> None:
    """End the command and what it started, at first with the chance to tidy up."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(3)
            return
