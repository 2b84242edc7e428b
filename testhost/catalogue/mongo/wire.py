"""MongoDB's wire protocol: a message in, its reply out. OP_MSG, and OP_QUERY for a driver's first word."""

from __future__ import annotations

import struct
from io import BufferedIOBase
from typing import Any

import bson  # type: ignore[import-not-found, import-untyped, unused-ignore]

REPLY, QUERY, MSG = 1, 2004, 2013
LARGEST = 48_000_000  # bytes of a message
Document = dict[str, Any]


def read(stream: BufferedIOBase) -> tuple[int, int, Document] | None:
    """Return kind, number and command of the next message; None when the other side has gone."""
    head = stream.read(16)
    if len(head) < 16:
        return None
    length, number, _, kind = struct.unpack("<iiii", head)
    if not 16 <= length <= LARGEST or kind not in (QUERY, MSG):
        return None
    body = stream.read(length - 16)
    if len(body) < length - 16:
        return None
    return kind, number, _query(body) if kind == QUERY else _message(body)


def _query(body: bytes) -> Document:
    start = body.index(b"\0", 4) + 1 + 8  # flags, name of the collection, two numbers
    return _documents(body[start:])[0]


def _message(body: bytes) -> Document:
    """The command; what it brings as a sequence of documents stands in it as a list."""
    command: Document = {}
    position = 4
    while position < len(body):
        (length,) = struct.unpack_from("<i", body, position + 1)
        section = body[position + 1 : position + 1 + length]
        if body[position] == 0:
            command |= _documents(section)[0]
        else:
            name, _, documents = section[4:].partition(b"\0")
            command[name.decode()] = _documents(documents)
        position += 1 + length
    return command


def _documents(content: bytes) -> list[Document]:
    found: list[Document] = bson.decode_all(content)
    return found


def written(kind: int, number: int, answer: Document) -> bytes:
    """The reply to that message."""
    document = bson.encode(answer)
    if kind == QUERY:
        return _framed(REPLY, number, struct.pack("<iqii", 8, 0, 0, 1) + document)
    return _framed(MSG, number, struct.pack("<ib", 0, 0) + document)


def _framed(kind: int, number: int, body: bytes) -> bytes:
    return struct.pack("<iiii", 16 + len(body), 0, number, kind) + body
