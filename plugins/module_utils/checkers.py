# GPL-3.0-or-later
"""Asking a file's own consumer whether it would take it, before anything has landed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .tree import Change, File

_SECONDS = 60


def complaints(changes: Sequence[Change], missing_is_fine: bool = False) -> list[str]:
    """What the checkers say about the files that would be written, all of them.

    `missing_is_fine`: on a fresh host in check mode the checker itself would only just have been installed.
    """
    files = [change.item for change in changes if change.action == "write" and isinstance(change.item, File)]
    checked = [file for file in files if file.validate]
    if not checked:
        return []
    with tempfile.TemporaryDirectory(prefix="drover-") as private:
        answers = [
            _ask(file, Path(private, str(index)), missing_is_fine) for index, file in enumerate(checked)
        ]
    return [answer for answer in answers if answer]


def _ask(file: File, folder: Path, missing_is_fine: bool) -> str:
    folder.mkdir(mode=0o700)
    draft = folder / Path(file.path).name  # the real name: some checkers go by its ending
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        output.write(file.content)
    command = [word.replace("%s", str(draft)) for word in file.validate]
    try:
        run = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError:
        return "" if missing_is_fine else f"{file.path}: its checker {command[0]} is not installed"
    except subprocess.TimeoutExpired:
        return f"{file.path}: {command[0]} gave no answer in {_SECONDS} s"
    if run.returncode == 0:
        return ""
    said = (run.stderr.strip() or run.stdout.strip() or f"exit status {run.returncode}").replace(
        str(draft), file.path
    )
    return f"{file.path}: {command[0]} refuses it: {said}"
