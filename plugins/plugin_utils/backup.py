# GPL-3.0-or-later
"""What a host is told of its backups, from the platform's settings. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeGuard, cast

from . import pgbackrest, shape
from .checks import backups
from .forms import mistake, size
from .problem import Problem
from .schema import PLATFORM
from .stack import Data

FORMAT = 1
HEARD, LATER = "*-*-* 02:50:00", 5  # when verdicts of another host are read, and hours that they take
NAME = "drover_platform"
PASSWORD = "/etc/drover/backup.password"  # noqa: S105
ENVIRONMENT = "/etc/drover/backup.env"


class Other(NamedTuple):
    """The host's part in verifications on another host: those that it verifies, and who verifies it."""

    verifies: tuple[object, ...] = ()
    verified_by: object = ""


NOBODY = Other()


def load(given: object, host: str, stacks: object = (), other: Other = NOBODY) -> tuple[Data, list[Problem]]:
    """What `told`, `secrets` and `times` say of a host of that name; or what is wrong.

    `stacks` are the host's, as the inventory has them: does any of them want its database's log kept?
    """
    wrong = list(shape.problems(given, PLATFORM, (NAME,)))
    odd = mistake("logical host", host)
    if odd:
        wrong.append(Problem(("backup_host",), f"it {odd[0]}", odd[1]))
    if wrong:
        return {}, wrong
    platform = cast(Data, shape.filled(given, PLATFORM))
    wrong = [*_odd_hosts(platform, host, other)]
    if wrong:
        return {}, wrong
    where = _repository(platform, host)
    log = bool(where) and pgbackrest.is_supported(where) and keeps_log(stacks)
    found = {
        "told": told(platform, host, other),
        "secrets": {
            **secrets(platform),
            **({pgbackrest.PATH: pgbackrest.text(where, platform)} if log else {}),
        },
        "times": times(platform, other),
        "point_in_time": log,
    }
    return found, list(backups.settings(platform, (NAME, "backup")))


def keeps_log(stacks: object) -> bool:
    """Whether a stack's data asks for a point in time. What is wrong with it, others say."""
    wishes = [each.get("backup") for each in stacks if isinstance(each, Mapping)] if _is_list(stacks) else []
    said = [how for wish in wishes if isinstance(wish, Mapping) for how in wish.values()]
    return any(isinstance(how, Mapping) and how.get("point_in_time") is True for how in said)


def _is_list(stacks: object) -> TypeGuard[Sequence[object]]:
    return isinstance(stacks, list | tuple)


def told(platform: Data, host: str, other: Other = NOBODY) -> Data:
    """What everybody on the host may read; without a repository it makes no backups."""
    backup = platform["backup"]
    return {
        "format": FORMAT,
        "repository": _repository(platform, host),
        "host": host,
        "keep": dict(backup["keep"]),
        # Another host's verdict is heard some hours after the backup that it is of.
        "max_age_hours": backup["max_age_hours"] + (LATER if other.verified_by else 0),
        "reserve_bytes": size(backup["reserve"]),
        "safety_days": backup["safety_days"],
        "verifies": {str(name): _repository(platform, str(name)) for name in other.verifies},
        "verified_by": other.verified_by,
    }


def _odd_hosts(platform: Data, host: str, other: Other) -> Iterator[Problem]:
    """Names of hosts that are none, or its own; a part in this without a repository."""
    named = [(("backup_verifies", index), name) for index, name in enumerate(other.verifies)]
    for path, name in [
        *named,
        *([(("backup_verified_by",), other.verified_by)] if other.verified_by else []),
    ]:
        odd = (
            mistake("logical host", name) if isinstance(name, str) else ("is no text", "write a host's name")
        )
        if odd:
            yield Problem(path, f"it {odd[0]}", odd[1])
        elif name == host:
            yield Problem(path, "it is this host itself", "write another host's backup_host, or remove it")
        elif not platform["backup"]["repository"]:
            yield Problem(path, "there is no repository for backups", f"write {NAME}.backup.repository")


def _repository(platform: Data, host: str) -> str:
    """The host's own, below the one that the client's hosts share."""
    root = platform["backup"]["repository"]
    below = (platform["client"], platform["environment"], host)
    return "/".join([root, *(part for part in below if part)]) if root else ""


def secrets(platform: Data) -> dict[str, str]:
    """What root alone may read, by path."""
    backup = platform["backup"]
    if not backup["repository"]:
        return {}
    lines = "".join(f"{name}={value}\n" for name, value in sorted(backup["environment"].items()))
    return {PASSWORD: f"{backup['password']}\n", **({ENVIRONMENT: lines} if lines else {})}


def times(platform: Data, other: Other = NOBODY) -> dict[str, str]:
    """When each timer starts its service."""
    backup = platform["backup"]
    found = {"backup": backup["schedule"], **{name: backup[name] for name in ("verify", "retention")}}
    return {**found, "verify": HEARD} if other.verified_by else found
