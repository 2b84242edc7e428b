"""Constant load on the scenario's host, and deploys by the agent alone."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from shared.load import Measured
from shared.scenario import Scenario
from testinfra.host import Host

LOAD = "drover/demo-load:1.0.0"


@pytest.fixture
def load(host: Host, scenario: Scenario) -> Callable[..., Any]:
    """load(host name) → a context with constant load: keep-alive, POST, new connections, WebSockets."""

    @contextmanager
    def begin(name: str, *arguments: str) -> Iterator[Measured]:
        label = f"load-{random.randrange(10**9)}"
        words = " ".join([f"http://{scenario.address}", "--host", name, *arguments])
        host.check_output(f"docker run -d --name {label} --network host {LOAD} {words}")
        measured = Measured({})
        time.sleep(1)
        try:
            yield measured
            time.sleep(1)
        finally:
            host.check_output(f"docker stop -t 30 {label}")
            said = host.check_output(f"docker logs {label} 2>/dev/null")
            host.check_output(f"docker rm -f {label}")
            measured.data = json.loads(said.splitlines()[-1])

    return begin


@dataclass(frozen=True)
class Agent:
    """The host's own command, told by hand what the controller would tell it."""

    host: Host

    def manifest(self, stack: str) -> dict[str, Any]:
        """The manifest of what stands."""
        return dict(json.loads(self.host.check_output(f"cat /srv/stacks/{stack}/current/manifest.json")))

    def apply(self, manifest: dict[str, Any], *, fails: bool = False) -> dict[str, Any]:
        """Make this release wanted and go there."""
        done = self.host.run(self.command(manifest))
        assert bool(done.rc) == fails, done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    def command(self, manifest: dict[str, Any]) -> str:
        told = json.dumps([manifest]).replace("'", "'\\''")
        return f"printf %s '{told}' | drover apply --manifests=- --stack {manifest['stack']} --json"


@pytest.fixture(scope="module")
def agent(host: Host) -> Agent:
    return Agent(host)
