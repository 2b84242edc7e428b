# GPL-3.0-or-later
"""A prefix of a bucket as it was at an earlier moment, made of the versions that S3 has kept.

No version of an object is deleted for it, so that what was there before it comes back in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import partial
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
    """Delete markers that go, versions that are copied back, objects that get a delete marker."""

    markers: tuple[Entry, ...] = ()
    copies: tuple[Entry, ...] = ()
    hidden: tuple[Entry, ...] = ()
    right: int = 0  # objects that are as they were
    there: int = 0  # objects that there were


def moment(text: str, now: datetime) -> datetime:
    """The moment that a person means, which says its zone and is past."""
    try:
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise HostError(f"at: found {text!r}; write it with its zone, as 2026-11-30T03:00:00Z")
    if found > now:
        raise HostError(f"at: {text} is not past yet; write the moment to go back to")
    return found.astimezone(timezone.utc)


# What is there


def entries(s3: Any, bucket: str, prefix: str, skip: Sequence[str]) -> Iterator[Entry]:
    """Every version and delete marker below the prefix, but not in folders of the names in `skip`."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for kind in ("Versions", "DeleteMarkers"):
            for each in page.get(kind, []):
                if not {*each["Key"].removeprefix(prefix).split("/")[:-1]} & {*skip}:
                    yield _entry(each, kind == "DeleteMarkers")


def _entry(each: Mapping[str, Any], marker: bool) -> Entry:
    content = (each.get("ETag", ""), each.get("Size", 0))
    return Entry(each["Key"], each["VersionId"], each["LastModified"], each["IsLatest"], marker, content)


# What is to be done


def plan(found: Iterable[Entry], at: datetime) -> Plan:
    """The steps to how it was at that moment."""
    objects: dict[str, list[Entry]] = {}
    for each in found:
        objects.setdefault(each.key, []).append(each)
    plans = [one(versions, at) for versions in objects.values()]
    return Plan(
        tuple(each for one in plans for each in one.markers),
        tuple(each for one in plans for each in one.copies),
        tuple(each for one in plans for each in one.hidden),
        sum(one.right for one in plans),
        sum(one.there for one in plans),
    )


def one(versions: Iterable[Entry], at: datetime) -> Plan:
    """The steps for one object."""
    versions = sorted(versions, key=_age, reverse=True)
    newest, younger = versions[0], [each for each in versions if each.at > at]
    then = next((each for each in versions if each.at <= at), None)
    if then is None or then.marker:
        return Plan(right=1) if newest.marker else Plan(hidden=(newest,))
    if not newest.marker and newest.content == then.content:
        return Plan(right=1, there=1)
    if all(each.marker for each in younger):
        return Plan(markers=tuple(younger), there=1)
    return Plan(copies=(then,), there=1)


def _age(each: Entry) -> tuple[datetime, bool, bool]:
    """S3 tells whole seconds: within one, the latest is the newest, else rather an object than none."""
    return each.at, each.latest, not each.marker


# Done


def carry_out(s3: Any, bucket: str, todo: Plan) -> None:
    """Do it, many objects at a time. The first failure is told when all the others are done; run it again."""
    steps = [
        *(partial(_delete, s3, bucket, [_version(each) for each in part]) for part in _parts(todo.markers)),
        *(partial(_delete, s3, bucket, [{"Key": each.key} for each in part]) for part in _parts(todo.hidden)),
        *(partial(_copy, s3, bucket, each) for each in todo.copies),
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        done = [pool.submit(step) for step in steps]
    for each in done:
        each.result()


def _parts(found: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    return (found[index : index + BATCH] for index in range(0, len(found), BATCH))


def _version(each: Entry) -> dict[str, str]:
    return {"Key": each.key, "VersionId": each.version}


def _delete(s3: Any, bucket: str, found: Sequence[Mapping[str, str]]) -> None:
    """Delete these delete markers; where no version is named, put one onto the object."""
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})
    wrong = [f"{each['Key']}: {each.get('Message') or each.get('Code')}" for each in done.get("Errors", [])]
    if wrong:
        raise HostError(f"{len(wrong)} delete markers could not be changed, the first: {wrong[0]}")


def _copy(s3: Any, bucket: str, each: Entry) -> None:
    """Copy an older version onto its object, whose younger ones stay below it."""
    s3.copy_object(Bucket=bucket, Key=each.key, CopySource={"Bucket": bucket, **_version(each)})
