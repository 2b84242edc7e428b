"""Constant load on a host through its proxy, and from a neighbour by service name; and what it saw."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from common import quiet

from testhost.hosts import ssh

LOAD = "drover/demo-load:1.0.0"
HOST = "pair.bench.example"
LEAST = 20  # seconds, so that there are enough requests also where little changes
# A WebSocket that is refused comes again at once: counted apart, they do not drown the rest.
OUTSIDE = {"requests": "--websockets 0", "websockets": "--keep 0 --fresh 0"}
CALLS = {"calls by name": "--fresh 2 --keep 0", "calls by name, kept connections": "--fresh 0 --keep 2"}
Seen = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Machine:
    """A test host, by its address."""

    address: str

    def run(self, script: str) -> str:
        """Run a script by the host's shell; where it fails, show what it said and end."""
        return quiet(ssh(self.address, f"bash -euc {shlex.quote(script)}"))

    def seconds(self, script: str) -> float:
        """How long it takes on the host itself."""
        said = self.run(
            f"began=$(date +%s%N); if ! {{ {script}; }} >/tmp/said 2>&1; then cat /tmp/said; exit 1; fi; "
            "echo $(($(date +%s%N) - began))"
        )
        return round(int(said.split()[-1]) / 1e9, 3)

    def container(self, project: str, service: str) -> str:
        """The only container of a service, whatever its number is by now."""
        label = "--filter label=com.docker.compose"
        (found,) = self.run(f"docker ps -q {label}.project={project} {label}.service={service}").split()
        return found


@contextmanager
def load(machine: Machine, project: str, port: int = 80) -> Iterator[Seen]:
    """Requests through the proxy at the port, and calls from the project's caller to its api."""
    caller = machine.container(project, "caller")
    place = f"http://{machine.address}:{port} --host {HOST}"
    for name, kind in OUTSIDE.items():
        machine.run(f"docker run -d --name {name} --network host {LOAD} {place} {kind}")
    for number, kind in enumerate(CALLS.values()):
        program = f"python3 /app/main.py http://api:8080 --websockets 0 {kind} >/tmp/{number}.json"
        machine.run(f"docker exec -d {caller} sh -c 'echo $$ >/tmp/{number}.pid; exec {program}'")
    began, seen = time.monotonic(), Seen()
    time.sleep(1)
    try:
        yield seen
        time.sleep(max(1.0, LEAST - (time.monotonic() - began)))
        machine.run(f"docker stop -t 40 {' '.join(OUTSIDE)}")
        for name in OUTSIDE:
            seen[name] = counted(machine.run(f"docker logs {name} 2>/dev/null"))
        for number, name in enumerate(CALLS):
            end = f"kill $(cat /tmp/{number}.pid); while kill -0 $(cat /tmp/{number}.pid); do sleep 0.1; done"
            said = machine.run(f"docker exec {caller} sh -c '{end} 2>/dev/null; cat /tmp/{number}.json'")
            seen[name] = counted(said)
    finally:
        machine.run(f"docker rm -f {' '.join(OUTSIDE)}")


def counted(said: str) -> dict[str, Any]:
    """What is kept of the load's answer."""
    found = json.loads(said.splitlines()[-1])
    names = ("requests", "failed", "kinds", "versions", "failures", "p99_ms")
    return {name: found[name] for name in names}
