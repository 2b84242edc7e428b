# GPL-3.0-or-later
"""Bringing about what units.py finds different."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .errors import HostError
from .run import run
from .units import (
    Step,
    Wanted,
    command,
    declined,
    is_masked,
    is_up,
    last_change,
    needs_daemon_reload,
    parse_shown,
    show_command,
    steps,
)

_LINES = 15


def wanted_units(items: Iterable[Mapping[str, Any]]) -> list[Wanted]:
    """From the `units` option of the module."""
    return [
        Wanted(
            item["name"],
            item["enabled"],
            None if item["state"] is None else item["state"] == "started",
            tuple(item["follows"]),
            item["on_change"],
        )
        for item in items
    ]


def bring_units(units: Sequence[Wanted], dry: bool, touched: Iterable[str] = ()) -> list[str]:
    """The steps that changed something. `touched`: paths that a dry run would have written by now."""
    if not units:
        return []
    names = [unit.name for unit in units]
    shown = _show(names)
    if not dry and needs_daemon_reload(shown):
        _do(["systemctl", "daemon-reload"])
        shown = _show(names)
    would = set(touched)
    done = [step for unit in units for step in _bring(unit, shown[unit.name], dry, would)]
    left = [f"{name}: is masked, left alone" for name in names if is_masked(shown[name]) and not dry and done]
    return [str(step) for step in done] + left


def _bring(wanted: Wanted, unit: Mapping[str, str], dry: bool, touched: set[str]) -> list[Step]:
    changed = {path: float("inf") if path in touched else last_change(path) for path in wanted.follows}
    todo = steps(wanted, unit, changed)
    if dry:
        return [step for step in todo if step.verb != "start" or not declined(unit)]
    for step in todo:
        if step.verb == "restart" or unit["ActiveState"] == "failed":
            # also takes back the count of recent starts: docker.service allows three a minute
            _carry_out(Step("reset-failed", wanted.name))
        _carry_out(step)
    if any(step.verb == "start" for step in todo):
        after = _show([wanted.name])[wanted.name]
        return [step for step in todo if step.verb != "start" or is_up(after) or not declined(after)]
    return todo


def _show(names: list[str]) -> dict[str, dict[str, str]]:
    return parse_shown(_do(show_command(names)), names)


def _do(words: Sequence[str]) -> str:
    answer = run(words)
    if answer.code != 0:
        raise HostError(f"{' '.join(words)}: {answer.said}")
    return answer.out


def _carry_out(step: Step) -> None:
    """One step; its failure is told with what the unit last said."""
    answer = run(command(step))
    if answer.code == 0:
        return
    journal = ["journalctl", "--no-pager", "--output=cat", f"--lines={_LINES}", f"--unit={step.unit}"]
    raise HostError(f"{step}: {answer.said}\n{run(journal).out.strip()}")
