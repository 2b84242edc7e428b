"""The same deploy as others do it: plain Compose and docker-rollout, behind Traefik with its labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common import quiet
from load import Machine, load

from testhost.hosts import ssh

HERE = Path(__file__).resolve().parent
PORT = 8090
NOT_MEASURED = "not measured: the bench was given no --docker-rollout"
PLUGIN = "/root/.docker/cli-plugins/docker-rollout"
# What is typed for a new version; docker-rollout's documentation drains old containers by the longer form.
COMMANDS = {
    "docker compose up -d": "docker compose up -d",
    "docker rollout": "docker rollout api",
    "docker rollout with draining": 'docker rollout --pre-stop-hook "touch /tmp/drain && sleep 5" api',
}


def rivals(machine: Machine, proxy: str, program: Path | None) -> dict[str, Any]:
    """What the load saw during each one's deploy; `proxy` is the image, `program` docker-rollout's script."""
    put(machine, HERE / "rivals" / "compose.yaml", "/root/rival/compose.yaml")
    if program:
        put(machine, program, PLUGIN)
    machine.run(f"cd /root/rival && PROXY={proxy} TAG=1.0.0 docker compose up -d --wait")
    found: dict[str, Any] = {}
    versions = ["1.1.0", "1.0.0"]
    for name, command in COMMANDS.items():
        if "rollout" in name and not program:
            found[name] = NOT_MEASURED
            continue
        with load(machine, "rival", PORT) as seen:
            machine.run(f"cd /root/rival && PROXY={proxy} TAG={versions[0]} {command}")
        found[name] = seen
        versions.reverse()
    machine.run(f"cd /root/rival && PROXY={proxy} TAG=1.0.0 docker compose down -t 1")
    return found


def put(machine: Machine, file: Path, path: str) -> None:
    """Copy a file to the host, to be run there too."""
    *login, address = ssh(machine.address)
    machine.run(f"mkdir -p {Path(path).parent}")
    quiet(["scp", "-q", *login[1:], str(file), f"{address}:{path}"])
    machine.run(f"chmod 0755 {path}")
