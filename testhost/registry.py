"""A registry on the test network: a host's engine pulls every image from it by its ordinary name."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from testhost import images
from testhost.docker import (
    LABEL,
    NETWORK,
    TesthostError,
    docker,
    ensure_network,
    inspect,
    say,
    step,
    watched,
)

NAME = "drover-registry"
ADDRESS = "10.77.0.5"
MIRROR = f"http://{ADDRESS}:5000"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"


def start() -> None:
    """Start the container, or leave it as it is if it runs from the present image."""
    ensure_network()
    found = inspect("container", NAME)
    if found and found[0]["Image"] != images.id_of(images.REGISTRY):
        docker("rm", "--force", NAME)
        found = []
    if not found:
        # Reached from this machine by a port of the loopback interface, which engines take without TLS.
        docker(
            "run", "--detach", "--name", NAME, "--label", LABEL, "--restart", "unless-stopped",
            "--network", NETWORK, "--ip", ADDRESS, "--publish", "127.0.0.1::5000",
            "--volume", f"{NAME}:/var/lib/registry", images.REGISTRY,
        )  # fmt: skip
    elif not found[0]["State"]["Running"]:
        docker("start", NAME)
    wait()


def local() -> str:
    """Host and port at which this machine reaches the registry."""
    return docker("port", NAME, "5000/tcp").splitlines()[0]


def ask(path: str) -> bytes:
    request = urllib.request.Request(f"http://{local()}/v2/{path}", headers={"Accept": MANIFEST})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=5) as answer:
        body: bytes = answer.read()
        return body


def wait(seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            ask("")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TesthostError(f"the registry does not answer: docker logs {NAME}")


def full_name(name: str) -> str:
    """As the engine asks a mirror for it: postgres:17 is library/postgres:17."""
    return name if "/" in name else f"library/{name}"


def holds(name: str) -> bool:
    """Whether the registry has this very image: by its configuration's digest, or by its own."""
    repository, _, tag = full_name(name).rpartition(":")
    try:
        manifest = json.loads(ask(f"{repository}/manifests/{tag}"))
    except urllib.error.HTTPError:
        return False
    found = inspect("image", name)[0]
    digests = [digest.rpartition("@")[2] for digest in found.get("RepoDigests") or []]
    config = manifest.get("config", {}).get("digest")
    return config == found["Id"] or manifest.get("digest") in digests


def push(name: str) -> None:
    if holds(name):
        return
    with step(f"pushed {name}"):
        there = f"{local()}/{full_name(name)}"
        docker("tag", name, there)
        try:
            watched(f"push {name}", ["docker", "push", there])
        finally:
            docker("image", "rm", there)


def ensure(scenario: str = "") -> None:
    """A running registry that holds every published image, and those that only this scenario needs."""
    images.ensure(scenario=scenario)
    images.record()
    start()
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(push, images.published(scenario)))
    say(f"registry at {MIRROR} for hosts, at http://{local()} for this machine")


def remove() -> None:
    if inspect("container", NAME):
        docker("rm", "--force", "--volumes", NAME)
        say(f"removed {NAME}")
    if inspect("volume", NAME):
        docker("volume", "rm", NAME)
