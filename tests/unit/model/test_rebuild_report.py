# GPL-3.0-or-later
"""The report of a rebuild: what it counts, and that nothing it is told gets out of its place."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.drover.platform.plugins.filter.rebuild_report import of
from ansible_collections.drover.platform.plugins.module_utils import journal as journals
from ansible_collections.drover.platform.plugins.plugin_utils import rebuild_report
from hypothesis import given
from hypothesis import strategies as st

OWNER = journals.Owner("sam@laptop", "m1", 100, "token")
JOURNAL = journals.dump(
    journals.Journal(
        id="1",
        verb="rebuild",
        host="web",
        owner=OWNER,
        at="2026-11-30T03:00:00Z",
        seen="2026-11-30T03:03:12Z",
        ended="2026-11-30T03:03:12Z",
        outcome="done",
        old="i-old",
        new="i-new",
        generation=2,
        continued=1,
        steps=(
            journals.Step("launch", 0, 41.3, "i-new"),
            journals.Step("restore", 42, 120.0),
            journals.Step("switch", 170, 10.0),
        ),
    )
)
BESIDE: dict[str, Any] = {
    "recovery_point": {"at": "2026-11-30T02:59:40Z", "snapshot": "6c7e1f09", "how": "the newest"},
    "frozen": 12.5,
    "compared": [{"what": "shop/db", "before": "1,204 rows", "after": "1,204 rows", "equal": True}],
    "switched": [{"what": "target group web", "before": "i-old", "after": "i-new"}],
    "remains": [
        {"what": "instance i-old, stopped", "until": "2026-12-07T03:00:00Z"},
        {"what": "the monitor", "until": ""},
    ],
}

TEXT = """\
Rebuild of web: done, 3 min 12 s

  Began           2026-11-30 03:00:00 UTC
  Ended           2026-11-30 03:03:12 UTC
  By              sam@laptop, gone on with once
  Instance        i-old → i-new, generation 2
  Frozen          12.5 s without writes
  Recovery point  2026-11-30 02:59:40 UTC, snapshot 6c7e1f09: the newest

Time per step
  launch   41.3 s     ████████                  i-new
  restore  2 min 0 s  ████████████████████████
  switch   10.0 s     ██
  (other)  20.7 s

Compared
  shop/db  1,204 rows  1,204 rows  equal

Switched
  target group web  i-old  i-new

To be removed
  instance i-old, stopped  removed 2026-12-07 03:00:00 UTC
  the monitor              removed by hand
"""


class Page(HTMLParser):
    """Its tags with attributes, and its texts."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "what opens last closes first"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_for_a_terminal() -> None:
    assert rebuild_report.pages(JOURNAL, BESIDE)["text"] == TEXT


def test_the_data_is_json_and_counts_what_no_step_took() -> None:
    found = rebuild_report.pages(JOURNAL, BESIDE)["data"]
    assert json.loads(json.dumps(found)) == found
    assert (found["seconds"], found["other"], found["outcome"]) == (192.0, 20.7, "done")
    assert found["steps"][1] == {
        **{"name": "restore", "began": "2026-11-30T03:00:42Z", "seconds": 120.0, "note": ""}
    }
    assert {**found, **BESIDE} == found


def test_the_html_shows_the_same_and_is_one_file_without_a_script() -> None:
    html = rebuild_report.pages(JOURNAL, BESIDE)["html"]
    page = Page(html)
    assert not page.open and not {"script", "link", "img", "iframe", "a", "form"} & {*page.tags}
    assert all(
        name in ("lang", "charset", "http-equiv", "content", "name", "class", "style")
        for name, _ in page.attributes
    )
    cells = [each for each in page.texts if each.strip()]
    for said in ("Rebuild of web: done, 3 min 12 s", "restore", "2 min 0 s", "shop/db", "equal", "i-new"):
        assert said in cells
    assert ("style", "width: 100.0%") in page.attributes and ("style", "width: 34.4%") in page.attributes
    assert (
        "default-src 'none'" in html and "http:" not in html and "https:" not in html and "url(" not in html
    )


def test_what_differs_or_did_not_finish_is_loud() -> None:
    steps = [["restore", 0, None, "verification failed"]]
    broken = {**JOURNAL, "steps": steps, "ended": "", "outcome": "", "lost": True, "old": ""}
    compared = [{"what": "shop/db", "before": "5", "after": 4, "equal": False}]
    found = rebuild_report.pages(broken, {"compared": compared})
    assert "Rebuild of web: not finished" in found["text"]
    assert "  restore  not finished    verification failed" in found["text"]
    assert "shop/db  5  4  DIFFERS" in found["text"]
    assert "none (lost) → i-new" in found["text"] and "Recovery point  none stated" in found["text"]
    assert '<td class="wrong">DIFFERS</td>' in found["html"]
    assert "Nothing was switched." in found["html"] and "Nothing remains." in found["text"]


def test_a_retirement_of_nothing_yet_is_a_page_too() -> None:
    found = rebuild_report.pages({**JOURNAL, "verb": "retire", "steps": []}, {})
    assert found["text"].startswith("Retirement of web: done") and "Recovery point" not in found["text"]


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"repairs": []}, "repairs: the report has no such part"),
        ({"frozen": "12 s"}, "frozen: found '12 s'; write seconds"),
        ({"remains": [{"what": "x"}]}, "remains: an entry has what, until; found {'what': 'x'}"),
        ({"remains": [{"what": "x", "until": "Monday"}]}, "'Monday' is no moment"),
        ({"compared": [{"what": "x", "before": "", "after": "", "equal": "no"}]}, "equal is true or false"),
        ({"switched": ["x"]}, "switched: an entry has what, before, after; found 'x'"),
        ({"recovery_point": {"at": "x"}}, "recovery_point: an entry has at, snapshot, how"),
    ],
)
def test_what_the_report_cannot_show_is_refused(beside: dict[str, Any], said: str) -> None:
    with pytest.raises(rebuild_report.ReportError) as refused:
        rebuild_report.pages(JOURNAL, beside)
    assert said in str(refused.value)


def test_without_a_journal_there_is_no_report() -> None:
    with pytest.raises(AnsibleFilterError, match="there is no journal to report of"):
        of({})


ANY = st.text(max_size=12) | st.sampled_from(
    ["<script>alert(1)</script>", "\x1b[31m", '"><b>', "&amp;", "]]>", "not finished", "DIFFERS"]
)


@given(ANY, ANY, ANY, ANY)
def test_nothing_that_is_told_gets_out_of_its_cell(note: str, who: str, what: str, until: str) -> None:
    told = {**JOURNAL, "owner": {**OWNER._asdict(), "who": who}, "steps": [["launch", 0, 1.0, note]]}
    beside = {
        "switched": [{"what": what, "before": who, "after": until}],
        "recovery_point": {"at": "2026-11-30T03:00:00Z", "snapshot": what, "how": note},
    }
    found = rebuild_report.pages(told, beside)
    plain = rebuild_report.pages(
        {**JOURNAL, "steps": [["launch", 0, 1.0, ""]]},
        {**beside, "switched": [{"what": "", "before": "", "after": ""}]},
    )
    page, other = Page(found["html"]), Page(plain["html"])
    assert page.tags == other.tags and page.attributes == other.attributes
    assert found["text"].count("\n") == plain["text"].count("\n")
    for line in [*found["text"].split("\n"), *found["html"].split("\n")]:
        assert line.isprintable()
