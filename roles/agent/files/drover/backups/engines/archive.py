# GPL-3.0-or-later
"""mongodump's archive, as its bytes pass: what each collection holds, in whatever order it comes.

After a magic number a block tells of all collections; then come blocks of documents, each of one collection,
and for its end a block without any. A block is a head and documents, all of them BSON, and ends with four
bytes of ones. Source: common/archive of mongo-tools; BSON is that of bsonspec.org.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from drover.run import DroverError

MAGIC = b"\x6d\xe2\x99\x81"
END = b"\xff\xff\xff\xff"
LARGEST = 32 << 20  # bytes of a document; MongoDB's may have 16 MB, and a little more inside the server
STRING, BINARY = 0x02, 0x05
TRUE, NOTHING = b"\x08\x01", b"\x02\x01\0\0\0\0"
NESTED = (0x03, 0x04)  # documents and arrays
SIZES = {0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16}
"""Bytes of a value by its kind, where all of a kind have as many."""
USERS = ("admin.system.users", "admin.system.roles")
SYSTEMS_OWN = ("admin.system.", "config.", "local.")
ANEW = "userId"  # of a user, which a server may give again


class Archive:
    """Fed with an archive's bytes; its parts are the collections, and the options and indexes of each."""

    def __init__(self) -> None:
        self.size = 0
        self._kept = bytearray()  # what is no whole document yet
        self._begun = False
        self._at_head = True
        self._collection: str | None = None  # of this block; empty in the one that tells of all
        self._open = set[str]()  # collections whose end has not come
        self._counts = dict[str, int]()
        self._sums = dict[str, int]()
        self._described = dict[str, str]()

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        self.size += len(chunk)
        self._kept += chunk
        at = 0
        while end := self._end(at):
            try:
                self._take(bytes(self._kept[at:end]))
            except (LookupError, ValueError):
                raise _no_archive() from None
            at = end
        del self._kept[:at]

    def _end(self, at: int) -> int:
        """Where the piece that begins there ends; 0 where it is not all here."""
        start = self._kept[at : at + 4]
        if len(start) < 4:
            return 0
        if start == END or not self._begun:
            return at + 4
        length = int.from_bytes(start, "little")
        if not 5 <= length <= LARGEST:
            raise _no_archive()
        return at + length if len(self._kept) >= at + length else 0

    def _take(self, piece: bytes) -> None:
        if not self._begun:
            if piece != MAGIC:
                raise _no_archive()
            self._begun = True
        elif piece == END:
            self._at_head = True
        elif self._at_head:
            self._at_head = False
            self._head(fields(piece))
        elif self._collection:
            self._add(self._collection, piece)
        else:
            self._describe(fields(piece))

    def _head(self, head: Mapping[str, bytes]) -> None:
        if self._collection is None:  # the first of all, which tells of versions
            self._collection = ""
            return
        self._collection = name = _name(head)
        self._counts.setdefault(name, 0)
        if head.get("EOF") == TRUE:
            self._open.discard(name)
        else:
            self._open.add(name)

    def _add(self, name: str, document: bytes) -> None:
        """Added up, so that the order does not count."""
        digest = hashlib.sha256(_user(document) if name in USERS else document).digest()
        self._counts[name] += 1
        self._sums[name] = self._sums.get(name, 0) + int.from_bytes(digest, "big")

    def _describe(self, told: Mapping[str, bytes]) -> None:
        name, text = _name(told), _text(told.get("metadata", NOTHING))
        if text:
            self._described[name] = described(text)
        if _text(told.get("type", NOTHING)) == "collection":
            self._open.add(name)

    def found(self) -> dict[str, str]:
        """Collection → number and digest of its documents; and a digest of its options and indexes."""
        if self._kept or self._open or self._collection is None or not self._at_head:
            raise DroverError("the dump ends in its middle")
        documents = {
            name: f"{count} documents {self._sums.get(name, 0) % 2**128:032x}"
            for name, count in self._counts.items()
            if name in USERS or not name.startswith(SYSTEMS_OWN)
        }
        # No database has a space in its name, so this is no collection's.
        options = {
            f"options and indexes of {name}": hashlib.sha256(text.encode()).hexdigest()[:32]
            for name, text in self._described.items()
            if not name.startswith(SYSTEMS_OWN)
        }
        return {**documents, **options}


def fields(document: bytes) -> dict[str, bytes]:
    """A document's own fields: name → kind and value as they are in it."""
    found, at = dict[str, bytes](), 4
    while kind := document[at]:
        name, _, rest = document[at + 1 :].partition(b"\0")
        value = rest[: _size(kind, rest)]
        found[name.decode("utf-8", "replace")] = bytes([kind]) + value
        at += 1 + len(name) + 1 + len(value)
    return found


def _size(kind: int, value: bytes) -> int:
    """Bytes of the value that these begin with."""
    length = int.from_bytes(value[:4], "little")
    if kind == STRING:
        return 4 + length
    if kind == BINARY:
        return 5 + length
    return length if kind in NESTED else SIZES[kind]


def _text(value: bytes) -> str:
    """A string's, without its kind, length and end."""
    return value[5:-1].decode("utf-8", "replace")


def _name(head: Mapping[str, bytes]) -> str:
    return f"{_text(head['db'])}.{_text(head['collection'])}"


def _user(document: bytes) -> bytes:
    """A user or role; the server keeps its fields in an order of its own."""
    return b"\0".join(
        name.encode() + b"\0" + value for name, value in sorted(fields(document).items()) if name != ANEW
    )


def described(metadata: str) -> str:
    """A collection's options and indexes without what a restore makes anew, in one order."""
    told = json.loads(metadata)
    indexes = [_index(each) for each in told.get("indexes") or ()]
    return json.dumps(
        [told.get("options") or {}, sorted(indexes, key=lambda each: str(each["name"]))], sort_keys=True
    )


def _index(told: Mapping[str, Any]) -> dict[str, Any]:
    """Its version is the server's; the order of its keys counts."""
    return {**{key: told[key] for key in told if key not in ("v", "ns")}, "key": [*told["key"].items()]}


def _no_archive() -> DroverError:
    return DroverError("the dump is not an archive of mongodump")
