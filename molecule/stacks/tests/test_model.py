"""The unit tests of the model that need a Compose, with the one of this host: `make unit` leaves them out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from shared.scenario import KEY, KNOWN_HOSTS, ROOT, Scenario

COMPOSE = "/usr/libexec/docker/cli-plugins/docker-compose"


def test_compose_understands_every_override(scenario: Scenario, tmp_path: Path) -> None:
    program = tmp_path / "docker-compose"
    options = ["-q", "-i", str(KEY), "-o", f"UserKnownHostsFile={KNOWN_HOSTS}"]
    subprocess.run(["scp", *options, f"root@{scenario.address}:{COMPOSE}", str(program)], check=True)
    environment = {**os.environ, "DROVER_COMPOSE": str(program)}
    folder = str(ROOT / "tests" / "unit" / "model")
    tests = [sys.executable, "-m", "pytest", "-q", "-rs", "-m", "compose", folder]
    done = subprocess.run(tests, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout
    assert "skipped" not in done.stdout, done.stdout
