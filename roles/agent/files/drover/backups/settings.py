# GPL-3.0-or-later
"""Where backups go, how long they are kept, and what counts as too old: what the playbook said."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from drover.fields import get, number
from drover.layout import Layout
from drover.run import DroverError

SPANS = ("hourly", "daily", "weekly", "monthly")
VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")


class Settings(NamedTuple):
    """`repository` is restic's own notation; `max_age` is in seconds, `reserve` in bytes."""

    repository: str
    host: str
    keep: Mapping[str, int]
    max_age: float
    reserve: int
    safety_days: int
    environment: Mapping[str, str] = {}
    verifies: Mapping[str, str] = {}  # other host → its repository
    verified_by: str = ""  # the host that does it for this one


def read(layout: Layout) -> Settings | None:
    """None where the inventory names no repository."""
    path = layout.backup
    try:
        raw = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DroverError(f"{path}: cannot be read: {error}") from None
    where = str(path)
    if not isinstance(raw, Mapping):
        raise DroverError(f"{where}: not a mapping")
    if not get(raw, "repository", str, where):
        return None
    keep = get(raw, "keep", dict, where)
    return Settings(
        repository=raw["repository"],
        host=get(raw, "host", str, where),
        keep={span: number(keep, span, 0, 10_000, f"{where}: keep") for span in SPANS},
        max_age=3600.0 * number(raw, "max_age_hours", 1, 10_000, where),
        reserve=number(raw, "reserve_bytes", 0, 2**60, where),
        safety_days=number(raw, "safety_days", 0, 10_000, where),
        environment=_environment(layout),
        # Not there until the playbook has come to it after the agent.
        verifies=get({"verifies": {}, **raw}, "verifies", dict, where),
        verified_by=get({"verified_by": "", **raw}, "verified_by", str, where),
    )


def need(layout: Layout) -> Settings:
    """The settings, or why there are no backups."""
    found = read(layout)
    if found is None:
        raise DroverError("no backups are made here: drover_platform.backup.repository is not set")
    return found


def word(layout: Layout, text: str) -> str:
    """The same for the same text; nobody guesses it without the repository's password."""
    password = layout.backup.with_name("backup.password").read_bytes()
    return hmac.new(password, text.encode(), "sha256").hexdigest()[:32]


def _environment(layout: Layout) -> dict[str, str]:
    """What a repository that is not AWS's wants to know."""
    try:
        lines = layout.backup.with_name("backup.env").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {found[1]: found[2] for line in lines if (found := VARIABLE.fullmatch(line))}
