# GPL-3.0-or-later
"""systemd units: what `systemctl show` says, what is wanted, and the commands between the two."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "NeedDaemonReload",
    "ConditionResult",
    "ConditionTimestamp",
    "ExecMainStartTimestamp",
    "InactiveExitTimestamp",
    "StateChangeTimestamp",
)
_UP = ("active", "activating", "reloading", "refreshing")
_ENABLED = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated", "linked")


@dataclass(frozen=True)
class Wanted:
    """`enabled`, `started` None: not ours to say. `follows`: files and folders that it reads at its start."""

    name: str
    enabled: bool | None = None
    started: bool | None = None
    follows: tuple[str, ...] = ()
    on_change: str = "restart"


@dataclass(frozen=True)
class Step:
    """One systemctl verb on one unit, and why."""

    verb: str
    unit: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.unit}: {self.verb}" + (f" ({self.why})" if self.why else "")


def show_command(units: Sequence[str]) -> list[str]:
    return ["systemctl", "show", "--timestamp=us+utc", f"--property={','.join(PROPERTIES)}", "--", *units]


def parse_shown(text: str, units: Sequence[str]) -> dict[str, dict[str, str]]:
    """The blocks of `systemctl show`, which come in the order asked for, by the name asked for."""
    blocks = text.strip("\n").split("\n\n")
    return {
        unit: dict(line.partition("=")[::2] for line in block.splitlines())
        for unit, block in zip(units, blocks, strict=True)
    }


def seconds(timestamp: str) -> float:
    """`Thu 2025-11-20 22:12:11.123456 UTC` as Unix time; 0 for none."""
    words = timestamp.split()
    if len(words) != 4:
        return 0.0
    form = "%Y-%m-%d %H:%M:%S.%f" if "." in words[2] else "%Y-%m-%d %H:%M:%S"
    return datetime.strptime(f"{words[1]} {words[2]}", form).replace(tzinfo=timezone.utc).timestamp()


def needs_daemon_reload(shown: Mapping[str, Mapping[str, str]]) -> bool:
    """Systemd knows an older version of a unit's file, or has not looked for one since it appeared."""
    return any(
        unit["NeedDaemonReload"] == "yes" or unit["LoadState"] == "not-found" for unit in shown.values()
    )


def is_masked(unit: Mapping[str, str]) -> bool:
    return unit["LoadState"] == "masked"


def is_up(unit: Mapping[str, str]) -> bool:
    return unit["ActiveState"] in _UP


def declined(unit: Mapping[str, str]) -> bool:
    """It was asked to start and its own Condition… lines said no (time synchronization in a container)."""
    return unit["ConditionResult"] == "no" and seconds(unit["ConditionTimestamp"]) > 0


def steps(wanted: Wanted, unit: Mapping[str, str], changed: Mapping[str, float]) -> list[Step]:
    """What brings one unit to what is wanted. `changed`: path → when it last changed, 0 if missing."""
    missed = wanted.started or wanted.enabled
    if is_masked(unit) or (unit["LoadState"] == "not-found" and not missed):
        return []
    return [*_enablement(wanted, unit), *_activity(wanted, unit, changed)]


def _enablement(wanted: Wanted, unit: Mapping[str, str]) -> list[Step]:
    enabled = unit["UnitFileState"] in _ENABLED
    if wanted.enabled is None or wanted.enabled == enabled:
        return []
    if not wanted.enabled and unit["UnitFileState"] in ("static", "alias", "indirect", "generated", ""):
        return []
    return [Step("enable" if wanted.enabled else "disable", wanted.name)]


def _activity(wanted: Wanted, unit: Mapping[str, str], changed: Mapping[str, float]) -> list[Step]:
    if wanted.started is False:
        return [Step("stop", wanted.name)] if is_up(unit) else []
    if not is_up(unit):
        return [Step("start", wanted.name, _why_down(unit))] if wanted.started else []
    newer = [path for path in wanted.follows if changed[path] > _read_at(wanted, unit)]
    if newer:
        return [Step(wanted.on_change, wanted.name, f"{', '.join(newer)} changed after it read it")]
    return []


def _why_down(unit: Mapping[str, str]) -> str:
    return "" if unit["LoadState"] == "loaded" else unit["LoadState"]


def _read_at(wanted: Wanted, unit: Mapping[str, str]) -> float:
    """When the running unit read its configuration: when its process began, or was last reloaded."""
    began = seconds(unit.get("ExecMainStartTimestamp", "")) or seconds(unit["InactiveExitTimestamp"])
    return max(began, seconds(unit["StateChangeTimestamp"])) if wanted.on_change == "reload" else began


def last_change(path: str | Path) -> float:
    """Of a file its content, owner, mode or name; of a folder also of what is in it. 0 if missing."""
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        return 0.0
    inside = Path(path).iterdir() if stat.S_ISDIR(status.st_mode) else ()
    return max([status.st_mtime, status.st_ctime, *map(last_change, inside)])


def command(step: Step) -> list[str]:
    return ["systemctl", step.verb, "--", step.unit]
