"""Running commands: Docker's and others, with errors in one line and a sign of life every few seconds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
CACHE = CHECKOUT / ".cache" / "testhost"
HEARTBEAT = 5  # seconds
LABEL = "org.drover.testhost"
MINE = f"{LABEL}.checkout={CHECKOUT}"  # label: made from this checkout
NETWORK = "drover-test"
SUBNET = "10.77.0.0/24"
DYNAMIC = "10.77.0.128/25"  # containers without an address of their own
ENOUGH_SPACE = 8 * 10**9  # bytes

# What a program says when something outside is missing → what to do about it.
KNOWN = {
    "no space left on device": "the disk is full: free some space (docker system df shows what Docker holds)",
    "temporary failure resolving": "the package archive has no address: check this machine's DNS",
    "unable to connect to": "the package archive is out of reach: check the network, or apt's proxy",
    "failed to fetch": "the package archive does not answer as it should: check the network, or apt's proxy",
    "could not resolve": "a package archive has no address: check this machine's DNS",
    "no matching distribution": "the Python package index is out of reach: check pip's settings",
    "no module named pip": "pip is missing: use the virtual environment, or apt-get install python3-pip",
    "could not connect": "the package archive is out of reach: check the network, or apt's proxy",
    "overlap": f"{SUBNET} is taken by another network: remove that one (docker network ls)",
    "address already in use": "an address is taken by another container (testhost list, docker ps)",
    "permission denied while trying to connect": "Docker refuses this user: be root or join its group",
    "cannot connect to the docker daemon": "Docker does not answer: start its engine",
}


class TesthostError(Exception):
    """Something the user can act on; the text is one line."""


def say(text: str) -> None:
    print(text, flush=True)


def advice(output: str, otherwise: str) -> str:
    lowered = output.lower()
    return next((text for sign, text in KNOWN.items() if sign in lowered), otherwise)


def last_line(text: str) -> str:
    """The last line that says something: without colours, and without a builder's repetition of its step."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r", "\n")
    lines = [line.strip() for line in plain.splitlines()]
    lines = [line for line in lines if line and not line.startswith("The command '/bin/sh")]
    return lines[-1][:110] if lines else "no output yet"


def docker(*arguments: str, seconds: float = 120) -> str:
    """The standard output of a short Docker command."""
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=seconds)
    except FileNotFoundError:
        raise TesthostError("docker is not installed: apt-get install docker.io") from None
    except subprocess.TimeoutExpired:
        raise TesthostError(f"docker {arguments[0]} gave no answer in {seconds:.0f} s") from None
    if done.returncode:
        raise TesthostError(advice(done.stderr, f"docker {arguments[0]}: {last_line(done.stderr)}"))
    return done.stdout.strip()


def inspect(kind: str, *names: str) -> list[dict[str, Any]]:
    """What Docker knows of these images, containers or networks; those that do not exist are left out."""
    if not names:
        return []
    done = subprocess.run(["docker", kind, "inspect", *names], capture_output=True, text=True)
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found


def exists(kind: str, name: str) -> bool:
    return bool(inspect(kind, name))


def watched(label: str, command: Sequence[str], seconds: float = 1800) -> None:
    """Run a long command: the output goes to a log, its last line is shown now and then."""
    log = CACHE / "logs" / f"{label.replace('/', '_').replace(':', '_')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("wb") as sink:
        try:
            process = subprocess.Popen(
                list(command), stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        except FileNotFoundError:
            raise TesthostError(f"{command[0]} is not installed: apt-get install {command[0]}") from None
        try:
            while (code := wait_a_little(process)) is None:
                passed = time.monotonic() - started
                if passed > seconds:
                    raise TesthostError(f"{label}: nothing came of it in {seconds:.0f} s, see {log}")
                say(f"  … {label}: {passed:.0f} s, {last_line(log.read_text(errors='replace'))}")
        finally:
            process.kill()
    if code:
        output = log.read_text(errors="replace")
        raise TesthostError(f"{label}: {advice(output, last_line(output))} (log: {log})")


def wait_a_little(process: subprocess.Popen[bytes]) -> int | None:
    with suppress(subprocess.TimeoutExpired):
        return process.wait(timeout=HEARTBEAT)
    return None


@contextmanager
def step(label: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    say(f"{label}: {time.monotonic() - started:.1f} s")


def check_machine() -> None:
    """Docker answers and there is room for images."""
    root = Path(docker("info", "--format", "{{.DockerRootDir}}", seconds=20))
    free = shutil.disk_usage(root if root.exists() else CHECKOUT).free
    if free < ENOUGH_SPACE:
        need = ENOUGH_SPACE // 10**9
        raise TesthostError(f"{free / 10**9:.1f} GB free where Docker keeps its data: {need} are needed")


def ensure_network() -> None:
    if not exists("network", NETWORK):
        docker("network", "create", "--subnet", SUBNET, "--ip-range", DYNAMIC, "--label", LABEL, NETWORK)
