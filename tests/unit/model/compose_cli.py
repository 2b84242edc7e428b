"""The real Compose, where there is one: `docker compose`, `docker-compose`, or what DROVER_COMPOSE names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any


@cache
def command() -> list[str] | None:
    """The command's first words; None where no Compose answers."""
    candidates = [os.environ.get("DROVER_COMPOSE", "").split(), ["docker", "compose"], ["docker-compose"]]
    for words in filter(None, candidates):
        if (
            shutil.which(words[0])
            and subprocess.run([*words, "version"], capture_output=True).returncode == 0
        ):
            return words
    return None


def write(folder: Path, files: dict[str, bytes]) -> None:
    """A release's files, as the host would have them."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def config(folder: Path) -> Any:
    """What Compose makes of the release in the folder."""
    words = command()
    assert words
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
