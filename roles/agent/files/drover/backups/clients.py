# GPL-3.0-or-later
"""Clients: containers beside a database's that dump it, fill it or ask it.

A client has the image, the variables and the secret files of its server and nothing else: no network of its
own, no capability, no name of a repository. Bytes pass through a pipe in the file system, since those through
Docker cost several times as much and a client of Docker that is killed leaves its program running.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

from drover import docker
from drover.backups.jobs import Job
from drover.backups.servers import Server
from drover.host import Host
from drover.layout import Layout
from drover.run import DroverError, environment

LABEL = "drover.backup"  # of every container and volume that only a backup, or its verification, needs
INSIDE = "/drover"  # where a client sees the pipe
PIPE = "pipe"
LOCK = "backup.lock"  # of whoever makes, verifies or restores backups
CHUNK = 1 << 20
POLL = 0.2  # seconds
SECONDS = 12 * 3600.0  # that one may take
LAST = 4000  # characters of what a client said
SCRATCH_FOLDER = ".drover-scratch-"  # beginning of the name of a data folder that is filled
LOG = ".wal"  # end of the name of a folder with a part of a database's log


def folder(layout: Layout, job: Job) -> Path:
    """Where the pipe of a job is, in memory."""
    return layout.run / "backup" / job.key


def begun(layout: Layout, job: Job) -> Path:
    """The folder, made: a client finds in it what it is told the name of, whatever our umask is."""
    place = folder(layout, job)
    place.mkdir(parents=True, exist_ok=True)
    place.parent.chmod(0o700)
    place.chmod(0o711)
    return place


@contextmanager
def pipe(layout: Layout, job: Job, uid: int) -> Iterator[Path]:
    """A pipe that a client can open, in a folder of its own."""
    path = begun(layout, job) / PIPE
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    os.chown(path, uid, -1)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def command(
    layout: Layout, job: Job, which: Server, engine: ModuleType, words: str, variables: Iterable[str]
) -> list[str]:
    """A client of this server; its variables have their values from the environment of `docker`."""
    return [
        "docker",
        "run",
        "--rm",
        f"--name={client_name(job)}",
        f"--label={LABEL}={job.name}",
        f"--network=container:{which.identity}",
        f"--user={which.uid}:{which.uid}",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--read-only",
        "--tmpfs=/tmp:mode=1777,size=16m",
        f"--memory={engine.MEMORY}",
        "--pids-limit=128",
        "--log-driver=none",
        "--pull=never",
        "--env=HOME=/tmp",
        f"--env=PIPE={INSIDE}/{PIPE}",
        *(f"--env={name}" for name in sorted(variables)),
        *(each.option for each in which.mounts),
        # A pipe is written to all the same; nothing can be put in its place.
        f"--mount=type=bind,source={folder(layout, job)},target={INSIDE},readonly",
        "--entrypoint=sh",
        which.image_id,
        "-c",
        f"{engine.SCRIPT}\n{words}",
    ]


def client_name(job: Job) -> str:
    """One for each job: what an earlier run left is in the way, and goes."""
    return f"drover-dump-{job.key}"


class Client:
    """One run of an engine's function beside a server."""

    def __init__(
        self, host: Host, job: Job, which: Server, engine: ModuleType, words: str, more: Mapping[str, str]
    ) -> None:
        docker.do(
            host.run, ["docker", "rm", "--force", "--volumes", client_name(job)], allowed="No such container"
        )
        variables = {**which.variables, **more}
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the client
        self._process = subprocess.Popen(
            command(host.layout, job, which, engine, words, variables),
            env={**environment(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )

    def ended(self) -> bool:
        """Whether it is over."""
        return self._process.poll() is not None

    def wait(self, seconds: float) -> None:
        """Let it go on for so long at most; TimeoutExpired if it still does."""
        self._process.wait(seconds)

    def finish(self, seconds: float) -> str:
        """Wait for its end; what it said, or an error with its last words."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DroverError(f"no end after {seconds:.0f} s") from None
        self._said.seek(0)
        said = self._said.read().decode("utf-8", "replace")
        if self._process.returncode:
            raise DroverError(said.strip()[-LAST:] or f"ended with {self._process.returncode}")
        return said

    def kill(self) -> None:
        """End the client of Docker; the program behind it loses its pipe, and goes with its container."""
        self._process.kill()
        self._process.wait()


def ask(
    host: Host, job: Job, which: Server, engine: ModuleType, words: str, seconds: float, **more: str
) -> str:
    """Run one of the engine's functions, or another command, beside the server; what it says."""
    begun(host.layout, job)
    try:
        return Client(host, job, which, engine, words, more).finish(seconds)
    finally:
        docker.do(
            host.run, ["docker", "rm", "--force", "--volumes", client_name(job)], allowed="No such container"
        )


def give(host: Host, job: Job, which: Server, engine: ModuleType, words: str, chunks: Iterable[bytes]) -> str:
    """Let one of the engine's functions read these from its pipe; what it says."""
    with pipe(host.layout, job, which.uid) as path:
        client = Client(host, job, which, engine, words, {})
        try:
            write(path, client, chunks)
            return client.finish(SECONDS)
        finally:
            client.kill()


def read(path: Path, client: Client) -> Iterator[bytes]:
    """What the client writes into the pipe, to its end. It may end without having opened it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    widen(descriptor)
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        while True:
            over = client.ended()  # asked before the pipe is, so that nothing written is left in it
            events = waiting.poll(POLL * 1000)
            if events and events[0][1] & select.POLLIN:
                if chunk := os.read(descriptor, CHUNK):
                    yield chunk
            elif over:
                return
            elif events:  # nobody has it open: not yet, or not any more
                with suppress(subprocess.TimeoutExpired):
                    client.wait(POLL)
    finally:
        os.close(descriptor)


def widen(descriptor: int) -> None:
    """A pipe of a chunk's size, so that both ends work at the same time; it works with a smaller one too."""
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, CHUNK)


def write(path: Path, client: Client, chunks: Iterable[bytes]) -> None:
    """Let the client read these. One that ends early has said why; here only nothing must hang."""
    descriptor = _opened(path, client)
    if descriptor is None:
        return
    with os.fdopen(descriptor, "wb", buffering=0) as file, suppress(BrokenPipeError):
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]


def _opened(path: Path, client: Client) -> int | None:
    """The pipe as soon as the client has opened it."""
    while not client.ended():
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError:  # nobody reads yet
            with suppress(subprocess.TimeoutExpired):
                client.wait(POLL)
            continue
        os.set_blocking(descriptor, True)
        widen(descriptor)
        return descriptor
    return None


def tidy(host: Host) -> None:
    """What killed runs left: clients and copies with all they wrote, never what a person asked to keep."""
    named = ["--quiet", f"--filter=label={LABEL}"]
    containers = host.run(["docker", "ps", "--all", *named]).out.split()
    if containers:
        docker.do(
            host.run, ["docker", "rm", "--force", "--volumes", *containers], allowed="No such container"
        )
    volumes = host.run(["docker", "volume", "ls", *named]).out.split()
    if volumes:
        docker.do(host.run, ["docker", "volume", "rm", *volumes], allowed="no such volume")
    shutil.rmtree(host.layout.run / "backup", ignore_errors=True)
    logs = (*host.layout.staging.glob(f"*{LOG}"), *host.layout.staging.glob(f"*{LOG}.of"))
    for place in (*host.layout.stacks.glob(f"*/data/{SCRATCH_FOLDER}*"), *logs):
        shutil.rmtree(place, ignore_errors=True)
