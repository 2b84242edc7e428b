# GPL-3.0-or-later
"""What a rebuild did beside its steps: out of its journal, and of what the new host says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Data = Mapping[str, Any]


def beside(journal: Data, backups: Iterable[Data], target_groups: Iterable[str]) -> dict[str, Any]:
    """As `rebuild_report` wants it; `backups` are those of `drover status --json`."""
    facts = journal.get("facts") or {}
    point = {"at": facts.get("point"), "snapshot": facts.get("snapshot", ""), "how": facts.get("how", "")}
    old, new = journal["old"] or "none", journal["new"] or "none"
    kept = {"what": f"instance {old}, stopped (playbooks/expire.yml)", "until": facts.get("kept_until")}
    return {
        "recovery_point": point if point["at"] else None,
        "frozen": frozen(journal["steps"]),
        "compared": [
            {
                "what": each["job"],
                "before": f"snapshot {back['snapshot'][:8]}",
                "after": back["text"],
                "equal": True,  # else it would not be in its place
            }
            for each in backups
            for back in each.get("restored") or ()
        ],
        "switched": [
            {"what": f"target group {name}", "before": old, "after": new}
            for name in target_groups
            if _ended(journal["steps"], "switch") is not None
        ],
        "remains": [kept] if kept["until"] else [],
    }


def frozen(steps: Iterable[tuple[str, int, float | None, str]]) -> float | None:
    """Seconds from the beginning of the freeze until requests went to the new instance alone.

    >>> frozen([("freeze", 100, 2.0, ""), ("switch", 130, 11.5, "")])
    41.5
    """
    steps = list(steps)
    began = next((began for name, began, *_ in steps if name == "freeze"), None)
    ended = _ended(steps, "switch")
    return None if began is None or ended is None else round(ended - began, 1)


def _ended(steps: Iterable[tuple[str, int, float | None, str]], wanted: str) -> float | None:
    return next((began + took for name, began, took, _ in steps if name == wanted and took is not None), None)
