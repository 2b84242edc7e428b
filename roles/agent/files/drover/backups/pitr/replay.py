# GPL-3.0-or-later
"""A copy out of a base backup and the log. Its server has no network: it asks for each segment by a pipe.

`ask` and `answer` are in a folder that it sees; the host fetches the segment into the same folder, and the
next ones meanwhile. What cannot be fetched for another reason than that there is none ends the copy.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from drover import docker
from drover.backups import clients, servers
from drover.backups.clients import Client
from drover.backups.copies import Copy
from drover.backups.ledger import Complete
from drover.backups.pitr.archive import NAME
from drover.backups.pitr.moment import Moment
from drover.backups.pitr.pgbackrest import PgBackRest, inside
from drover.backups.restic import Restic
from drover.backups.room import Room
from drover.docker import last_words
from drover.host import Host
from drover.run import DroverError

SECONDS = 12 * 3600.0
AHEAD = 4  # segments that are fetched before they are asked for
WORKERS = 2
INSIDE = "/wal"  # where the server sees the folder
ASK, ANSWER = "ask", "answer"
YES, NO, BROKEN = b"yes\n", b"no\n", b"broken\n"
# More than 125 ends the server. Else it would take a fault of ours for the end of the log.
COMMAND = (
    f"echo %f >{INSIDE}/{ASK}; read -r said <{INSIDE}/{ANSWER};"
    f" case $said in yes) cp {INSIDE}/%f %p || exit 200 ;; no) exit 1 ;; *) exit 200 ;; esac"
)
PLAIN = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})000000([0-9A-F]{2})")
LAST = 0xFF  # of the segments, of 16 MB each, in one file of PostgreSQL's counting


class Replay(Copy):
    """The copy of a moment."""

    def __init__(
        self,
        host: Host,
        program: PgBackRest,
        moment: Moment,
        told: Mapping[str, Any],
        room: Room,
        name: str = "",
    ) -> None:
        super().__init__(host, program.job, told, room, name)
        self._moment, self._live = moment, program

    def fill(self, restic: Restic, found: Complete) -> None:
        """Restore the base, and let the server read the log to the moment."""
        self.replay()

    def replay(self) -> None:
        """The same, which needs nothing of restic's."""
        which = servers.of(self.host, self.job, self._engine)
        target = self.room.place / inside(self.job, which)
        target.mkdir(parents=True, exist_ok=True)
        base = PgBackRest(self.host, self.job, target)
        base.refuse_links(self._moment.base.label)
        base.do(f"--set={self._moment.base.label}", "--type=preserve", "restore")
        (target / "recovery.signal").touch(0o600)
        _give(self.room.place, _owner(self._live.cluster))
        with served(base, self.host.layout.staging / f"{self.job.key}{clients.LOG}") as shelf:
            mount = f"--mount=type=bind,source={shelf.folder},target={INSIDE},readonly"
            self.server = self._begin(self._engine, [mount], self._settings())
            self._arrive(shelf)

    def _settings(self) -> list[str]:
        settings = [
            "archive_mode=on",  # what it writes becomes the log of the database whose place it takes
            "archive_command=",  # and waits until then
            f"restore_command={COMMAND}",
            "recovery_target_timeline=latest",
            "recovery_target_action=promote",
            *self._moment.settings,
        ]
        return [word for each in settings for word in ("-c", each)]

    def _arrive(self, shelf: Shelf) -> None:
        """Wait until it serves; one that ends before has said why."""
        assert self.server  # noqa: S101  it was begun
        clients.begun(self.host.layout, self.job)
        client = Client(self.host, self.job, self.server, self._engine, "arrive", {})
        try:
            while not client.ended():
                with suppress(TimeoutExpired):
                    client.wait(1)
                if not client.ended() and not self._runs():
                    said = shelf.fault or last_words(self.host.run, self.name)
                    raise DroverError(f"the copy did not come to its moment, {self._moment.said}:\n{said}")
            client.finish(SECONDS)
        finally:
            client.kill()
            docker.do(
                self.host.run,
                ["docker", "rm", "--force", "--volumes", clients.client_name(self.job)],
                allowed="No such container",
            )

    def _runs(self) -> bool:
        return "true" in self.host.run(["docker", "inspect", "--format={{.State.Running}}", self.name]).out

    def differences(self) -> list[str]:
        """Nothing was recorded of a moment: that its server came there is what is known."""
        return []


