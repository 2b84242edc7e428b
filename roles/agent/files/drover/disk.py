# GPL-3.0-or-later
"""Changes on the disk that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def replace(path: Path, text: str, mode: int = 0o644, owner: int = -1) -> None:
    """Write beside and rename. No reader of the folder takes the temporary name (.tmp) for its own."""
    beside = path.with_name(f".{path.name}.tmp")
    with suppress(FileNotFoundError):
        beside.unlink()
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fchown(descriptor, owner, -1)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    beside.replace(path)
    sync(path.parent)


def point(link: Path, target: str) -> None:
    """Let a symbolic link point elsewhere in one step."""
    beside = link.with_name(f".{link.name}.tmp")
    with suppress(FileNotFoundError):
        beside.unlink()
    beside.symlink_to(target)
    beside.replace(link)
    sync(link.parent)


def remove(path: Path) -> bool:
    """Remove a file or link; tell whether there was one."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync(path.parent)
    return True


def sync(folder: Path) -> None:
    """Make a rename in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
