# GPL-3.0-or-later
"""Values that stand where a secret should: they must never reach a host."""

from __future__ import annotations

import re

_PLACEHOLDER = re.compile(
    r"(change|replace|fill|insert|put|enter|your|my)"
    r"([-_ ]?(me|this|it|in|the|a|your|value|password|passwd|secret|key|token|here|now|please|with|strong"
    r"|random|real))+[!.]*"
    r"|to[-_ ]?do|tbd|fix[-_ ]?me|x{3,}|\*{3,}|\.{3,}|-{3,}|_{3,}|placeholder|dummy|sample"
    r"|example([-_ .].*)?|none|null|undefined",
    re.IGNORECASE,
)
_GUESSABLE = re.compile(
    r"((super|top)[-_ ]?)?secret([-_ ]?(key|value))?|pass(word|wd|phrase)?[0-9!]{0,4}"
    r"|qwerty|letmein|test(ing)?|foo(bar)?|0+|1234(5(6(7(8(90?)?)?)?)?)?|abc(123)?",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"<[^<>]*>|\{\{.*\}\}|\$\{[^}]*\}", re.DOTALL)


def why_not(value: object) -> str | None:
    """What is wrong with the value as a secret, in words that give no real one away; None if nothing."""
    text = "" if value is None else str(value).strip()
    if not text:
        return "an empty value"
    if _BRACKETED.fullmatch(text):
        return "a placeholder in brackets"
    if _PLACEHOLDER.fullmatch(text):
        return "a placeholder"
    return "a word that anyone would guess" if _GUESSABLE.fullmatch(text) else None
