# GPL-3.0-or-later
"""`drover escrow`: a second key of the repository, to be kept offline; it is shown once."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from pathlib import Path

from drover.backups.restic import Restic
from drover.run import DroverError

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another one
GROUPS, LENGTH = 6, 5
KIND = "escrow"  # of the line in the state that says that there is one


def add(restic: Restic) -> None:
    """Make it and show it to whoever sits there: what a playbook prints ends up in logs."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise DroverError("the key is shown to a person alone: run `drover escrow` at a terminal")
    key = "-".join("".join(secrets.choice(LETTERS) for _ in range(LENGTH)) for _ in range(GROUPS))
    descriptor, path = tempfile.mkstemp(dir="/run")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(key)
        restic.do("key", "add", f"--new-password-file={path}", "--user=escrow", "--host=escrow")
    finally:
        Path(path).unlink()
    print(f"\nThe repository {restic.settings.repository} opens with this key too:\n\n    {key}\n")
    print("It does not open what pgBackRest keeps there: the log of a PostgreSQL needs the password itself.")
    print("Write it down and keep it away from this host and from AWS. It is not shown again.")
