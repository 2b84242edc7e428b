# GPL-3.0-or-later
"""What one rebuild did, on a page: as data, for a terminal, and as one HTML file. Pure.

The journal is what the module `journal` returns. What it does not know comes beside it; any of:

    {"recovery_point": {"at": "2026-11-30T03:00:00Z", "snapshot": "6c7e1f09", "how": "the newest"},
     "frozen": 12.5,                                                     # seconds without writes
     "compared": [{"what": "shop/db", "before": "1,204 rows", "after": "1,204 rows", "equal": True}],
     "switched": [{"what": "target group web", "before": "i-old", "after": "i-new"}],
     "remains": [{"what": "instance i-old, stopped", "until": "2026-12-07T03:00:00Z"}]}

Moments are UTC as in the journal; `until` may be empty, for what a person removes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any

Data = dict[str, Any]

FORMAT = 1
BAR = 24  # characters of the longest step's bar
VERBS = {"rebuild": "Rebuild", "failback": "Failback", "retire": "Retirement"}


class Wrong(str):
    """Our own word for what is not well; the same word of somebody else's is none."""


OPEN, DIFFERS = Wrong("not finished"), Wrong("DIFFERS")
POINT = ("at", "snapshot", "how")
LISTS = {
    "compared": ("what", "before", "after", "equal"),
    "switched": ("what", "before", "after"),
    "remains": ("what", "until"),
}


class ReportError(Exception):
    """What is wrong with what the report is to be made of."""


def pages(journal: Mapping[str, Any], beside: Mapping[str, Any]) -> Data:
    """The report three times: `data`, `text` and `html`."""
    found = data(journal, beside)
    return {"data": found, "text": text(found), "html": html(found)}


# Data


def data(journal: Mapping[str, Any], beside: Mapping[str, Any]) -> Data:
    """All that the pages show, as plain data.

    `seconds` counts by AWS's clock for the whole and by the machine's for a step; `other` is what no finished
    step took.
    """
    if not journal:
        raise ReportError("there is no journal to report of")
    unknown = set(beside) - {*LISTS, "recovery_point", "frozen"}
    if unknown:
        raise ReportError(f"{', '.join(sorted(unknown))}: the report has no such part")
    steps = [_step(journal, *each) for each in journal["steps"]]
    whole = (_moment(journal["ended"] or journal["seen"]) - _moment(journal["at"])).total_seconds()
    taken = sum(each["seconds"] or 0 for each in steps)
    point, frozen = beside.get("recovery_point"), beside.get("frozen")
    if frozen is not None and not isinstance(frozen, (int, float)):
        raise ReportError(f"frozen: found {frozen!r}; write seconds")
    same = ("host", "verb", "old", "new", "generation", "lost", "continued")
    return {
        "format": FORMAT,
        **{key: journal[key] for key in same},
        "outcome": journal["outcome"] or OPEN,
        "who": journal["owner"]["who"],
        "began": journal["at"],
        "ended": journal["ended"],
        "seconds": whole,
        "steps": steps,
        "other": round(max(0.0, whole - taken), 1),
        "frozen": None if frozen is None else round(float(frozen), 1),
        "recovery_point": _row("recovery_point", point, POINT) if point else None,
        **{name: [_row(name, each, keys) for each in beside.get(name) or []] for name, keys in LISTS.items()},
    }


def _step(journal: Mapping[str, Any], name: str, began: int, seconds: float | None, note: str) -> Data:
    at = _moment(journal["at"]) + timedelta(seconds=began)
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"name": name, "began": stamp, "seconds": seconds, "note": note}


def _row(name: str, given: Any, keys: Sequence[str]) -> Data:
    """One entry, with exactly these keys, of texts but for `equal`."""
    if not isinstance(given, Mapping) or set(given) != set(keys):
        raise ReportError(f"{name}: an entry has {', '.join(keys)}; found {given!r}")
    if not isinstance(given.get("equal", True), bool):
        raise ReportError(f"{name}: equal is true or false; found {given['equal']!r}")
    row = {key: given[key] if key == "equal" else str(given[key]) for key in keys}
    for said in (row.get("at"), row.get("until")):
        if said:
            _moment(said)
    return row


def _moment(said: str) -> datetime:
    try:
        return datetime.fromisoformat(said.replace("Z", "+00:00"))
    except ValueError:
        raise ReportError(f"{said!r} is no moment; write it as 2026-11-30T03:00:00Z") from None


# Parts that both pages have, in their order: a title, the rows of a table, what is told where there is none

Row = Sequence[str]


def _headline(found: Data) -> str:
    return f"{VERBS[found['verb']]} of {found['host']}: {found['outcome']}, {_span(found['seconds'])}"


