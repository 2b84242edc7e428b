"""The control plane: moto, ministack, and the gateway before them: names, endpoint and metadata service."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial

from localcloud import authority, cloud, networks
from localcloud.cloud import ACCOUNT, ADDRESSES, ENDPOINT, GATEWAY, MINISTACK, MOTO, REGION, RUN, CloudError
from testhost import images, registry
from testhost.docker import NETWORK, TesthostError, docker, ensure_network, inspect

SHARED = f"--volume={RUN}:/run/localcloud"
ENVIRONMENT = {
    "ACCOUNT": ACCOUNT,
    "ENDPOINT": ENDPOINT,
    "GATEWAY": ADDRESSES[GATEWAY],
    "MINISTACK": ADDRESSES[MINISTACK],
    "MOTO": ADDRESSES[MOTO],
    "REGION": REGION,
    "REGISTRY": registry.ADDRESS,
}
MOTO_ENVIRONMENT = {
    "MOTO_ACCOUNT_ID": ACCOUNT,
    "MOTO_AMIS_PATH": "/opt/localcloud/amis.json",
    "PYTHONPATH": "/opt/moto",
}
# This one asks for signatures, looks at policies, and takes the account's number for its root's key.
MINISTACK_ENVIRONMENT = {
    "AUTH": "true",
    "GATEWAY_PORT": "80",
    "MINISTACK_ACCOUNT_ID": ACCOUNT,
    "MINISTACK_HOST": "amazonaws.com",
    "MINISTACK_REGION": REGION,
    "PYTHONPATH": "/opt/ministack",
}
PARTS: dict[str, tuple[dict[str, str], Sequence[str], Sequence[str]]] = {
    MINISTACK: (MINISTACK_ENVIRONMENT, [], ["python3", "-m", "ministack"]),
    MOTO: (MOTO_ENVIRONMENT, [], ["python3", "/opt/localcloud/overlay.py", "-H", "0.0.0.0", "-p", "80"]),
    GATEWAY: (
        {},
        ["--cap-add=NET_ADMIN", "--restart=unless-stopped"],
        ["/opt/localcloud/start"],
    ),
}


def prepare() -> None:
    """Make what the containers share: certificates, the list of faults, the folder of names."""
    (RUN / "names").mkdir(parents=True, exist_ok=True)
    authority.ensure()
    authority.issue(authority.AWS_NAMES, RUN / "aws.pem")
    (RUN / "faults.map").touch()


def up() -> None:
    """Start what is missing; what runs stays as it is, the account in its memory with it."""
    ensure_network()
    prepare()
    for name in PARTS:
        _ensure(name)
    networks.adopt()
    _wait()


def _ensure(name: str) -> None:
    found = inspect("container", name)
    if found and found[0]["State"]["Running"]:
        if found[0]["Image"] == images.id_of(cloud.IMAGE):
            return
        raise CloudError(f"{name} runs from an older image: localcloud down, then up")
    if found:
        docker("rm", "--force", "--volumes", name)
    own, options, command = PARTS[name]
    environment = [f"--env={key}={value}" for key, value in {**ENVIRONMENT, **own}.items()]
    docker(
        "run", "--detach", "--name", name, *cloud.labels(part=name), "--network", NETWORK,
        "--ip", ADDRESSES[name], SHARED, *environment, *options, cloud.IMAGE, *command,
    )  # fmt: skip


def _wait(seconds: float = 30) -> None:
    """Until the emulators, the endpoint and the metadata service answer."""
    until = time.monotonic() + seconds
    urls = {MOTO: "/moto-api/", MINISTACK: "/_ministack/health", GATEWAY: "/"}
    questions: list[tuple[str, Callable[[], bool]]] = [
        (name, partial(answers, f"http://{ADDRESSES[name]}{path}")) for name, path in urls.items()
    ]
    for name, question in [*questions, (GATEWAY, _metadata_answers)]:
        while not question():
            if time.monotonic() > until:
                raise CloudError(f"{name} does not answer: docker logs {name}")
            time.sleep(0.1)


def _metadata_answers() -> bool:
    """Only the gateway itself and instances reach the service; it refuses the former a token."""
    script = "import http.client as h; c = h.HTTPConnection('169.254.169.254', timeout=2)"
    script += "; c.request('PUT', '/latest/api/token'); print(c.getresponse().status)"
    try:
        return docker("exec", GATEWAY, "python3", "-c", script) == "403"
    except TesthostError:
        return False


def answers(url: str) -> bool:
    """Tell whether anything answers there, whatever it says."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def down() -> None:
    """Remove the control plane; the emulated account is gone with it."""
    for found in cloud.ours("container", "part"):
        docker("rm", "--force", "--volumes", found["Id"])
