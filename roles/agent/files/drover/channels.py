# GPL-3.0-or-later
"""Where alerts go: Apprise's configuration, taken apart into one of its own for each channel.

Apprise says only whether all channels took a message. Each is asked by itself, so that one that is down
makes no other hear the same alert again. The entries are cut out as lines, just as they are: the agent reads
no YAML.
"""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from drover.layout import Layout

URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^\s'\"]+)", re.IGNORECASE)
LIST = re.compile(r"urls:\s*(#.*)?")
SHORT = 4  # characters; such parts of an address are no secrets, and hiding them would eat the message


class Channel(NamedTuple):
    """One channel. `config` holds secrets; `identity` and `kind` (`json`, `slack`) do not."""

    identity: str
    kind: str
    config: str

    def hide(self, text: str) -> str:
        """The text without any part of the channel's address, most of which are tokens and passwords."""
        for part in sorted(_parts(self.config), key=len, reverse=True):
            text = text.replace(part, "***")
        return text


def channels(layout: Layout) -> tuple[Channel, ...]:
    """Those that are configured. A file that is not written as a list counts as one channel."""
    try:
        lines = [line for line in layout.channels.read_text("utf-8").splitlines() if _counts(line)]
    except OSError:
        return ()
    around, entries = _apart(lines)
    texts = [_text([*around, "urls:", *entry]) for entry in entries] or [_text(lines)]
    return tuple(_channel(text) for text in dict.fromkeys(texts) if URL.search(text))


def _counts(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _apart(lines: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """What stands around the list of URLs, and the lines of each of its entries."""
    around: list[str] = []
    entries: list[list[str]] = []
    inside, depth = False, 0
    for line in lines:
        indent = len(line) - len(line.lstrip())
        item = line.lstrip().startswith("- ") and (not entries or indent == depth)
        if LIST.fullmatch(line):
            inside = True
        elif inside and item:
            depth = indent
            entries.append([line])
        elif inside and entries and indent > depth:
            entries[-1].append(line)
        else:
            inside = False
            around.append(line)
    return around, entries


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


def _channel(text: str) -> Channel:
    found = URL.search(text)
    return Channel(hashlib.sha256(text.encode()).hexdigest()[:16], found[1].lower() if found else "", text)


def _parts(text: str) -> Iterator[str]:
    for found in URL.finditer(text):
        for part in re.split(r"[/:@?&=]", found[2]):
            if len(part) >= SHORT:
                yield from (part, urllib.parse.unquote(part))
