"""The names, addresses and folders of the cloud on the desk, and its AWS clients."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from testhost.docker import CHECKOUT, TesthostError, docker, inspect

ACCOUNT = "123456789012"
REGION = "eu-central-1"
HERE = CHECKOUT / "localcloud"
CACHE = CHECKOUT / ".cache" / "localcloud"
RUN = CACHE / "run"  # what the containers and the reconciler share, /run/localcloud in the containers
CERTIFICATES = CACHE / "certificates"

LABEL = "org.drover.localcloud"  # on everything that is ours; the value is the checkout
IMAGE = "drover/localcloud:1"
MACHINE_IMAGE = "drover/localcloud-machine:13"
GATEWAY, MOTO, MINISTACK = "drover-cloud-gateway", "drover-cloud-moto", "drover-cloud-ministack"
# Of the test hosts' network; the gateway's is the endpoint of all AWS services, here and on instances.
ADDRESSES = {GATEWAY: "10.77.0.4", MOTO: "10.77.0.6", MINISTACK: "10.77.0.7"}
ENDPOINT = f"http://{ADDRESSES[GATEWAY]}"


class CloudError(TesthostError):
    """Something the user can act on; the text is one line."""


# What may go wrong with one thing of the account and is told, while the others go on.
TROUBLE = (TesthostError, BotoCoreError, ClientError)


@cache
def client(service: str, endpoint: str = ENDPOINT) -> Any:
    """Return a boto3 client of the account's root user, whose key is the account's number."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="localcloud",
        config=Config(connect_timeout=2, read_timeout=20, retries={"max_attempts": 1}, proxies={}),
    )


def moto(service: str) -> Any:
    """Return a client that asks moto itself: faults that somebody ordered at the gateway do not stop us."""
    return client(service, f"http://{ADDRESSES[MOTO]}")


def running() -> bool:
    """Tell whether the account is there to be asked."""
    found = inspect("container", GATEWAY)
    return bool(found and found[0]["State"]["Running"])


def labels(**more: str) -> list[str]:
    """Return Docker's options that mark something as this checkout's."""
    marks = {LABEL: str(CHECKOUT), **{f"{LABEL}.{key}": value for key, value in more.items()}}
    return [f"--label={key}={value}" for key, value in marks.items()]


def ours(kind: str, mark: str = "") -> list[dict[str, Any]]:
    """Return what `docker inspect` says of our containers or networks: all, or those with a further mark."""
    wanted = f"label={LABEL}.{mark}" if mark else f"label={LABEL}"
    everything = ("--all",) if kind == "container" else ()
    return inspect(kind, *docker(kind, "ls", *everything, "--quiet", "--filter", wanted).split())


def mark_of(thing: dict[str, Any], mark: str) -> str:
    """Return the value of a mark on a container or a network; empty without it."""
    known = thing.get("Labels") or thing.get("Config", {}).get("Labels") or {}
    return str(known.get(f"{LABEL}.{mark}", ""))


def ask(path: Path, command: str) -> str:
    """Give one of our HAProxies a command and return its answer."""
    try:
        return _ask(path, command)
    except OSError as problem:
        raise CloudError(f"{path.parent.name}'s proxy does not answer: {problem}") from None


def _ask(path: Path, command: str) -> str:
    """Reach the socket by its folder's descriptor: a whole path may be longer than the system takes."""
    folder = os.open(path.parent, os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(3)
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
            connection.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode().strip()
    finally:
        os.close(folder)
