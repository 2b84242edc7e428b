"""A prefix as it was: what is done with each object, against a bucket of a few lines."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.drover.platform.plugins.module_utils import recovery
from ansible_collections.drover.platform.plugins.module_utils.errors import HostError
from ansible_collections.drover.platform.plugins.modules.bucket_recover import recovered
from hypothesis import given
from hypothesis import strategies as st

START = datetime(2020, 11, 30, 3, tzinfo=timezone.utc)
PREFIX = "acme/production/"


@dataclass
class Bucket:
    """S3 with versions: each write is a second later than the one before it."""

    versioning: str = "Enabled"
    page: int = 1000
    now: datetime = START
    calls: list[str] = field(default_factory=list)
    objects: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    lock: Any = field(default_factory=threading.Lock)

    def put(self, key: str, body: str | None) -> None:
        """Write, or with None delete."""
        self.now += timedelta(seconds=1)
        versions = self.objects[key]
        number = f"{key}#{len(self.calls)}-{len(versions)}-{self.now.timestamp():.0f}"
        versions.append({"VersionId": number, "body": body, "LastModified": self.now})

    def shown(self) -> dict[str, str]:
        """What somebody sees who knows of no versions."""
        newest = {key: versions[-1]["body"] for key, versions in self.objects.items() if versions}
        return {key: body for key, body in newest.items() if body is not None}

    def bodies(self) -> list[str]:
        return sorted(each["body"] for versions in self.objects.values() for each in versions if each["body"])

    # What boto3 offers

    def get_bucket_versioning(self, Bucket: str) -> dict[str, str]:  # noqa: N803
        return {"Status": self.versioning} if self.versioning else {}

    def get_paginator(self, name: str) -> "Bucket":
        assert name == "list_object_versions"
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        """Newest first, but markers and versions apart, as S3 tells them."""
        told = [
            {**each, "Key": key, "IsLatest": each is versions[-1], "ETag": each["body"], "Size": 1}
            for key, versions in sorted(self.objects.items())
            for each in reversed(versions)
            if key.startswith(Prefix)
        ]
        for index in range(0, max(len(told), 1), self.page):
            part = told[index : index + self.page]
            markers = [each for each in part if each["body"] is None]
            yield {"Versions": [each for each in part if each not in markers], "DeleteMarkers": markers}

    def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        assert 0 < len(Delete["Objects"]) <= 1000 and Delete["Quiet"]
        with self.lock:
            self.calls.append("delete")
            for each in Delete["Objects"]:
                if "VersionId" not in each:
                    self.put(each["Key"], None)
                    continue
                versions = self.objects[each["Key"]]
                (gone,) = [one for one in versions if one["VersionId"] == each["VersionId"]]
                assert gone["body"] is None, "a version was deleted"
                versions.remove(gone)
        return {}

    def copy_object(self, Bucket: str, Key: str, CopySource: dict[str, str]) -> None:  # noqa: N803
        with self.lock:
            self.calls.append("copy")
            (found,) = [one for one in self.objects[Key] if one["VersionId"] == CopySource["VersionId"]]
            assert found["body"] is not None and CopySource["Key"] == Key
            self.put(Key, found["body"])


def recover(bucket: Bucket, at: datetime, check: bool = False, **more: Any) -> dict[str, Any]:
    params = {"bucket": "acme-backup", "prefix": PREFIX, "at": at.isoformat(), "skip": [], **more}
    return recovered(bucket, params, check=check)


@pytest.fixture
def bucket() -> Bucket:
    """Two objects of an hour ago, and one that was already deleted then."""
    made = Bucket(now=START - timedelta(hours=1))
    for key, body in (("a", "old"), ("b", "old b"), ("gone", "x"), ("gone", None)):
        made.put(PREFIX + key, body)
    made.now = START
    return made


def test_what_was_deleted_is_there_again(bucket: Bucket):
    before = bucket.shown()
    for key in ("a", "b", "a"):
        bucket.put(PREFIX + key, None)
    done = recover(bucket, START)
    assert bucket.shown() == before
    assert (done["markers"], done["copies"], done["hidden"], done["right"]) == (3, 0, 0, 1)
    assert bucket.calls == ["delete"]


def test_what_was_overwritten_is_there_again_and_so_is_what_was_written_over_it(bucket: Bucket):
    before = bucket.shown()
    bucket.put(PREFIX + "a", "ransom")
    bucket.put(PREFIX + "b", "ransom")
    bucket.put(PREFIX + "b", None)
    bucket.put(PREFIX + "note", "pay")
    later = bucket.now
    wiped = bucket.shown()
    assert recover(bucket, START)["copies"] == 2
    assert bucket.shown() == before
    assert bucket.bodies().count("ransom") == 2 and "pay" in bucket.bodies()
    recover(bucket, later)
    assert bucket.shown() == wiped, "back to any moment, also to this one"


def test_a_second_run_changes_nothing(bucket: Bucket):
    for key, body in (("a", "ransom"), ("b", None), ("note", "pay"), ("gone", "again")):
        bucket.put(PREFIX + key, body)
    assert recover(bucket, START)["changed"]
    calls = len(bucket.calls)
    again = recover(bucket, START)
    assert not again["changed"] and again["right"] == 4 and len(bucket.calls) == calls


def test_a_dry_run_counts_and_changes_nothing(bucket: Bucket):
    for key, body in (("a", "ransom"), ("b", None), ("note", "pay")):
        bucket.put(PREFIX + key, body)
    would = recover(bucket, START, check=True)
    assert not bucket.calls
    assert recover(bucket, START) == would


def test_others_and_locks_are_left_alone(bucket: Bucket):
    kept = {"acme/staging/a": "1", "acme/production-2/a": "1", f"{PREFIX}web/locks/1": "1"}
    for key, body in kept.items():
        bucket.put(key, body)
    bucket.put(PREFIX + "a", None)
    recover(bucket, START, skip=["locks"])
    assert kept.items() <= bucket.shown().items()


def test_within_one_second_the_latest_is_the_newest():
    when = {"at": START, "content": ("x", 1)}
    put = recovery.Entry("a", "1", latest=False, marker=False, **when)
    deleted = recovery.Entry("a", "2", latest=True, marker=True, **when)
    assert recovery.one([put, deleted], START) == recovery.Plan(right=1)
    assert recovery.one([put, deleted], START - timedelta(seconds=1)) == recovery.Plan(right=1)


def test_of_thousands_of_objects_each_comes_back_and_no_call_is_too_large():
    bucket = Bucket(page=700)
    for number in range(2500):
        bucket.put(f"{PREFIX}data/{number}", str(number))
    at, before = bucket.now, bucket.shown()
    for number in range(2500):
        bucket.put(f"{PREFIX}data/{number}", None if number % 5 else "ransom")
    done = recover(bucket, at)
    assert bucket.shown() == before
    assert (done["markers"], done["copies"], bucket.calls.count("delete")) == (2000, 500, 2)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-11-30T03:00:00", "write it with its zone"),
        ("yesterday", "found 'yesterday'"),
        ("2126-11-30T03:00:00Z", "is not past yet"),
        ("2016-11-30T03:00:00Z", "S3 has nothing below acme-backup/acme/production/"),
    ],
)
def test_a_moment_that_would_hide_everything_is_refused(bucket: Bucket, at: str, said: str):
    with pytest.raises(HostError, match=said):
        recovered(bucket, {"bucket": "acme-backup", "prefix": PREFIX, "at": at, "skip": []}, check=False)
    assert not bucket.calls


@pytest.mark.parametrize("status", ["", "Suspended"])
def test_a_bucket_without_versions_is_refused(bucket: Bucket, status: str):
    """A delete marker there would be a loss."""
    bucket.versioning = status
    with pytest.raises(HostError, match="keeps no versions"):
        recover(bucket, START)


def test_a_prefix_that_begins_others_too_is_refused(bucket: Bucket):
    with pytest.raises(HostError, match="/ at its end"):
        recover(bucket, START, prefix="acme/prod")


def test_what_s3_refuses_is_told_and_the_rest_is_done(bucket: Bucket, monkeypatch: pytest.MonkeyPatch):
    bucket.put(PREFIX + "a", "ransom")
    bucket.put(PREFIX + "b", None)
    refused = {"Errors": [{"Key": PREFIX + "b", "Code": "AccessDenied", "Message": "Access Denied"}]}
    monkeypatch.setattr(bucket, "delete_objects", lambda **_: refused)
    with pytest.raises(HostError, match="acme/production/b: Access Denied"):
        recover(bucket, START)
    assert bucket.shown()[PREFIX + "a"] == "old"


WRITES = st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.sampled_from("xyz")), max_size=12)


@given(before=WRITES, after=WRITES)
def test_every_history_is_undone_and_redone(before: list[Any], after: list[Any]):
    bucket = Bucket()
    bucket.put(PREFIX + "anchor", "1")
    for key, body in before:
        bucket.put(PREFIX + key, body)
    at, then = bucket.now, bucket.shown()
    for key, body in after:
        bucket.put(PREFIX + key, body)
    bodies = bucket.bodies()
    recover(bucket, at)
    assert bucket.shown() == then
    assert all(bucket.bodies().count(body) >= bodies.count(body) for body in set(bodies)), "nothing is lost"
    assert not recover(bucket, at)["changed"]
