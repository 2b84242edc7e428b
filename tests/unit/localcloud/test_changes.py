"""When the reconciler has to read the account and the containers again."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud import changes


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> changes.Changes:
    """Without Docker; the account's trace is a file of the test."""
    monkeypatch.setattr(changes, "ACCOUNT", tmp_path / "changes")
    monkeypatch.setattr(changes.Changes, "_watch", lambda self: None)
    return changes.Changes()


def test_everything_is_read_once_at_first(watched: changes.Changes) -> None:
    assert [watched.any(), watched.any()] == [True, False]


def test_the_accounts_trace_is_followed(watched: changes.Changes) -> None:
    watched.any()
    for word in ("one", "two"):
        changes.ACCOUNT.write_text(word)
        assert [watched.any(), watched.any()] == [True, False]


def test_what_happened_to_a_container_is_seen_once(watched: changes.Changes) -> None:
    watched.any()
    watched.again()
    assert [watched.any(), watched.any()] == [True, False]


def test_what_was_missed_is_seen_later(watched: changes.Changes, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.any()
    monkeypatch.setattr(changes, "ANYWAY", -1.0)
    assert watched.any()
