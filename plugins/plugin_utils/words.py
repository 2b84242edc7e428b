# GPL-3.0-or-later
"""How values and names are written in messages, and which characters no name may hold."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

_LONGEST = 60
_KINDS = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
}


def quoted(value: object) -> str:
    """The value on one short line, with odd characters written as their code points."""
    if isinstance(value, str):
        return f'"{visible(value[:_LONGEST])}{"…" if len(value) > _LONGEST else ""}"'
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)[:_LONGEST] if isinstance(value, int | float) else kind(value)


def kind(value: object) -> str:
    """What sort of value it is, in words."""
    return "nothing" if value is None else _KINDS.get(type(value), type(value).__name__)


def visible(text: str) -> str:
    """The text with control, invisible and direction-changing characters written as U+XXXX."""
    return "".join(f"<{code_point(char)}>" if odd(char) else char for char in text)


def odd(char: str) -> bool:
    """Whether the character cannot be seen or changes what is seen."""
    return unicodedata.category(char) in {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


def unwritable(text: str) -> str | None:
    """The first character that no text file holds (controls but for line ends and tabs, half of a pair)."""
    bad = (char for char in text if unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\r\t")
    return next((code_point(char) for char in bad), None)


def code_point(char: str) -> str:
    """The character's number and name: `U+202E RIGHT-TO-LEFT OVERRIDE`."""
    return f"U+{ord(char):04X} {unicodedata.name(char, 'a control character')}"


def strange(text: str) -> str | None:
    """The first character outside plain ASCII, by code point; None where there is none."""
    return next((code_point(char) for char in text if not (" " <= char <= "~")), None)


def close_to(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` when one known word is close, else nothing."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f'; did you mean "{found[0]}"?' if found else ""


def listed(words: Iterable[str]) -> str:
    """The words in order, separated by commas."""
    return ", ".join(words)