def _owner(cluster: Path) -> tuple[int, int]:
    """Whose the data is; root's where there is none, and then the image's entry point gives it away."""
    try:
        found = (cluster / "PG_VERSION").stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_uid, found.st_gid


def _give(place: Path, owner: tuple[int, int]) -> None:
    """All of it: names of users are the host's, and mean nothing in the container."""
    for root, folders, files in os.walk(place):
        for name in (*folders, *files):
            os.chown(Path(root, name), *owner, follow_symlinks=False)
    os.chown(place, *owner)


# The log


@contextmanager
def served(program: PgBackRest, folder: Path) -> Iterator[Shelf]:
    """A folder with the two pipes; whoever asks there gets what the repository has."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    for name in (ASK, ANSWER):
        os.mkfifo(folder / name)
        (folder / name).chmod(0o666)
    over = threading.Event()
    shelf = Shelf(_apart(program, _beside(folder)), folder)
    thread = threading.Thread(target=_serve, args=(shelf, folder, over))
    thread.start()
    try:
        yield shelf
    finally:
        over.set()
        thread.join()
        shelf.close()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(_beside(folder), ignore_errors=True)


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.of")


def _apart(program: PgBackRest, place: Path) -> PgBackRest:
    """The same for a still copy of what says which cluster it is: a server that runs writes there."""
    shutil.rmtree(place, ignore_errors=True)
    (place / "global").mkdir(parents=True, mode=0o700)
    for name in ("global/pg_control", "backup_label"):  # the first is not taken for one without the other
        shutil.copyfile(program.cluster / name, place / name)
    return program.of(place)


def _serve(shelf: Shelf, folder: Path, over: threading.Event) -> None:
    ask, answer = (os.open(folder / name, os.O_RDWR | os.O_NONBLOCK) for name in (ASK, ANSWER))
    try:
        while not over.is_set():
            if select.select([ask], [], [], 0.2)[0]:
                for name in os.read(ask, 4096).decode("ascii", "replace").split():
                    os.write(answer, shelf.answer(name))
    finally:
        os.close(ask)
        os.close(answer)


class Shelf:
    """Segments that were asked for, or will be."""

    def __init__(self, program: PgBackRest, folder: Path) -> None:
        self._program, self.folder = program, folder
        self._workers = ThreadPoolExecutor(WORKERS)
        self._coming: dict[str, Future[bool]] = {}
        self.fault = ""  # why a segment could not be fetched

    def answer(self, name: str) -> bytes:
        """Have it in the folder, and the next ones on their way."""
        if not NAME.fullmatch(name):
            return BROKEN
        try:
            return YES if self._has(name) else NO
        except DroverError as error:
            self.fault = str(error)
            return BROKEN

    def _has(self, name: str) -> bool:
        wanted = [name, *following(name, AHEAD)]
        if len(wanted) == 1:
            return self._fetch(name)
        for each in [known for known in self._coming if known not in wanted]:
            self._drop(each)
        for each in wanted:
            if each not in self._coming:
                self._coming[each] = self._workers.submit(self._fetch, each)
        return self._coming[name].result()

    def _fetch(self, name: str) -> bool:
        beside = self.folder / f".{name}"
        if not self._program.get(name, beside):
            return False
        beside.chmod(0o644)
        beside.rename(self.folder / name)
        return True

    def _drop(self, name: str) -> None:
        """Nobody will ask for it again."""
        self._coming.pop(name).cancel()
        (self.folder / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Let those that are on their way come, and no more."""
        self._workers.shutdown(cancel_futures=True)


def following(name: str, count: int) -> list[str]:
    """The names of the next segments of 16 MB; none after what is no segment.

    >>> following("0000000100000000000000FE", 2)
    ['0000000100000000000000FF', '000000010000000100000000']
    """
    found = PLAIN.fullmatch(name)
    if not found:
        return []
    timeline, log, part = found[1], int(found[2], 16), int(found[3], 16)
    numbers = [log * (LAST + 1) + part + each for each in range(1, count + 1)]
    return [f"{timeline}{each // (LAST + 1):08X}{each % (LAST + 1):08X}" for each in numbers]
