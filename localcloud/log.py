"""What to look at when a machine does not answer: from inside it, and at the gateway."""

from __future__ import annotations

import socket
import subprocess

from localcloud import account, machines, reconcile
from localcloud.cloud import GATEWAY, CloudError
from localcloud.plan import Wanted
from testhost.docker import say

TOKEN = ["curl", "--silent", "--show-error", "--max-time", "5", "--output", "/dev/null"]
TOKEN += ["--write-out", "status %{http_code}, connected after %{time_connect} s", "--request", "PUT"]
TOKEN += ["--header", "X-aws-ec2-metadata-token-ttl-seconds: 60", "http://169.254.169.254/latest/api/token"]
LONGEST = 20  # seconds for one look
LOOKS = {
    "metadata": TOKEN,
    "routes": ["ip", "route"],
    "neighbours": ["ip", "neigh"],
    "cloud-init": ["tail", "--lines=40", "/var/log/cloud-init.log"],
}


def show(wished: str = "") -> None:
    """Say of each machine that is on, or of one, whether SSH answers; where it does not, what can be seen."""
    found = machines.found()
    on = [one for one in account.instances().values() if (host := found.get(one.identity)) and host.running]
    chosen = [one for one in on if wished in ("", one.identity)]
    if wished and not chosen:
        raise CloudError(f"{wished} has no machine that is on: localcloud status shows those there are")
    silent = [one for one in chosen if not _answers(one)]
    for one in silent:
        for name, command in LOOKS.items():
            _show(f"{one.identity} {name}", ["docker", "exec", machines.name_of(one.identity), *command])
        _show(f"{one.identity} boot", ["docker", "logs", "--tail=30", machines.name_of(one.identity)])
    if silent:
        _show("gateway", ["docker", "logs", "--tail=60", GATEWAY])
    if silent or not chosen:
        _show("reconciler", ["tail", "--lines=20", str(reconcile.LOG)])


def _answers(instance: Wanted) -> bool:
    try:
        with socket.create_connection((instance.address, 22), timeout=3) as connection:
            banner = connection.recv(64).decode(errors="replace").strip()
    except OSError as problem:
        say(f"{instance.identity}: SSH does not answer: {problem}")
        return False
    say(f"{instance.identity}: {banner}")
    return True


def _show(about: str, command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        say(f"{about}: no answer in {LONGEST} s")
        return
    for line in (done.stdout + done.stderr).splitlines():
        say(f"{about}: {line}")
