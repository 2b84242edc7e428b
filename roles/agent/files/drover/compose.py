# GPL-3.0-or-later
"""Commands of `docker compose`. Files, project and variables are named: nothing around them counts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from drover.release import Manifest
from drover.run import DroverError, Runner

LIMIT = 300.0  # seconds for one command; a stop of old containers takes its grace period


def base(release: Path, wish: Manifest) -> list[str]:
    """The project as this release describes it."""
    return [
        "docker",
        "compose",
        "--ansi=never",
        "--project-directory",
        str(release),
        "--project-name",
        wish.stack,
        "--env-file",
        str(release / ".env"),
        "--file",
        str(release / wish.file),
        "--file",
        str(release / "platform.yaml"),
    ]


def create(release: Path, wish: Manifest, forced: Iterable[str] = ()) -> list[str]:
    """Bring containers, networks and volumes to the release's configuration without starting anything.

    `up` would do the same and then run every finished one-shot again; starting is ours (health.py). The whole
    project is always given: in Compose 2.26 a selection changes the configuration hash of what depends on it.
    """
    services = sorted(forced)
    return [
        *base(release, wish),
        "--progress=quiet",
        "create",
        "--no-build",
        "--pull=never",
        "--remove-orphans",
        *(["--force-recreate", *services] if services else []),
    ]


def do(run: Runner, command: list[str]) -> None:
    """Run one of them; a failure is told in Compose's words."""
    done = run(command, timeout=LIMIT)
    if done.code:
        raise DroverError(f"Compose: {done.words}")


def down(stack: str, *, volumes: bool) -> list[str]:
    """Remove a project by its name; needs no file."""
    return [
        "docker",
        "compose",
        "--ansi=never",
        "--project-name",
        stack,
        "--progress=quiet",
        "down",
        "--remove-orphans",
        *(["--volumes"] if volumes else []),
    ]
