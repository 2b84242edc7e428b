# GPL-3.0-or-later
"""A prefix of a bucket as it was at an earlier moment, made of the versions that S3 has kept.

No version of an object is deleted for it, so that what was there before it comes back in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any, NamedTuple

from .errors import HostError

THREADS = 32
BATCH = 1000  # objects that one DeleteObjects takes


class Entry(NamedTuple):
    """One version of an object, or a delete marker."""

    key: str
    version: str
    at: datetime
    latest: bool
    marker: bool
    content: tuple[str, int] = ("", 0)  # ETag and size


class Plan(NamedTuple):
    """What is to be done: delete markers that go, versions that are copied onto their objects, objects to hide."""

    markers: tuple[Entry, ...] = ()
    copies: tuple[Entry, ...] = ()
    hidden: tuple[Entry, ...] = ()
    right: int = 0  # objects that are as they were

    @property
    def changes(self) -> int:
        """How many objects are not."""
        return len({each.key for each in self.markers}) + len(self.copies) + len(self.hidden)


def moment(text: str, now: datetime) -> datetime:
    """The moment that a person means, which says its zone and is past."""
    try:
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise HostError(f"at: found {text!r}; write it with its zone, as 2026-11-30T03:00:00Z")
    if found > now:
        raise HostError(f"at: {text} is not past yet: nothing can be brought back from there")
    return found.astimezone(timezone.utc)


# What is there


def entries(s3: Any, bucket: str, prefix: str, skip: Sequence[str]) -> Iterator[Entry]:
    """Every version and delete marker below the prefix; not of objects in folders of the names in `skip`."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for kind in ("Versions", "DeleteMarkers"):
            for each in page.get(kind, []):
                if not set(each["Key"][len(prefix) :].split("/")[:-1]) & set(skip):
                    yield _entry(each, marker=kind == "DeleteMarkers")


def _entry(each: dict[str, Any], *, marker: bool) -> Entry:
    content = (each.get("ETag", ""), each.get("Size", 0))
    return Entry(each["Key"], each["VersionId"], each["LastModified"], each["IsLatest"], marker, content)


# What is to be done


def plan(found: Iterable[Entry], at: datetime) -> Plan:
    """The steps to how it was at that moment, object by object."""
    objects: dict[str, list[Entry]] = {}
    for each in found:
        objects.setdefault(each.key, []).append(each)
    plans = [_object(versions, at) for versions in objects.values()]
    return Plan(
        tuple(each for one in plans for each in one.markers),
        tuple(each for one in plans for each in one.copies),
        tuple(each for one in plans for each in one.hidden),
        sum(one.right for one in plans),
    )


def _object(versions: list[Entry], at: datetime) -> Plan:
    """The steps for one object. An object that was not there then is hidden by a delete marker."""
    versions = sorted(versions, key=_age, reverse=True)
    newest, younger = versions[0], [each for each in versions if each.at > at]
    then = next((each for each in versions if each.at <= at), None)
    if then is None or then.marker:
        return Plan(right=1) if newest.marker else Plan(hidden=(newest,))
    if not newest.marker and newest.content == then.content:
        return Plan(right=1)
    if all(each.marker for each in younger):
        return Plan(markers=tuple(younger))
    return Plan(copies=(then,))


def _age(each: Entry) -> tuple[datetime, bool, bool]:
    """S3 tells whole seconds: within one, the latest is the newest, and an object is rather there than not."""
    return each.at, each.latest, not each.marker


# Done


def carry_out(s3: Any, bucket: str, todo: Plan) -> list[str]:
    """Do it, many objects at a time; what could not be done, which a second run tries again."""
    steps: list[Callable[[], list[str]]] = [
        *(_deleting(s3, bucket, part, versions=True) for part in _parts(todo.markers)),
        *(_deleting(s3, bucket, part, versions=False) for part in _parts(todo.hidden)),
        *(_copying(s3, bucket, each) for each in todo.copies),
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        return [text for said in pool.map(lambda step: step(), steps) for text in said]


def _parts(found: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    return (found[index : index + BATCH] for index in range(0, len(found), BATCH))


def _deleting(s3: Any, bucket: str, found: Sequence[Entry], *, versions: bool) -> Callable[[], list[str]]:
    """Delete these delete markers; or, without a version, put one onto each object."""
    named = [{"Key": each.key, **({"VersionId": each.version} if versions else {})} for each in found]

    def delete() -> list[str]:
        done = s3.delete_objects(Bucket=bucket, Delete={"Objects": named, "Quiet": True})
        return [f"{each['Key']}: {each.get('Message', each.get('Code'))}" for each in done.get("Errors", [])]

    return delete


def _copying(s3: Any, bucket: str, each: Entry) -> Callable[[], list[str]]:
    """Copy an older version onto its object, whose younger ones stay below it."""
    source = {"Bucket": bucket, "Key": each.key, "VersionId": each.version}

    def copy() -> list[str]:
        s3.copy_object(Bucket=bucket, Key=each.key, CopySource=source)
        return []

    return copy
