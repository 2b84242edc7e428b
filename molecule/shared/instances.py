"""The inventory of the scenario `ec2`, as the published plugin answers it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from shared.scenario import ROOT

INVENTORY = ROOT / "molecule" / "ec2" / "inventory"


def listed() -> dict[str, Any]:
    """Return what `ansible-inventory --list` says."""
    command = ["ansible-inventory", "-i", str(INVENTORY), "--list"]
    done = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    answer: dict[str, Any] = json.loads(done.stdout, object_hook=_plain)
    return answer


def _plain(found: dict[str, Any]) -> Any:
    """What came from outside is marked so that nobody takes it for a template."""
    return found.get("__ansible_unsafe", found)
