# GPL-3.0-or-later
"""pgBackRest: its commands, its answers. Its key and the repository's address are in no command line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from drover import disk
from drover.backups import jobs, servers
from drover.backups.engines import ENGINES
from drover.backups.jobs import Job
from drover.backups.servers import Server
from drover.host import Host
from drover.run import DroverError, Result

SECRETS = "/run/secrets"  # where a container sees its own
LAST = 600  # characters of what it said
LIMIT = 12 * 3600.0  # seconds for one command
NOT_FOUND = 1  # archive-get: the repository does not have it
STANZA = 28  # its exit code where the repository knows another cluster of this name …
MISMATCH = "ArchiveMismatchError"  # … and what it says then of a segment


# Nobody else sees the mount, and it goes with the program.
WITHIN = 'mkdir -p "$2" && mount --bind "$1" "$2" && shift 2 && exec "$@"'


class Base(NamedTuple):
    """A base backup. Times are seconds since the epoch; `start`, `stop` are places in the log."""

    label: str
    begun: float
    at: float  # when it was whole: from then on it can be restored
    start: str
    stop: str
    archive: str  # where the log of its cluster lies
    timeline: int
    size: int  # of the cluster
    full: bool
    notes: Mapping[str, str]


class ProgramError(DroverError):
    """What pgBackRest said, with its exit code."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


class PgBackRest:
    """One database's part of the repository, which it calls a stanza. `cluster` is a data directory."""

    def __init__(self, host: Host, job: Job, cluster: Path) -> None:
        self._host, self.job, self.cluster = host, job, cluster

    def of(self, cluster: Path) -> PgBackRest:
        """The same for another copy of the cluster."""
        return PgBackRest(self._host, self.job, cluster)

    def command(self, *words: str) -> list[str]:
        """One of its commands."""
        return [
            "pgbackrest",
            f"--config={self._host.layout.pgbackrest}",
            f"--stanza={self.job.key}",
            *words,
        ]

    def run(self, *words: str) -> Result:
        """However it ends."""
        return self._host.run(self.command(*words), timeout=LIMIT, more=_path(self.cluster))

    def do(self, *words: str) -> str:
        """What it says; a failure is told in its words."""
        return _said(self.run(*words))

    def take(self, which: Server, kind: str, notes: Sequence[str], secret: Mapping[str, str]) -> None:
        """A base backup. The server has to name the same data directory, which a mount of our own has."""
        place = data_directory(which)
        words = self.command(*connection(which), f"--type={kind}", *notes, "backup")
        within = ["unshare", "--mount", "sh", "-c", WITHIN, "sh", str(self.cluster), str(place), *words]
        _said(self._host.run(within, timeout=LIMIT, more={**_path(place), **secret}))

    def ready(self) -> None:
        """The repository knows this cluster, also after another one of the same name."""
        try:
            self.do("--no-online", "stanza-create")
        except ProgramError as error:
            if error.code != STANZA:
                raise
            self.do("--no-online", "stanza-upgrade")

    def bases(self) -> list[Base]:
        """All base backups, the newest last."""
        raw = json.loads(self.do("--output=json", "info") or "[]")
        found = [_base(each, _archives(stanza)) for stanza in raw for each in stanza.get("backup") or ()]
        return sorted(found, key=lambda each: each.at)

    def refuse_links(self, label: str) -> None:
        """A link in the data directory is followed by whoever reads it as root, and comes back as a file."""
        raw = json.loads(self.do("--output=json", f"--set={label}", "info"))
        found = [each for stanza in raw for each in stanza["backup"] if each["label"] == label]
        links = [link for each in found for key in ("link", "tablespace") for link in each.get(key) or ()]
        if links or not found:
            told = ", ".join(str(each.get("name") or each.get("destination")) for each in links)
            raise DroverError(
                f"the data directory has links or tablespaces ({told}), which are not supported"
            )

    def history(self, archive: str) -> str:
        """The file that tells of the newest timeline in that log; empty where there is only the first."""
        place = f"archive/{self.job.key}/{archive}"
        names = sorted(self.do("--filter=\\.history$", "repo-ls", place).split())
        return self.do("repo-get", f"{place}/{names[-1]}") if names else ""

    def get(self, name: str, target: Path) -> bool:
        """A file of the log; whether the repository has it."""
        done = self.run("archive-get", name, str(target))
        if done.code not in (0, NOT_FOUND):
            raise ProgramError(done.code, f"pgBackRest: {_last(done)}")
        return not done.code


