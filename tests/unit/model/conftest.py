"""A stack from a Compose file's text, ready to ask."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.drover.platform.plugins.plugin_utils import model as models
from ansible_collections.drover.platform.plugins.plugin_utils import release

COLLECTION = Path(__file__).resolve().parents[3] / "compose"
CHECKED = "\n    healthcheck: {test: [CMD, check]}"


class Loader(yaml.SafeLoader):
    """Reads an override back, its tags left out."""


def _untagged(loader: Loader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else None


Loader.add_constructor("!override", _untagged)
Loader.add_constructor("!reset", _untagged)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., models.Model]:
    """load(compose text, files={...}, platform={...}, **data) → the model of one stack named shop."""

    def made(
        text: str = "", files: dict[str, str] | None = None, platform: Any = None, **data: Any
    ) -> models.Model:
        folder = tmp_path / "compose" / "shop"
        for name, content in {"compose.yaml": text, **(files or {})}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        return models.load([{"name": "shop", **data}], platform or {}, [tmp_path / "compose", COLLECTION])

    return made


@pytest.fixture
def wrong(load: Callable[..., models.Model]) -> Callable[..., str]:
    """The same, answering all problems as text."""
    return lambda *args, **data: "\n".join(map(str, load(*args, **data).problems))


@pytest.fixture
def released(load: Callable[..., models.Model]) -> Callable[..., release.Release]:
    """The same, answering the release of a stack that must be right."""

    def made(*args: Any, **data: Any) -> release.Release:
        model = load(*args, **data)
        assert not model.problems, "\n".join(map(str, model.problems))
        return release.build(model.stacks[0])

    return made


@pytest.fixture
def override(
    released: Callable[..., release.Release], read_override: Callable[[bytes], Any]
) -> Callable[..., Any]:
    """The same, answering the override read back."""
    return lambda *args, **data: yaml.load(released(*args, **data).files["platform.yaml"], Loader)


@pytest.fixture(scope="session")
def read_override() -> Callable[[bytes], Any]:
    """Reads platform.yaml back, its tags left out."""
    return lambda content: yaml.load(content, Loader)


# --- the real Compose: `docker compose`, `docker-compose`, or what DROVER_COMPOSE names


@cache
def compose_command() -> list[str] | None:
    """The command's first words; None where no Compose answers."""
    candidates = [os.environ.get("DROVER_COMPOSE", "").split(), ["docker", "compose"], ["docker-compose"]]
    for words in filter(None, candidates):
        if (
            shutil.which(words[0])
            and subprocess.run([*words, "version"], capture_output=True).returncode == 0
        ):
            return words
    return None


def compose_config(folder: Path) -> Any:
    """What Compose makes of the release in the folder."""
    words = compose_command()
    assert words, "no Compose answers here; scenario stacks runs this with the one of its host"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
    run = subprocess.run(
        [*words, "--profile", "*", "config", "--format", "json"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-m compose` picks the tests that need one."""
    for item in items:
        if "composed" in getattr(item, "fixturenames", ()):
            item.add_marker("compose")


@pytest.fixture(scope="session")
def composed() -> Callable[[release.Release, Path], Any]:
    """composed(release, folder) → what Compose makes of it, on a host whose /srv/stacks is the folder."""

    def made(one: release.Release, folder: Path) -> Any:
        lines = {f"{one.stack}/secrets/{name}.env": text.encode() for name, text in one.secret_env.items()}
        override = one.files["platform.yaml"].replace(b"/srv/stacks", str(folder).encode())
        for path, content in {**one.files, **lines, "platform.yaml": override}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        return compose_config(folder)

    return made
