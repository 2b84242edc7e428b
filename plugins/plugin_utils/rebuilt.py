# GPL-3.0-or-later
"""What a rebuild did beside its steps: out of its journal, and of what the new host says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

Data = Mapping[str, Any]


def beside(journal: Data, backups: Iterable[Data], leads: Iterable[str]) -> dict[str, Any]:
    """As `rebuild_report` wants it.

    `backups` are those of `drover status --json`, `leads` is what leads requests to the host.
    """
    facts = journal.get("facts") or {}
    point = {"at": facts.get("point"), "snapshot": facts.get("snapshot", ""), "how": facts.get("how", "")}
    old, new = journal["old"] or "none", journal["new"] or "none"
    kept = {"what": f"instance {old}, stopped (playbooks/expire.yml)", "until": facts.get("kept_until")}
    return {
        "recovery_point": point if point["at"] else None,
        "frozen": frozen(journal),
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
            {"what": what, "before": old, "after": new}
            for what in leads
            if _ended(journal["steps"], "switch") is not None
        ],
        "remains": [kept] if kept["until"] else [],
    }


def frozen(journal: Data) -> float | None:
    """Seconds from the first freeze until requests went to the new instance alone.

    >>> steps = [("freeze", 100, 2.0, ""), ("switch", 130, 11.5, "")]
    >>> frozen({"at": "2026-12-01T08:00:00Z", "steps": steps, "facts": {"frozen": "2026-12-01T08:01:30Z"}})
    51.5
    """
    began = next((began for name, began, *_ in journal["steps"] if name == "freeze"), None)
    ended = _ended(journal["steps"], "switch")
    if began is None or ended is None:
        return None
    first = (journal.get("facts") or {}).get("frozen")  # a run that goes on freezes again
    if first:
        began = (datetime.fromisoformat(first) - datetime.fromisoformat(journal["at"])).total_seconds()
    return round(ended - began, 1)


def _ended(steps: Iterable[tuple[str, int, float | None, str]], wanted: str) -> float | None:
    return next((began + took for name, began, took, _ in steps if name == wanted and took is not None), None)
