# GPL-3.0-or-later
"""Asking the consumer of a file or folder whether it would take it, before anything has landed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .tree import Change, File, Folder

_SECONDS = 60
_AT_ONCE = 4
_KEPT = ("PATH", "HOME")  # a stray VERSION of a login shell must not count for what is judged


def complaints(changes: Sequence[Change], missing_is_fine: bool = False) -> list[str]:
    """What the checkers say about what would be written, all of them.

    `missing_is_fine`: on a fresh host in check mode the checker itself would only just have been installed.
    """
    items = [change.item for change in changes if change.action in ("make", "write")]
    checked = [item for item in items if isinstance(item, File | Folder) and item.validate]
    if not checked:
        return []
    files = [item for item in items if isinstance(item, File) and not item.secret]
    with tempfile.TemporaryDirectory(prefix="drover-") as private:
        drafts = [_draft(item, files, Path(private, str(index))) for index, item in enumerate(checked)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = pool.map(_ask, checked, drafts, [missing_is_fine] * len(checked))
            return [answer for answer in answers if answer]


def _draft(item: File | Folder, files: Sequence[File], private: Path) -> Path:
    """It as it would be, under its real name: some checkers go by a file's ending."""
    draft = private / Path(item.path).name
    inside = [file for file in files if file is item or file.path.startswith(f"{item.path}/")]
    for file in inside:
        place = Path(f"{draft}{file.path.removeprefix(item.path)}")
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as output:
            output.write(file.content)
    return draft


def _ask(item: File | Folder, draft: Path, missing_is_fine: bool) -> str:
    command = [word.replace("%s", str(draft)) for word in item.validate]
    try:
        run = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
            env={"LC_ALL": "C.UTF-8", **{name: os.environ[name] for name in _KEPT if name in os.environ}},
        )
    except FileNotFoundError:
        return "" if missing_is_fine else f"{item.path}: its checker {command[0]} is not installed"
    except subprocess.TimeoutExpired:
        return f"{item.path}: {command[0]} gave no answer in {_SECONDS} s"
    if run.returncode == 0:
        return ""
    said = (run.stderr.strip() or run.stdout.strip() or f"exit status {run.returncode}").replace(
        str(draft), item.path
    )
    return f"{item.path}: {command[0]} refuses it: {said}"