def _facts(found: Data) -> Iterator[Row]:
    yield "Began", _shown(found["began"])
    yield "Ended", _shown(found["ended"]) if found["ended"] else OPEN
    yield "By", found["who"] + (f", gone on with {_times(found['continued'])}" if found["continued"] else "")
    old = (found["old"] or "none") + (" (lost)" if found["lost"] else "")
    yield "Instance", f"{old} → {found['new'] or 'none'}, generation {found['generation']}"
    if found["frozen"] is not None:
        yield "Frozen", f"{_span(found['frozen'])} without writes"
    point = found["recovery_point"]
    if point:
        yield "Recovery point", f"{_shown(point['at'])}, snapshot {point['snapshot']}: {point['how']}"
    elif found["verb"] == "rebuild":
        yield "Recovery point", "none stated"


def _compared(found: Data) -> list[Row]:
    return [
        (each["what"], each["before"], each["after"], "equal" if each["equal"] else DIFFERS)
        for each in found["compared"]
    ]


def _switched(found: Data) -> list[Row]:
    return [(each["what"], each["before"], each["after"]) for each in found["switched"]]


def _remains(found: Data) -> list[Row]:
    return [
        (each["what"], f"removed {_shown(each['until'])}" if each["until"] else "removed by hand")
        for each in found["remains"]
    ]


def _parts(found: Data) -> Iterator[tuple[str, Row, list[Row], str]]:
    yield "Compared", ("What", "Before", "After", ""), _compared(found), "Nothing was compared."
    yield "Switched", ("What", "From", "To"), _switched(found), "Nothing was switched."
    yield "To be removed", ("What", "When"), _remains(found), "Nothing remains."


def _took(step: Data) -> str:
    return OPEN if step["seconds"] is None else _span(step["seconds"])


# For a terminal


def text(found: Data) -> str:
    """Plain text, each line without a character that a terminal would obey."""
    lines = [_headline(found), "", *_table(_facts(found)), "", "Time per step"]
    longest = max((each["seconds"] or 0 for each in found["steps"]), default=0) or 1
    rows = [
        (each["name"], _took(each), "█" * round(BAR * (each["seconds"] or 0) / longest), each["note"])
        for each in found["steps"]
    ]
    lines += _table([*rows, ("(other)", _span(found["other"]), "", "")])
    for title, _, entries, none in _parts(found):
        lines += ["", title, *(_table(entries) if entries else [f"  {none}"])]
    return "\n".join(lines) + "\n"


def _table(rows: Iterable[Row]) -> list[str]:
    """Rows of one width each column, two spaces in front and between."""
    plain = [[_visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*plain, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in plain
    ]


def _visible(cell: str) -> str:
    return "".join(each if each.isprintable() else " " for each in cell)


# As HTML

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin: 1.6rem 0 .4rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0 }
tr { border-bottom: 1px solid gray }
td.number { white-space: nowrap } td.bar { width: 30% }
td.bar div { background: #57606a; height: .8rem; margin-top: .35rem }
.wrong { color: #b42318; font-weight: bold }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # so that nothing is fetched or run


def html(found: Data) -> str:
    """One page that needs no other file and has no script; whatever it is told is escaped."""
    head = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(_headline(found))}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
    body = [
        f"<h1>{escape(_headline(found))}</h1>",
        _rows((), [[f"<th>{escape(key)}</th>", _cell(value)] for key, value in _facts(found)]),
        "<h2>Time per step</h2>",
        _rows(("Step", "Began", "Took", "", ""), _step_rows(found)),
    ]
    for title, heads, entries, none in _parts(found):
        body.append(f"<h2>{title}</h2>")
        cells = [[_cell(cell) for cell in row] for row in entries]
        body.append(_rows(heads, cells) if entries else f"<p>{none}</p>")
    return head + "\n".join(body) + "\n</body>\n</html>\n"


def _step_rows(found: Data) -> Iterator[list[str]]:
    longest = max((each["seconds"] or 0 for each in found["steps"]), default=0) or 1
    for each in found["steps"]:
        share = 100 * (each["seconds"] or 0) / longest
        bar = f'<td class="bar"><div style="width: {share:.1f}%"></div></td>'
        took = f'<td class="number">{escape(_took(each))}</td>'
        yield [_cell(each["name"]), _cell(_shown(each["began"])), took, bar, _cell(each["note"])]
    other = f'<td class="number">{escape(_span(found["other"]))}</td>'
    yield [_cell("(other)"), _cell(""), other, _cell(""), _cell("")]


def _cell(value: str) -> str:
    wrong = ' class="wrong"' if isinstance(value, Wrong) else ""
    return f"<td{wrong}>{escape(_visible(value))}</td>"


def _rows(heads: Row, rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are HTML already."""
    head = f"<tr>{''.join(f'<th>{escape(each)}</th>' for each in heads)}</tr>\n" if heads else ""
    return f"<table>\n{head}" + "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows) + "\n</table>"


# Words


def _shown(said: str) -> str:
    return _moment(said).strftime("%Y-%m-%d %H:%M:%S UTC")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _span(seconds: float) -> str:
    """How long that is.

    >>> [_span(each) for each in (0.4, 41.26, 192, 4000)]
    ['0.4 s', '41.3 s', '3 min 12 s', '1 h 6 min']
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
