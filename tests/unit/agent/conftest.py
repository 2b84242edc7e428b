"""A host in a folder, with a Docker in memory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from docker_model import Docker, Place, place
from drover import health, release, start


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "TIMEOUT", 0.3)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for."""
    monkeypatch.setattr(health, "SETTLED", 0.0)
    monkeypatch.setattr(start, "POLL", (0.0,))
    monkeypatch.setattr(start, "CALM", 0.0)


@pytest.fixture
def docker() -> Docker:
    return Docker()


@pytest.fixture
def here(tmp_path: Path, docker: Docker) -> Place:
    """A host with a running proxy and no stack."""
    return place(tmp_path, docker)
