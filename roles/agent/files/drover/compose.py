# GPL-3.0-or-later
"""Commands of `docker compose`. Files, project and variables are named: nothing around them counts."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from drover.release import Manifest
from drover.run import DroverError, Runner

_AT_ONCE = threading.BoundedSemaphore(4)  # each of them takes a processor for a moment

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


def create(release: Path, wish: Manifest, scale: Mapping[str, int]) -> list[str]:
    """Make what is missing of the project, and touch nothing that is there; starting is ours (health.py).

    `scale` is how many containers each service has with the new ones. The whole project is always given: in
    Compose 2.26 a selection changes the configuration hash of what depends on it.
    """
    return [*_create(release, wish, scale), "--no-recreate"]


def renew(release: Path, wish: Manifest, scale: Mapping[str, int], services: Collection[str]) -> list[str]:
    """Make the containers of these services anew in their place, with the volumes that have no name."""
    return [*_create(release, wish, scale), "--force-recreate", *sorted(services)]


def _create(release: Path, wish: Manifest, scale: Mapping[str, int]) -> list[str]:
    return [
        *base(release, wish),
        "--progress=quiet",
        "create",
        "--no-build",
        "--pull=never",
        *(word for name in sorted(scale) for word in ("--scale", f"{name}={scale[name]}")),
    ]


def run(release: Path, wish: Manifest, name: str, service: str, words: Sequence[str]) -> list[str]:
    """Run a command in a container of its own, of this name, which stays until it is removed.

    Detached: what becomes of this command of Compose's, or of the engine, is nothing to the container.
    """
    return [
        *base(release, wish),
        "--progress=quiet",
        "run",
        "--detach",
        "--interactive=false",
        "--no-deps",
        "-T",
        "--name",
        name,
        service,
        *words,
    ]


def beside(
    release: Path, wish: Manifest, name: str, service: str, labels: Sequence[str], ports: Sequence[str]
) -> list[str]:
    """Run one more container of a service, which is none of the project's own, with these ports instead."""
    return [
        *base(release, wish),
        "--progress=quiet",
        "run",
        "--detach",
        "--no-deps",
        "--name",
        name,
        *(f"--label={each}" for each in labels),
        *(f"--publish={each}" for each in ports),
        service,
    ]


def do(run: Runner, command: list[str]) -> None:
    """Run one of them; a failure is told in Compose's words."""
    with _AT_ONCE:
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
