"""What we add to moto is what moto lacks."""

from __future__ import annotations

import subprocess
from pathlib import Path

from localcloud import cloud, control

GUARD = Path(__file__).resolve().parents[3] / "tests" / "localcloud" / "overlay_guard.py"


def test_each_patch_of_the_overlay_is_needed_and_works() -> None:
    environment = {**control.ENVIRONMENT, **control.MOTO_ENVIRONMENT}
    options = [f"--env={key}={value}" for key, value in environment.items()]
    command = ["docker", "run", "--rm", "--interactive", "--network=none", *options, cloud.IMAGE]
    done = subprocess.run(
        [*command, "python3", "-"], input=GUARD.read_text(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
