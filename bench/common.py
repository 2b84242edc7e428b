"""What the benches share: a clock, ansible-playbook, and the form of the evidence."""

from __future__ import annotations

import datetime
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
Raw = dict[str, list[float]]


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds the work took."""
    started = time.monotonic()
    work()
    return round(time.monotonic() - started, 3)


def playbook(inventory: Path, *arguments: str, book: Path = ROOT / "playbooks" / "site.yml") -> None:
    """Run ansible-playbook quietly; its output is shown only when it fails."""
    quiet(["ansible-playbook", "-i", str(inventory), str(book), *arguments])


def quiet(command: list[str]) -> str:
    """Run a command and return its output; where it fails, show that and end."""
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def medians(raw: Raw) -> dict[str, float]:
    """Return the median of each measurement."""
    return {name: statistics.median(seconds) for name, seconds in raw.items()}


def evidence(
    command: str, host: str, raw: Raw, ratios: Mapping[str, float], targets: Mapping[str, float]
) -> dict[str, Any]:
    """Return the evidence: what ran, every raw count, and each ratio against its target."""
    return {
        **heading(command, host),
        "seconds": raw,
        "medians": medians(raw),
        "ratios": {
            name: {"value": round(value, 2), "target": targets[name], "met": round(value, 2) <= targets[name]}
            for name, value in ratios.items()
        },
    }


def heading(command: str, host: str) -> dict[str, Any]:
    """What was run, when, at which commit, and what stood for something else."""
    described = ["git", "describe", "--always", "--dirty"]
    git = subprocess.run(described, cwd=ROOT, capture_output=True, text=True, check=True)
    images = json.loads((ROOT / ".cache" / "testhost" / "images.json").read_text())
    return {
        "commit": git.stdout.strip(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": command,
        "substitutes": {"images": images, "host": host},
    }


def at_most(value: float, bound: float) -> dict[str, Any]:
    """A figure that has to stay below a bound."""
    return {"value": round(value, 2), "target": f"≤ {bound}", "met": round(value, 2) <= bound}


def at_least(value: float, bound: float) -> dict[str, Any]:
    """A figure that has to reach a bound."""
    return {"value": round(value, 2), "target": f"≥ {bound}", "met": round(value, 2) >= bound}


def told(value: float) -> dict[str, Any]:
    """A figure without a target."""
    return {"value": round(value, 2), "target": "", "met": None}


def finish(result: Mapping[str, Any], path: Path | None) -> int:
    """Show the ratios, write the evidence unless no path is given; return 1 if a target is missed."""
    print(json.dumps(result["ratios"], indent=2))
    if path:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if all(entry["met"] is not False for entry in result["ratios"].values()) else 1