def _archives(stanza: Mapping[str, Any]) -> dict[int, str]:
    """Cluster → where its log lies."""
    return {each["database"]["id"]: str(each["id"]) for each in stanza.get("archive") or ()}


def _base(raw: Mapping[str, Any], archives: Mapping[int, str]) -> Base:
    return Base(
        label=raw["label"],
        begun=float(raw["timestamp"]["start"]),
        at=float(raw["timestamp"]["stop"]),
        start=str((raw.get("lsn") or {}).get("start") or ""),
        stop=str((raw.get("lsn") or {}).get("stop") or ""),
        archive=archives.get(raw["database"]["id"], ""),
        timeline=int(str(raw["archive"]["stop"])[:8], 16),
        size=int(raw["info"]["size"]),
        full=raw["type"] == "full",
        notes={str(key): str(value) for key, value in (raw.get("annotation") or {}).items()},
    )


def _path(cluster: Path) -> dict[str, str]:
    """By a variable: not every command takes it as an option."""
    return {"PGBACKREST_PG1_PATH": str(cluster)}


def _said(done: Result) -> str:
    if done.code:
        raise ProgramError(done.code, f"pgBackRest: {_last(done)}")
    return done.out


def _last(done: Result) -> str:
    lines = " ".join(line.strip() for line in done.words.splitlines() if line.strip())
    return lines.partition("ERROR: ")[2][:LAST] or lines[:LAST]


# The cluster


def where(host: Host, job: Job) -> tuple[Server, Path]:
    """The database's container, and its data directory as the host sees it."""
    which = servers.of(host, job, ENGINES[job.wanted.engine])
    return which, jobs.folder(host.layout, host.run, job) / inside(job, which)


def inside(job: Job, which: Server) -> str:
    """The data directory below the mount that holds it."""
    place = data_directory(which)
    try:
        return str(place.relative_to(job.wanted.target))
    except ValueError:
        raise DroverError(
            f"{job.name}: its data directory {place} is not below {job.wanted.target}"
        ) from None


def data_directory(which: Server) -> Path:
    """As the server has it."""
    return Path(which.variables.get("PGDATA") or "/var/lib/postgresql/data")


def connection(which: Server) -> list[str]:
    """How pgBackRest reaches the server: by its socket, which lies in the container's own file system."""
    user = which.variables.get("POSTGRES_USER") or "postgres"
    socket = f"/proc/{which.pid}/root/run/postgresql"
    return [f"--pg1-socket-path={socket}", f"--pg1-user={user}", "--pg1-database=template1"]


@contextmanager
def password(host: Host, job: Job, which: Server, place: Path) -> Iterator[dict[str, str]]:
    """A file for root alone, for a server that asks on its socket too; the variable that names it."""
    said = which.variables.get("POSTGRES_PASSWORD") or ""
    secret = Path(which.variables.get("POSTGRES_PASSWORD_FILE") or "/")
    if not said and str(secret.parent) == SECRETS:  # read where the database cannot have put a link
        own = host.layout.secrets(job.wish.stack) / job.wanted.service / secret.name
        said = own.read_text("utf-8").rstrip("\n")
    path = place / "pgpass"
    escaped = said.replace("\\", "\\\\").replace(":", "\\:")
    disk.replace(path, f"*:*:*:*:{escaped}\n", 0o600)
    try:
        yield {"PGPASSFILE": str(path)}
    finally:
        path.unlink(missing_ok=True)
