# GPL-3.0-or-later
"""Bringing about what packages.py finds missing."""

from __future__ import annotations

import hashlib
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .disk import HostError
from .packages import (
    CONFIGURE_COMMAND,
    LIST_COMMAND,
    LOCK_SECONDS,
    LOCKED,
    MEND_COMMAND,
    UPDATE_COMMAND,
    Source,
    chosen,
    distribution,
    environment,
    hold_command,
    install_command,
    is_half_done,
    missing,
    not_held,
    parse_list,
)
from .run import run
from .tree import File, Folder, Tree, carry_out, plan

_LISTS = Path("/var/lib/apt/lists")
_LISTS_SECONDS = 3600


def bring_packages(wanted: Mapping[str, Any], dry: bool) -> list[str]:
    """Carry out the `packages` option of the install module; the steps taken, or in a dry run to take."""
    special = chosen(wanted["by_distribution"], distribution(Path("/etc/os-release").read_text()))
    steps = put_source(Source(**special["source"]), dry) if special.get("source") else []
    known, settings, refresh = _known(), environment(wanted["start"]), bool(steps)
    if is_half_done(known):
        steps.append("complete an interrupted run of dpkg")
        if not dry:
            _complete(settings)
            known = _known()
    lacking = missing([*wanted["present"], *special.get("present", [])], known)
    if lacking:
        steps.append(f"install {' '.join(lacking)}")
        if not dry:
            _install(lacking, settings, refresh)
            known = _known()
    free = not_held(wanted["hold"], known)
    if free:
        steps.append(f"hold {' '.join(free)}")
        if not dry:
            _apt(hold_command(free), settings)
    return steps


def _known() -> dict[str, str]:
    answer = run(LIST_COMMAND)
    if answer.code != 0:
        raise HostError(f"{LIST_COMMAND[0]}: {answer.said}")
    return parse_list(answer.out)


def _complete(settings: Mapping[str, str]) -> None:
    """What was unpacked is configured; what lacks a dependency or was unpacked by half, apt mends."""
    run(CONFIGURE_COMMAND, settings)
    _apt(MEND_COMMAND, settings)


def _install(packages: list[str], settings: Mapping[str, str], refresh: bool) -> None:
    """Lists that turn out to be too old for it are fetched once more."""
    if refresh or _lists_age() > _LISTS_SECONDS:
        _apt(UPDATE_COMMAND, settings)
        _apt(install_command(packages), settings)
        return
    try:
        _apt(install_command(packages), settings)
    except HostError:
        _install(packages, settings, refresh=True)


def _apt(command: Sequence[str], settings: Mapping[str, str]) -> None:
    """Run one command, again for as long as somebody else holds a lock that it does not wait for itself."""
    until = time.monotonic() + LOCK_SECONDS
    while True:
        answer = run(command, settings)
        if answer.code == 0:
            return
        if not any(sign in answer.error for sign in LOCKED) or time.monotonic() > until:
            raise HostError(f"{' '.join(command)}: {answer.said}")
        time.sleep(2)


def _lists_age() -> float:
    """Seconds since apt's lists were fetched; for ever if there are none."""
    if not any(_LISTS.glob("*_Packages*")):
        return float("inf")
    return time.time() - max(_LISTS.stat().st_mtime, (_LISTS / "partial").stat().st_mtime)


def put_source(source: Source, dry: bool) -> list[str]:
    """The repository's key and entry; a dry run fetches nothing."""
    key = b"" if dry and not Path(source.key_path).exists() else _key(source)
    tree = Tree(
        folders=(Folder("/etc/apt/keyrings", keep=True),),
        files=(File(source.key_path, key), File(source.path, source.text.encode())),
    )
    changes = plan(tree, lenient=dry)
    if changes and not dry:
        carry_out(tree, changes)
    return [f"put {change.path}" for change in changes]


def _key(source: Source) -> bytes:
    """Fetched unless it is there, and in either case compared with its checksum."""
    there = Path(source.key_path)
    if there.is_file() and hashlib.sha256(there.read_bytes()).hexdigest() == source.key_sha256:
        return there.read_bytes()
    try:
        with urllib.request.urlopen(source.key_url, timeout=30) as answer:  # noqa: S310 - https, of the role
            key = bytes(answer.read(1_000_000))
    except urllib.error.URLError as error:
        raise HostError(f"{source.key_url}: {error.reason}") from error
    if hashlib.sha256(key).hexdigest() != source.key_sha256:
        raise HostError(f"{source.key_url}: its checksum is not {source.key_sha256}; nothing was trusted")
    return key
