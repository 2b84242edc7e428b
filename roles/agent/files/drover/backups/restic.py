# GPL-3.0-or-later
"""restic: its commands, its answers. What it needs to reach the repository is in no command line."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from drover.backups.settings import Settings
from drover.layout import Layout
from drover.run import TIMED_OUT, DroverError, Result, Runner, environment

LIMIT = 12 * 3600.0  # seconds for one command
ELSEWHERE = ("s3:", "rest:", "sftp:", "b2:", "azure:", "gs:", "swift:", "rclone:")
PROBE = 1 << 16  # bytes
LOCKED = "5m"  # that restic waits for another one
MISSING, BUSY, WRONG_KEY, INCOMPLETE = 10, 11, 12, 3  # restic's exit codes
ENDED = {
    MISSING: "there is no repository at {repository}; `drover backup --init` makes one, docs/backups.md says "
    "what to do if there was one",
    BUSY: "another restic holds the repository's lock",
    WRONG_KEY: "the repository does not open with this password",
}


class Snapshot(NamedTuple):
    """One of restic's. `tags` say what it is of; `at` is in seconds since the epoch."""

    identity: str
    at: float
    tags: frozenset[str]
    paths: tuple[str, ...]
    host: str


class Restic:
    """One repository."""

    def __init__(self, layout: Layout, run: Runner, settings: Settings, *, shared: bool = False) -> None:
        """`shared`: another host works with it too, so that its locks count when it is read."""
        self._run, self.settings, self._layout = run, settings, layout
        self._reading = () if shared else ("--no-lock",)
        self.variables = {
            "RESTIC_REPOSITORY": settings.repository,
            "RESTIC_PASSWORD_FILE": str(layout.backup.with_name("backup.password")),
            "RESTIC_CACHE_DIR": str(layout.root / "var/cache/drover/restic"),
            "RESTIC_PROGRESS_FPS": "0.01",
            "TMPDIR": "/var/tmp",  # noqa: S108  where packs are put together; /tmp may be memory
            # Half the memory that Go would take, for a third more work.
            "GOGC": "25",
            # Two thirds of the work of restic's own choice; what it stores is about the same (bench/backup).
            "RESTIC_COMPRESSION": "fastest",
            "GOMAXPROCS": "2",
            **settings.environment,
        }

    def command(self, *words: str) -> list[str]:
        """One of restic's commands, which waits while another one holds the lock."""
        return [str(self._layout.restic), f"--retry-lock={LOCKED}", *words]

    def do(self, *words: str, stdin: str = "", allowed: int = 0) -> Result:
        """Run it; a failure is told in its words.

        Where a lock is in its way those of the dead are removed, and only then it waits.
        """
        at_once = [str(self._layout.restic), *words]
        done = self._run(at_once, stdin=stdin, timeout=LIMIT, more=self.variables)
        if done.code == BUSY:
            self._unlock()
            done = self._run(self.command(*words), stdin=stdin, timeout=LIMIT, more=self.variables)
        if done.code not in (0, allowed):
            raise self.failure(done)
        return done

    def failure(self, done: Result) -> DroverError:
        """What is wrong, in restic's words or in clearer ones."""
        said = ENDED.get(done.code, "").format(repository=self.settings.repository)
        return DroverError(said or f"restic: {_last(done)}")

    # The repository

    def need_writable(self) -> None:
        """Of a folder: that a file can be written, for which restic would try a quarter of an hour."""
        place = Path(self.settings.repository.removeprefix("local:"))
        if self.settings.repository.startswith(ELSEWHERE) or not place.is_dir():
            return
        try:
            with tempfile.TemporaryFile(dir=place) as file:
                file.write(b"\0" * PROBE)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DroverError(f"the repository {place} cannot be written: {error.strerror}") from None

    def is_there(self) -> bool:
        """Whether it exists and opens. Asks without a lock."""
        done = self._run(self.command("cat", "config", "--no-lock"), timeout=120.0, more=self.variables)
        if done.code not in (0, MISSING):
            raise self.failure(done)
        return not done.code

    def snapshots(self, *tags: str) -> list[Snapshot]:
        """Those with all of these tags, the newest last."""
        named = [f"--tag={','.join(tags)}"] if tags else []
        raw = json.loads(self.do("snapshots", "--json", *self._reading, *named).out or "[]")
        found = [
            Snapshot(
                each["id"],
                datetime.fromisoformat(_microseconds(each["time"])).timestamp(),
                frozenset(each.get("tags") or ()),
                tuple(each.get("paths") or ()),
                str(each.get("hostname") or ""),
            )
            for each in raw or []
        ]
        return sorted(found, key=lambda each: each.at)

    def _unlock(self) -> None:
        """Remove locks of this host's dead programs, and of others that were silent for half an hour.

        What is wrong with the repository, the next command says better.
        """
        self._run(self.command("unlock"), timeout=LIMIT, more=self.variables)

    def has_user(self, name: str) -> bool:
        """Whether there is a key of this name."""
        found = json.loads(self.do("key", "list", "--json", "--no-lock").out or "[]")
        return any(each.get("userName") == name for each in found)

    # In

    def take_in(self, words: Sequence[str], tags: Sequence[str], stdin: str = "", allowed: int = 0) -> Result:
        """Make a snapshot of what `words` name, with these tags."""
        tagged = [f"--tag={','.join(tags)}"]
        wish = ["backup", "--json", f"--host={self.settings.host}", *tagged, "--group-by=host,tags", *words]
        return self.do(*wish, stdin=stdin, allowed=allowed)

    def keep_text(self, text: str, name: str, tags: Sequence[str]) -> str:
        """A small file of its own; the snapshot's identity."""
        done = self.take_in(["--stdin", f"--stdin-filename={name}"], tags, stdin=text)
        return str(summary(done)["snapshot_id"])

    # Out

    def text(self, snapshot: Snapshot) -> str:
        """The only file of a snapshot."""
        return self.do("dump", *self._reading, snapshot.identity, snapshot.paths[0]).out

    @contextmanager
    def stream(self, snapshot: str, path: str) -> Iterator[IO[bytes]]:
        """A file of a snapshot as it comes; one that is not whole is an error at the end."""
        with subprocess.Popen(
            self.command("dump", *self._reading, snapshot, path),
            env={**environment(), **self.variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout and process.stderr  # noqa: S101  they are pipes
            try:
                yield process.stdout
                if process.stdout.read(1):
                    raise DroverError("the snapshot was not read to its end")
            except BaseException:
                process.kill()
                raise
            said = process.stderr.read().decode("utf-8", "replace")
            if process.wait():
                raise self.failure(Result(process.returncode, "", said))

    def restore(self, snapshot: str, path: str, target: Path) -> None:
        """A folder of a snapshot into an empty one."""
        self.do("restore", *self._reading, f"{snapshot}:{path}", f"--target={target}")


def summary(done: Result) -> Mapping[str, Any]:
    """The last line of a backup, which says what became of it."""
    for line in reversed(done.out.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and found.get("message_type") == "summary":
            return found
    raise DroverError(f"restic: {_last(done)}")


def errors(done: Result) -> list[tuple[str, str]]:
    """Files that it could not read, each with why."""
    found = []
    for line in (done.err + "\n" + done.out).splitlines():
        try:
            raw = json.loads(line)
        except ValueError:
            continue
        if isinstance(raw, dict) and raw.get("message_type") == "error":
            found.append((str(raw.get("item") or ""), str((raw.get("error") or {}).get("message") or "")))
    return found


def _last(done: Result) -> str:
    """Its last words, which may be JSON; of one that was ended, why it tried again."""
    lines = done.words.splitlines() or [""]
    tries = [line for line in lines if ", retrying after " in line]
    if done.code == TIMED_OUT and tries:
        return f"{tries[-1]} ({lines[-1]})"
    try:
        raw = json.loads(lines[-1])
        return str(raw.get("message") or (raw.get("error") or {}).get("message") or lines[-1])
    except (ValueError, AttributeError):
        return " ".join(lines[-3:])


def _microseconds(stamp: str) -> str:
    """Restic's nanoseconds as Python 3.10 reads them.

    >>> _microseconds("2026-11-30T02:00:00.123456789Z"), _microseconds("2026-11-30T02:00:00+01:00")
    ('2026-11-30T02:00:00.123456+00:00', '2026-11-30T02:00:00+01:00')
    """
    whole, rest = stamp[:19], stamp[19:].replace("Z", "+00:00")
    if not rest.startswith("."):
        return whole + rest
    digits = rest[1:].partition("+")[0].partition("-")[0]
    return f"{whole}.{digits[:6]:0<6}{rest[1 + len(digits) :]}"
