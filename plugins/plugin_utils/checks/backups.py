# GPL-3.0-or-later
"""What keeps data can be backed up, each under a name of its own; the repository has a key."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..catalogue import DATA_PATHS
from ..derive import backups, files, point_in_time, replicas
from ..forms import mistake
from ..pgbackrest import is_supported
from ..placeholder import why_not
from ..problem import Path, Problem
from ..stack import Data, Stack, entries
from ..words import close_to, listed, odd, quoted

NEEDS = frozenset({"backup", "profiles"})
CACHE = "valkey"  # the engine that may keep nothing
_CREDENTIALS = re.compile(r"(?:rest:|s3:|sftp:)(?:https?:)?(?://)?[^/@]*:[^/@]*@")
_OF_AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_OURS = ("RESTIC_REPOSITORY", "RESTIC_PASSWORD")
_SOURCE = "from a lookup or a vault"


def problems(stack: Stack) -> Iterator[Problem]:
    """Names that nothing has, databases without a place for their data, two backups of one name."""
    yield from _unknown(stack)
    for name, engine in backups.databases(stack).items():
        if stack.data["backup"].get(name, True):
            yield from _replicas(stack, name)
            yield from _place(stack, name, engine)
    yield from _points(stack)
    yield from _names(stack)
    if stack.data["deploy"]["backup"] == "before" and not stack.platform["backup"]["repository"]:
        fix = "write drover_platform.backup.repository, or never"
        yield stack.problem(("deploy", "backup"), "there is no repository for backups", fix)


def instead(stack: Stack, said: bool) -> str:
    """What to write where one word was said of all that the stack keeps."""
    names = _known(stack)
    if not names:
        return "remove it: the stack keeps no data"
    if said:
        return "remove it: all that the stack keeps is backed up"
    return f"write {{{listed(f'{name}: false' for name in names)}}}"


def _known(stack: Stack) -> list[str]:
    return sorted({*backups.databases(stack), *(name for _, name in backups.volumes(stack))})


def _unknown(stack: Stack) -> Iterator[Problem]:
    known, kinds = _known(stack), backups.databases(stack)
    holding = {name: backups.data_mount(stack, name, kind) for name, kind in kinds.items()}
    holders = {mount.name: name for name, mount in holding.items() if mount}
    for name in stack.data["backup"]:
        if name in holders and name not in known:
            found = f"{quoted(name)} is the data of {holders[name]}"
            yield stack.problem(("backup", name), found, f"write {holders[name]}")
        elif name not in known:
            found = f"the stack keeps no data called {quoted(name)}{close_to(name, known)}"
            yield stack.problem(
                ("backup", name), found, f"write one of: {listed(known)}" if known else "remove it"
            )


def _points(stack: Stack) -> Iterator[Problem]:
    """A point in time where there is no log, no place for it, or no way to tell the server."""
    engines = backups.databases(stack)
    for name in (each for each in stack.data["backup"] if point_in_time.wanted(stack, each)):
        path = ("backup", name, "point_in_time")
        where = stack.platform["backup"]["repository"] or ""
        if engines.get(name) != "postgres":
            yield stack.problem(path, f"{quoted(name)} is no service with PostgreSQL", "remove it")
            continue
        if not where:
            fix = "write drover_platform.backup.repository, or remove it"
            yield stack.problem(path, "there is no repository for backups", fix)
        elif not is_supported(where):
            fix = "write a repository of the kind s3: (over https) or a folder, or remove it"
            yield stack.problem(path, "pgBackRest does not reach a repository of this kind", fix)
        yield from _command(stack, name)


def _command(stack: Stack, name: str) -> Iterator[Problem]:
    service, asked = stack.services[name], f"which backup.{name}.point_in_time needs"
    own = point_in_time.archives_itself(service)
    if own:
        at = ("services", name, "command")
        yield stack.view.problem(at, f"it sets {own}, {asked}", "remove it, the platform sets it")
    if not point_in_time.starts_server(service):
        key = "entrypoint" if service.get("entrypoint") else "command"
        found = f"no settings can stand after it, {asked}"
        yield stack.view.problem(("services", name, key), found, "write a command that begins with postgres")


def _replicas(stack: Stack, name: str) -> Iterator[Problem]:
    count = replicas.wanted(stack.services[name])
    if count > 1:
        key, _ = replicas.written(stack.services[name])
        yield stack.view.problem(
            ("services", name, *key.split(".")),
            f"the database runs {count} times, and nothing says which one holds the data",
            f"write one replica, or {_left_out(name)}",
        )


def _place(stack: Stack, name: str, engine: str) -> Iterator[Problem]:
    """A database whose data no backup could bring back; one that only caches may have no place for it."""
    if backups.data_mount(stack, name, engine) or engine == CACHE:
        return
    path = backups.data_path(stack, name, engine)
    elsewhere = _host_folder(stack, name, path)
    found = (
        f"its data lies in {quoted(elsewhere)}, which no backup covers"
        if elsewhere
        else "the database keeps its data only as long as its container"
    )
    label = f'the label {backups.LABEL}: "{backups.NO_DATABASE}" if it is no database'
    fix = f"mount a volume of the file at {path}, or {_left_out(name)}, or {label}"
    yield stack.view.problem(("services", name), found, fix)


def _host_folder(stack: Stack, name: str, path: str) -> str | None:
    """The folder of the host that is mounted where the data lies."""
    for mount in entries(stack.services[name], "volumes"):
        source = str(mount.get("source") or "")
        if source.startswith("/") and backups.near(str(mount.get("target")), path):
            return source
    return None


def _left_out(name: str) -> str:
    return f"backup: {{{name}: false}} for this stack"


def _names(stack: Stack) -> Iterator[Problem]:
    """Backups are told apart by their names alone."""
    seen = {job["name"]: "database" for job in backups.candidates(stack) if job["engine"] in DATA_PATHS}
    for kind, name in sorted(backups.volumes(stack), reverse=True):
        wrong = mistake("job", name)
        if wrong:
            yield stack.view.problem(_mounted(stack, name), f"the folder {quoted(name)} {wrong[0]}", wrong[1])
        elif name in seen and stack.data["backup"].get(name, True):
            yield _double(stack, name, seen[name], kind)
        seen.setdefault(name, kind)


def _double(stack: Stack, name: str, one: str, other: str) -> Problem:
    found = f"{quoted(name)} would be the name of two backups, of a {one} and of a {other}"
    if other == "volume":
        stays = f"and name: {backups.volume_name(stack, name)} for what it holds by now"
        return stack.view.problem(("volumes", name), found, f"write another key for the volume, {stays}")
    return stack.view.problem(_mounted(stack, name), found, "mount a folder of another name")


def _mounted(stack: Stack, folder: str) -> Path:
    """Where the file mounts the folder of data."""
    return next(
        ("services", name, "volumes", index)
        for name, service in stack.services.items()
        for index, mount in enumerate(entries(service, "volumes"))
        if files.data_folder(mount) == folder
    )


def settings(platform: Data, path: Path) -> Iterator[Problem]:
    """Credentials in the address, a key that is missing or none, AWS's keys, and a retention of nothing."""
    backup = platform["backup"]
    if _CREDENTIALS.match(backup["repository"] or ""):
        found = "its address holds a password"
        yield Problem((*path, "repository"), found, "write user and password under environment")
    if backup["password"] is not None:
        yield from _secret(backup["password"], (*path, "password"))
    elif backup["repository"]:
        yield Problem(path, 'the key "password" is missing', f"write the repository's key, {_SOURCE}")
    for name, value in backup["environment"].items():
        yield from _variable(name, value, (*path, "environment", name))
    if not any(backup["keep"].values()):
        yield Problem((*path, "keep"), "no backup would stay", "write 1 or more for one of them")


def _variable(name: str, value: str, path: Path) -> Iterator[Problem]:
    if name in _OF_AWS:
        found = "in AWS the instance's own role counts, and no key lies on a host"
        yield Problem(path, found, "remove it, and let the role reach the bucket")
    elif name.startswith(_OURS):
        yield Problem(path, "the platform sets this name itself", "remove it")
    else:
        yield from _secret(value, path)


def _secret(value: str, path: Path) -> Iterator[Problem]:
    """One line, and a real one."""
    wrong = why_not(value)
    if wrong:
        yield Problem(path, f"found {wrong}", f"write the real value, {_SOURCE}")
    elif any(map(odd, value)):
        yield Problem(path, "found several lines, or a character that nobody sees", "write one line of text")
