"""What our configuration costs: the same requests through the proxy's image with the smallest one."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

from common import Raw
from load import Machine

NAME, PORT, SECONDS = "target.bench.example", 8091, 4
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
ADDRESS = "target-web-1:8080"
OURS, BARE, SILENT = "ours", "bare", "bare without a log"
TRAEFIK = (
    "http: {routers: {all: {rule: PathPrefix(`/`), service: web}}, "
    f"services: {{web: {{loadBalancer: {{servers: [{{url: 'http://{ADDRESS}'}}]}}}}}}}}"
)
TRAEFIK_RUN = "--entryPoints.web.address=:80 --providers.file.filename=/bare.yml"
NGINX = (
    f"worker_processes auto; events {{}} http {{ upstream web {{ server {ADDRESS}; keepalive 32; }} "
    "server { listen 80; location / { proxy_pass http://web; proxy_http_version 1.1; "
    "proxy_set_header Connection ''; proxy_set_header Host $host; } } }"
)
# kind → its file, and the commands that go by it. Ours has to log, so what it is judged by logs too:
# Nginx does unless it is told not to, Traefik only if it is told to, so that it shows what that costs. Nginx
# would make a new connection for each request: it has the least that keeps them, as Traefik does unasked.
SMALLEST = {
    "traefik": (
        TRAEFIK,
        {BARE: f"{TRAEFIK_RUN} --accessLog=true --accessLog.format=json", SILENT: TRAEFIK_RUN},
    ),
    "nginx": (NGINX, {BARE: "nginx -c /bare.yml -g 'daemon off;'"}),
}


@dataclass(frozen=True)
class Measured:
    """One run: requests a second, and the time within which 99 of 100 were answered."""

    rate: float
    p99: float  # milliseconds


def through(machine: Machine, kind: str, runs: int) -> Raw:
    """All in turns, so that a slow minute of the machine hits each."""
    file, commands = SMALLEST[kind]
    ports = {OURS: 80, **{which: PORT + number for number, which in enumerate(commands)}}
    machine.run(
        f"cat >/root/bare.yml <<'END'\n{file}\nEND\n"
        "command -v wrk >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -qy wrk >/dev/null"
    )
    proxy = machine.container("proxy", kind)
    image = machine.run(f"docker inspect -f '{{{{.Config.Image}}}}' {proxy}").strip()
    raw: Raw = {f"{what} {which}": [] for what in ("rate", "p99") for which in ports}
    try:
        for which, command in commands.items():
            begin(machine, ports[which], f"{image} {command}")
        for _ in range(runs):
            for which, port in ports.items():
                found = measured(machine, port)
                raw[f"rate {which}"].append(found.rate)
                raw[f"p99 {which}"].append(found.p99)
    finally:
        machine.run("docker ps -aq --filter name=^bare- | xargs -r docker rm -f")
    return raw


def begin(machine: Machine, port: int, program: str) -> None:
    """A proxy with the smallest configuration that answers at this port."""
    machine.run(
        f"docker run -d --name bare-{port} --network target_public -p {port}:80 "
        f"-v /root/bare.yml:/bare.yml:ro {program}\n"
        f"curl -fso /dev/null --retry 50 --retry-delay 1 --retry-all-errors --retry-max-time 30 "
        f"-H 'Host: {NAME}' http://{machine.address}:{port}"
    )


def measured(machine: Machine, port: int) -> Measured:
    """Sixteen connections that ask as fast as they are answered."""
    said = machine.run(
        f"wrk -t1 -c16 -d{SECONDS}s --latency -H 'Host: {NAME}' http://{machine.address}:{port}/"
    )
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"requests failed on port {port}:\n{said}")
    rate = re.search(r"Requests/sec: +([0-9.]+)", said)
    slowest = re.search(r"99% +([0-9.]+)(us|ms|s)", said)
    if not rate or not slowest:
        sys.exit(f"wrk says something else than before:\n{said}")
    return Measured(float(rate[1]), float(slowest[1]) * UNITS[slowest[2]])
