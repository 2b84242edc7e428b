# GPL-3.0-or-later
"""A snapshot restored into a copy. There is no other way back.

Verification looks at it, a person may be left with it, or it takes the place of the real data.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from drover import docker
from drover.backups import clients, dumps, files, jobs, servers, sqlite, stream
from drover.backups.dumps import Dump
from drover.backups.engines import ENGINES
from drover.backups.jobs import FILES, Job
from drover.backups.ledger import Complete
from drover.backups.parts import differences
from drover.backups.restic import Restic
from drover.backups.room import BESIDE, Room
from drover.backups.servers import Server
from drover.docker import last_words
from drover.errors import TROUBLE
from drover.host import Host
from drover.run import DroverError

ALL = 2**31  # samples: in a copy nothing is left out
SHELL_SECONDS = 600.0
COUNT_SECONDS = 3600.0
NETWORK = "none"
Chunks = Callable[[IO[bytes], Mapping[str, str]], Iterable[bytes]]
"""A dump → its bytes as a function of the engine's wants them."""
TOPS = 8  # names that are told


class Copy:
    """What a snapshot became. A database has a server until it is `settled`: `like` it, or the stack's."""

    def __init__(
        self,
        host: Host,
        job: Job,
        record: Mapping[str, Any],
        room: Room,
        name: str,
        like: Server | None = None,
    ) -> None:
        self.host, self.job, self.told, self.room, self._like = host, job, record, room, like
        self.name = name or f"drover-scratch-{job.key}"
        self.label = BESIDE if name else clients.LABEL
        self.server: Server | None = None

    @property
    def _engine(self) -> ModuleType:
        return ENGINES[self.job.wanted.engine]

    # Filled

    def fill(self, restic: Restic, found: Complete) -> None:
        """Restore the snapshot into it."""
        if self.job.wanted.engine == FILES:
            self._unpack(restic, found)
        else:
            self._load(restic, found)

    def _unpack(self, restic: Restic, found: Complete) -> None:
        restic.restore(found.data.identity, str(self.told["place"]), self.room.place)
        mode, owner, group = self.told["top"]  # restic restores what is in it
        os.chown(self.room.place, owner, group)
        self.room.place.chmod(mode)
        databases = [str(each) for each in self.told["databases"]]
        if not databases:
            return
        staging = self.host.layout.staging / f"{self.job.key}.back"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700, parents=True)
        try:
            restic.restore(found.data.identity, str(self.told["staging"]), staging)
            for name in databases:
                _put(staging, self.room.place, name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _load(self, restic: Restic, found: Complete) -> None:
        with restic.stream(found.data.identity, found.data.paths[0]) as dump:
            self.load(dump, "load", self._engine.filtered)

    def load(self, dump: IO[bytes], words: str, chunks: Chunks) -> str:
        """Let a server have a dump: as the file that it begins with, or by one of the engine's functions.

        What the function says.
        """
        engine = self._engine
        if engine.SEED:
            with (self.room.place / engine.SEED).open("wb") as file:
                shutil.copyfileobj(dump, file, files.CHUNK)
        self.server = which = self.server or self._begin(engine)
        if engine.SEED:
            return ""
        try:
            return clients.give(self.host, self.job, which, engine, words, chunks(dump, which.variables))
        except DroverError as error:
            raise DroverError(f"the dump does not load: {error}\n{self._last_words()}".rstrip()) from None

    def _last_words(self) -> str:
        return last_words(self.host.run, self.name)

    def unpack(self, dump: Dump) -> None:
        """Have the files of a folder or an archive; the folder itself stays as the stack's own is."""
        path, place = str(dump.found.path), self.room.place
        if dump.found.kind is dumps.FOLDER:
            command = ["cp", "--archive", "--no-target-directory", "--", path, str(place)]
        else:
            rights = ["--numeric-owner", "--preserve-permissions"]
            command = ["tar", "--extract", *rights, f"--directory={place}", f"--file={path}"]
        own = self._own_folder()
        done = self.host.run(command, timeout=clients.SECONDS)
        if done.code:
            raise DroverError(f"{command[0]}: {done.words[-clients.LAST :]}")
        os.chown(place, own.st_uid, own.st_gid)
        place.chmod(own.st_mode & 0o7777)

    def _own_folder(self) -> os.stat_result:
        """How the folder is whose place this takes."""
        target = jobs.folder(self.host.layout, self.host.run, self.job)
        return (target if target.exists() else self.room.place).stat()

    def _begin(self, engine: ModuleType, mounts: Sequence[str] = (), settings: Sequence[str] = ()) -> Server:
        """A server like the stack's own, on no network, over this room; with more mounts and settings."""
        like = self._like or servers.of(self.host, self.job, engine)
        image = self._image(like)
        docker.do(
            self.host.run, ["docker", "rm", "--force", "--volumes", self.name], allowed="No such container"
        )
        entry, words = servers.own(engine.server(like.words))
        command = [
            "docker",
            "run",
            "--detach",
            f"--name={self.name}",
            f"--label={self.label}={self.job.name}",
            f"--network={NETWORK}",
            *like.options,
            *(f"--env={name}" for name in sorted(like.variables)),
            *(each.option for each in like.mounts),
            self.room.mount(self.job.wanted.target),
            *mounts,
            "--log-opt=max-size=1m",
            "--log-opt=max-file=2",
            "--pull=never",
            *entry,
            image,
            *words,
            *settings,
        ]
        done = self.host.run(command, timeout=120.0, more=like.variables)
        if done.code:
            raise DroverError(f"the copy does not start: {done.words}")
        return like._replace(identity=self.name, name=self.name, running=True, image_id=image)

    def _image(self, like: Server) -> str:
        """The image that the snapshot was taken with, if it is still here, else the stack's."""
        identity = str(self.told.get("image_id") or "")
        shown = self.host.run(["docker", "image", "inspect", "--format", "{{.Id}}", identity or "none"])
        return like.image_id if shown.code else identity

    # Looked at

    def shell(self, words: str) -> str:
        """Run a command of a person's in it: what its clients see, or with its folder to work in."""
        if self.server:
            return clients.ask(self.host, self.job, self.server, self._engine, words, SHELL_SECONDS)
        done = self.host.run(
            ["sh", "-c", 'cd "$1" && eval "$2"', "sh", str(self.room.place), words], merged=True
        )
        if done.code:
            raise DroverError(f"the command ended with {done.code}: {done.out.strip()}")
        return done.out

    def differences(self) -> list[str]:
        """What is in it and was not recorded, or the other way round."""
        if self.server and self._engine.SAMPLES:
            return self._samples(stream.sampled(self.host, self.job, self.server, self._engine, ALL))
        if self.server:
            apart = bool(self.told.get("marks"))
            found = stream.taken(self.host, self.job, self.server, self._engine, apart=apart)
            return differences(self.told["parts"], found["parts"])
        place = self.room.place
        recorded = {str(name): str(value) for name, value in self.told["parts"].items()}
        low, high = self.told["files"]
        count = len(files.counted(files.look(place)))
        said = differences(recorded, files.digests(place, recorded))
        if not low <= count <= high:
            said.append(f"{count} files, where there were {low if low == high else f'{low} to {high}'}")
        return [*said, *sqlite.broken(place, self.told["databases"], self.told.get("damaged") or ())]

    def _samples(self, there: Mapping[str, str]) -> list[str]:
        """Of what did not change while it was dumped; and how much there was, where all was looked at."""
        recorded = self.told["samples"] if self.told.get("sampling") == stream.SAMPLING else {}
        said = differences(recorded, {key: there[key] for key in recorded if key in there})
        low, high = self.told["seen"]
        if high < stream.SAMPLES and not low <= len(there) <= high:
            said.append(f"{len(there)} keys, where there were {low if low == high else f'{low} to {high}'}")
        return said

    def content(self) -> dict[str, str]:
        """How much is in it, part by part, for a person."""
        if not self.server:
            found = files.look(self.room.place)
            tops = sorted(files.printable(each.name) for each in self.room.place.iterdir())
            more = f" and {len(tops) - TOPS} more" if len(tops) > TOPS else ""
            size = f"{len(found.files) - 1} files and folders, {found.size / 1e6:.1f} MB"
            return {"files": f"{size}: {', '.join(tops[:TOPS])}{more}"}
        try:
            said = clients.ask(self.host, self.job, self.server, self._engine, "count", COUNT_SECONDS)
        except DroverError as error:
            raise DroverError(f"the dump does not load: {error}\n{self._last_words()}".rstrip()) from None
        rows = [line.rpartition("\t") for line in said.splitlines() if "\t" in line]
        return {part: number for part, _, number in rows}

    # And after

    def settle(self) -> None:
        """Stop the server with all it has on the disk: its room can be used by another one."""
        if not self.server:
            return
        if self._engine.KEEPS:
            clients.ask(self.host, self.job, self.server, self._engine, "keep", SHELL_SECONDS)
        grace = max(self.server.grace, 60)
        docker.do(self.host.run, ["docker", "stop", f"--time={grace}", self.name], timeout=grace + 60.0)
        docker.do(
            self.host.run, ["docker", "rm", "--force", "--volumes", self.name], allowed="No such container"
        )
        self.server = None

    def end(self) -> None:
        """Its server goes, however it is."""
        with suppress(*TROUBLE):
            docker.do(
                self.host.run,
                ["docker", "rm", "--force", "--volumes", self.name],
                allowed="No such container",
            )
        self.server = None


def _put(staging: Path, place: Path, name: str) -> None:
    """A file in the place of another one, with its owner and mode. A link leads it nowhere else."""
    target = place / name
    if not target.parent.resolve().is_relative_to(place.resolve()):
        raise DroverError(f"{name} leads out of the volume, by a link")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    with files.opened(staging, name) as source, target.open("xb") as made:
        shutil.copyfileobj(source, made, files.CHUNK)
        found = os.fstat(source.fileno())
    os.chown(target, found.st_uid, found.st_gid)
    target.chmod(found.st_mode & 0o7777)


@contextmanager
def passing(copy: Copy) -> Iterator[Copy]:
    """A copy that is gone afterwards, whatever came of it."""
    try:
        yield copy
    finally:
        copy.end()
