"""What the report of a rebuild tells beside the steps."""

from __future__ import annotations

from ansible_collections.drover.platform.plugins.plugin_utils import rebuild_report, rebuilt

from .test_rebuild_report import JOURNAL

FACTS = {
    "point": "2026-11-30T03:00:00Z",
    "snapshot": "6c7e1f09",
    "how": "the last one",
    "kept_until": "2026-12-03T03:00:00Z",
}
BACK = [{"snapshot": "6c7e1f09aaaa", "text": "is as it was", "at": "2026-11-30 03:01:00"}]
BACKUPS = [{"job": "shop/db", "restored": BACK}, {"job": "shop/new", "restored": []}]


def test_all_parts_are_told() -> None:
    steps = [["freeze", 60, 1.0, ""], ["save", 61, 4.0, ""], ["switch", 80, 12.5, ""]]
    told = {**JOURNAL, "facts": FACTS, "steps": steps}
    found = rebuild_report.pages(told, rebuilt.beside(told, BACKUPS, ["target group web"]))["data"]
    assert found["frozen"] == 32.5 and found["recovery_point"]["snapshot"] == "6c7e1f09"
    assert [each["what"] for each in found["compared"]] == ["shop/db"]
    assert [(each["before"], each["after"]) for each in found["switched"]] == [(told["old"], told["new"])]
    assert [each["until"] for each in found["remains"]] == ["2026-12-03T03:00:00Z"]


def test_what_did_not_happen_is_not_told() -> None:
    told = {**JOURNAL, "facts": {}, "steps": [["freeze", 60, 1.0, ""], ["switch", 80, None, ""]]}
    found = rebuilt.beside(told, [], ["target group web"])
    assert found["recovery_point"] is None and found["frozen"] is None
    assert not found["compared"] and not found["switched"] and not found["remains"]
