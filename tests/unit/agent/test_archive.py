"""mongodump's archives: what counts in them, in which order it comes, and what is none."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from drover.backups.engines.archive import END, MAGIC, Archive, fields
from drover.backups.parts import differences
from drover.run import DroverError
from hypothesis import given
from hypothesis import strategies as some

SHOP = "shop", "orders"
INDEXES = [{"v": {"$numberInt": "2"}, "key": {"_id": {"$numberInt": "1"}}, "name": "_id_"}]
TWO = {"v": 2, "key": {"at": 1, "by": -1}, "name": "at_by", "unique": True}


# Two documents, an index on two keys, an empty collection: written by mongodump 100.18 from FerretDB 1.24.
REAL = gzip.decompress(
    base64.b64decode("""
H4sIAAAAAAAC/7VTTWtTQRS979lq1U3RrYIMgpskvs+kid21ClVQdCvymDcztYPvI7yZlzSmAfszxIUbQTf+Cn+Ae5eCS8G1G70z
sU0kQVvBCwNz7zn33DsHJv/88vAAANZZWbC6qkShE1ZmmWBaloWCFcTcgagUZjbxWj64SlRYS47q57DeaXmtKABXl2V2DFxFIK1l
pptDqffKWjd/IU2lK1k8RW0HD09hFZlqr+yDO5sOZ7Eo8r4egZsLTTnVFN5jbUxkwcW+UKT3eEwGpDcm14s6T0W1U2jSIwGZNMgz
MTJAIvkC7pMJEgqaC0yQkJDJkwapa0Mlwa6fxpx1WdRmEY9T6nXbNOj4AQ1C6gcRaZDZivenGnZJBPSob9IZTiawruRzASZcA8NF
vM29EeSfHDDOlhVH0+YsuOz8Fwsaf9OhepkMqpRaLCDN3yZQnVjWnM9pxKkXhxue2Igi1t3tsrYXMz9NOyGNw463zOepFf9o9A+M
TTiZ2Wu3H9wBuLT1aAuO46b5JmgVOEbEPMeOuPfhjRLXvr1++wLOUw3w7tPglWHsHNFdvKxWdGi/j93iDBeiDzcwW8mk0nDFUL2p
rm/5+3AhgLXQlk69t2P3/jr8/vHLw+27tv8WnOibLXv2adudxfafj2teDmUEAAA=
""")
)


def value(given: Any) -> tuple[int, bytes]:
    if isinstance(given, bool):
        return 0x08, bytes([given])
    if isinstance(given, int):
        return 0x12, given.to_bytes(8, "little", signed=True)
    if isinstance(given, bytes):
        return 0x05, len(given).to_bytes(4, "little") + b"\0" + given
    if isinstance(given, Mapping):
        return 0x03, bson(given)
    text = given.encode() + b"\0"
    return 0x02, len(text).to_bytes(4, "little") + text


def bson(given: Mapping[str, Any]) -> bytes:
    body = b"".join(
        bytes([kind]) + name.encode() + b"\0" + content
        for name, each in given.items()
        for kind, content in [value(each)]
    )
    return (len(body) + 5).to_bytes(4, "little") + body + b"\0"


def block(place: tuple[str, str], documents: Iterable[Mapping[str, Any]], end: bool = False) -> bytes:
    head = {"db": place[0], "collection": place[1], "EOF": end, "CRC": 0}
    return bson(head) + b"".join(map(bson, documents)) + END


def prelude(**metadata: Any) -> bytes:
    told = {"options": {}, "indexes": INDEXES, "uuid": "a", "collectionName": "orders", **metadata}
    about = {"db": "shop", "collection": "orders", "metadata": json.dumps(told), "type": "collection"}
    return MAGIC + bson({"version": "0.1", "server_version": "8.0.1"}) + bson(about) + END


def whole(*documents: Mapping[str, Any], place: tuple[str, str] = SHOP) -> bytes:
    """An archive of these; shop.orders is always there."""
    ends = b"".join(block(each, (), end=True) for each in sorted({place, SHOP}))
    return prelude() + (block(place, documents) if documents else b"") + ends


def told(archive: bytes, size: int = 1 << 20) -> dict[str, str]:
    found = Archive()
    for at in range(0, len(archive), size):
        found.feed(archive[at : at + size])
    return found.found()


ONE, OTHER = {"_id": 1, "note": "Käse"}, {"_id": 2, "raw": b"\xff\xff\xff\xff", "deep": {"EOF": True}}


def test_documents_are_counted_by_collection() -> None:
    found = told(whole(ONE, OTHER))
    assert {*found} == {"shop.orders", "options and indexes of shop.orders"}
    assert found["shop.orders"].startswith("2 documents ")
    assert told(whole())["shop.orders"].startswith("0 documents ")


@given(some.integers(1, 300))
def test_it_does_not_depend_on_how_the_bytes_come(size: int) -> None:
    assert told(whole(ONE, OTHER), size) == told(whole(ONE, OTHER))


def test_the_order_does_not_count() -> None:
    apart = prelude() + block(SHOP, [OTHER]) + block(("a", "b"), [ONE]) + block(SHOP, [ONE])
    apart += block(("a", "b"), (), end=True) + block(SHOP, (), end=True)
    assert told(apart)["shop.orders"] == told(whole(ONE, OTHER))["shop.orders"]


@pytest.mark.parametrize("others", [[ONE], [ONE, ONE], [ONE, {**OTHER, "deep": {"EOF": False}}], []])
def test_every_document_counts(others: list[Mapping[str, Any]]) -> None:
    assert told(whole(*others))["shop.orders"] != told(whole(ONE, OTHER))["shop.orders"]


@pytest.mark.parametrize(
    ("metadata", "same"),
    [
        ({"uuid": "b"}, True),
        ({"indexes": [TWO, *INDEXES]}, False),
        ({"options": {"capped": True}}, False),
    ],
)
def test_options_and_indexes_count_but_not_what_is_made_anew(metadata: dict[str, Any], same: bool) -> None:
    end = block(SHOP, (), end=True)
    assert (told(prelude(**metadata) + end) == told(prelude() + end)) is same


def test_the_order_of_an_indexs_keys_counts_and_no_other() -> None:
    end = block(SHOP, (), end=True)
    before = told(prelude(indexes=[*INDEXES, TWO]) + end)
    moved = {"unique": True, "name": "at_by", "v": 1, "key": TWO["key"]}
    assert told(prelude(indexes=[moved, *INDEXES]) + end) == before
    turned = {**TWO, "key": {"by": -1, "at": 1}}
    assert told(prelude(indexes=[*INDEXES, turned]) + end) != before


def test_of_the_systems_own_only_users_and_roles_count() -> None:
    user = {"_id": "shop.ann", "userId": b"1", "user": "ann", "credentials": {"salt": "x"}}
    users = "admin", "system.users"
    before = told(whole(user, place=users))
    again = {name: user[name] for name in ("_id", "credentials", "user")} | {"userId": b"2"}
    assert told(whole(again, place=users)) == before
    assert told(whole({**user, "credentials": {"salt": "y"}}, place=users)) != before
    for place in (("admin", "system.version"), ("config", "settings"), ("local", "startup_log")):
        assert told(whole(ONE, place=place)) == told(whole())


@given(some.integers(0, len(whole(ONE, OTHER)) - 1))
def test_one_that_ends_early_is_not_taken(length: int) -> None:
    with pytest.raises(DroverError, match="ends in its middle"):
        told(whole(ONE, OTHER)[:length])


@pytest.mark.parametrize(
    "text",
    [
        b"PGDMP",
        MAGIC + b"\x04\0\0\0",
        MAGIC + b"\xff\xff\xff\x7f",
        MAGIC + bson({}) + END + bson({"collection": "x"}),
        MAGIC + bson({}) + END + b"\x0c\0\0\0\x99db\0\0\0\0\0",
    ],
)
def test_what_is_no_archive(text: bytes) -> None:
    with pytest.raises(DroverError, match="not an archive of mongodump"):
        told(text)


def test_a_documents_fields() -> None:
    found = fields(bson({"a": "x", "b": True, "c": b"\0\0", "d": {"a": "y"}, "e": 1}))
    assert [*found] == ["a", "b", "c", "d", "e"]
    assert found["b"] == b"\x08\x01" and found["a"] == b"\x02\x02\0\0\0x\0"


def test_an_archive_that_mongodump_wrote() -> None:
    found = told(REAL, 7)
    documents = {name: value.rpartition(" ")[0] for name, value in found.items() if value[1:2] == " "}
    assert documents == {"shop.orders": "2 documents", "shop.empty": "0 documents"}
    assert {f"options and indexes of {name}" for name in documents} == found.keys() - documents.keys()
    assert REAL.count("Käse".encode()) == 1
    assert [*differences(found, told(REAL.replace("Käse".encode(), b"Kase ")))] != []
    assert differences(found, told(REAL.replace(b"at_note", b"at_nope"))) != []
