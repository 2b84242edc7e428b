"""Hosts: containers with systemd and SSH that take the place of fresh machines."""

from __future__ import annotations

import fcntl
import ipaddress
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from testhost import images
from testhost.docker import (
    CACHE,
    LABEL,
    MINE,
    NETWORK,
    SUBNET,
    TesthostError,
    docker,
    ensure_network,
    inspect,
    say,
)

KEY = CACHE / "id_ed25519"
KNOWN_HOSTS = CACHE / "known_hosts"
PACKAGES = CACHE / "packages"
FIRST, LAST = 10, 127  # last part of the addresses that are given out
REBOOT = 129  # exit code of a container in which `reboot` ran

# More than Docker gives, less than --privileged: the machine's clock and disks stay out of reach.
CAPABILITIES = [
    "SYS_ADMIN", "NET_ADMIN", "NET_BROADCAST", "SYS_PTRACE", "SYS_NICE", "SYS_BOOT", "SYSLOG", "IPC_LOCK",
    "LEASE", "LINUX_IMMUTABLE", "DAC_READ_SEARCH",
]  # fmt: skip
OPTIONS = [
    *(f"--cap-add={name}" for name in CAPABILITIES),
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--cgroupns=private",
    "--tmpfs=/run",
    "--tmpfs=/run/lock",
    "--volume=/var/lib/docker",
]


def container(name: str) -> str:
    return f"drover-host-{name}"


def find(name: str) -> dict[str, Any]:
    found = inspect("container", container(name))
    if not found:
        raise TesthostError(f"there is no host {name}: testhost list shows those there are")
    return found[0]


def every(label: str = LABEL) -> list[dict[str, Any]]:
    """All hosts, running or not, or those with a further label."""
    names = docker("ps", "--all", "--quiet", "--filter", f"label={label}").split()
    return [host for host in inspect("container", *names) if name_of(host)]


def name_of(host: dict[str, Any]) -> str:
    return str(host["Config"]["Labels"].get(LABEL, ""))


def address_of(host: dict[str, Any]) -> str:
    settings = host["NetworkSettings"]["Networks"].get(NETWORK, {})
    return str((settings.get("IPAMConfig") or {}).get("IPv4Address") or settings.get("IPAddress", ""))


@contextmanager
def locked() -> Iterator[None]:
    """One process at a time gives out addresses and writes known_hosts."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ensure_key() -> None:
    if not KEY.exists():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "testhost", "-f", str(KEY)]
        subprocess.run(command, check=True)


def free_address() -> str:
    taken = {address_of(host) for host in every()}
    for number in range(FIRST, LAST + 1):
        address = str(ipaddress.ip_network(SUBNET)[number])
        if address not in taken:
            return address
    raise TesthostError("all addresses are given out: testhost down removes hosts")


def create(name: str, address: str, keys: str, resolver: str) -> None:
    PACKAGES.mkdir(exist_ok=True)
    mounts = [f"--volume={PACKAGES}:/var/cache/testhost/packages"]
    if resolver:
        # Docker's own DNS are firewall rules inside the host, which a flushed rule set takes away.
        file = CACHE / f"resolv.{name}"
        file.write_text(f"nameserver {resolver}\n")
        mounts.append(f"--volume={file}:/etc/resolv.conf")
    docker(
        "create", "--name", container(name), "--hostname", name,
        "--label", f"{LABEL}={name}", "--label", MINE, "--network", NETWORK, "--ip", address,
        "--env", f"AUTHORIZED_KEYS={keys}",
        *OPTIONS, *mounts, images.HOST,
    )  # fmt: skip


def up(name: str, address: str = "", authorized_key: Path | None = None, resolver: str = "") -> str:
    """Create or start a host and wait for SSH. Returns its address."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", name):
        raise TesthostError(f"{name} is no host name: small letters, digits and hyphens")
    images.ensure(only=images.HOST)
    with locked():
        ensure_key()
        if not inspect("container", container(name)):
            ensure_network()
            keys = [KEY.with_suffix(".pub").read_text(), authorized_key.read_text() if authorized_key else ""]
            create(name, address or free_address(), "".join(keys).strip(), resolver)
    if address and address_of(find(name)) != address:
        raise TesthostError(f"{name} has the address {address_of(find(name))}: testhost down {name} first")
    return start(name)


def start(name: str) -> str:
    docker("start", container(name))
    return wait(name)


def learn_host_key(name: str, address: str) -> bool:
    """Read the key from inside the container, so that nobody has to trust the first connection."""
    command = ["docker", "exec", container(name), "cat", "/etc/ssh/ssh_host_ed25519_key.pub"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return False
    with locked():
        _write_known([*_known_but(address), f"{address} {' '.join(done.stdout.split()[:2])}\n"])
    return True


def forget_host_key(address: str) -> None:
    if KNOWN_HOSTS.exists():
        _write_known(_known_but(address))


def _known_but(address: str) -> list[str]:
    """The lines of all other hosts."""
    text = KNOWN_HOSTS.read_text() if KNOWN_HOSTS.exists() else ""
    return [line for line in text.splitlines(keepends=True) if line.split()[0] != address]


def _write_known(lines: list[str]) -> None:
    """At once: an ssh to another host that reads it meanwhile finds that one's key."""
    beside = KNOWN_HOSTS.with_name(f"{KNOWN_HOSTS.name}.new")
    beside.write_text("".join(lines))
    beside.replace(KNOWN_HOSTS)


def ssh(address: str, *command: str) -> list[str]:
    return [
        "ssh", "-i", str(KEY), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=2",
        "-o", f"UserKnownHostsFile={KNOWN_HOSTS}", "-o", "StrictHostKeyChecking=yes",
        f"root@{address}", *command,
    ]  # fmt: skip


def answers(address: str) -> bool:
    return subprocess.run(ssh(address, "true"), capture_output=True).returncode == 0


def wait(name: str, seconds: float = 60) -> str:
    """Until SSH lets root in with the key. Returns the address."""
    address = address_of(find(name))
    started = shown = time.monotonic()
    while (now := time.monotonic()) - started < seconds:
        if learn_host_key(name, address) and answers(address):
            say(f"{name} at {address}: {time.monotonic() - started:.1f} s until SSH answered")
            return address
        if not find(name)["State"]["Running"]:
            break
        if now - shown > 2:
            shown = now
            say(f"  … {name}: {now - started:.0f} s, waiting for SSH")
        time.sleep(0.2)
    raise TesthostError(f"{name} does not answer by SSH: docker logs {container(name)}")


def power_cut(name: str) -> None:
    """No process inside gets to say goodbye. The page cache survives: this proves nothing about fsync."""
    if find(name)["State"]["Running"]:
        docker("kill", "--signal", "KILL", container(name))
    start(name)


def reboot(name: str) -> None:
    find(name)
    docker("exec", container(name), "systemctl", "reboot")
    code = docker("wait", container(name), seconds=120)
    if int(code) != REBOOT:
        raise TesthostError(f"{name} ended with {code}, not with {REBOOT}: docker logs {container(name)}")
    start(name)


def keep() -> None:
    """Stay, and start again every host that reboots by itself."""
    say("keeping hosts: those that reboot are started again; end with Ctrl-C")
    filters = ["--filter", "event=die", "--filter", f"label={LABEL}"]
    command = ["docker", "events", *filters, "--format", "{{json .Actor.Attributes}}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as events:
        for line in events.stdout or []:
            event = json.loads(line)
            if event["exitCode"] == str(REBOOT) and event.get(LABEL):
                start(event[LABEL])


def down(name: str) -> None:
    """The host and its data; one that does not exist is no error."""
    found = inspect("container", container(name))
    if found:
        docker("rm", "--force", "--volumes", container(name))
        with locked():
            forget_host_key(address_of(found[0]))
        say(f"removed {name}")
    (CACHE / f"resolv.{name}").unlink(missing_ok=True)


def show() -> None:
    for host in sorted(every(), key=name_of):
        say(f"{name_of(host):20} {address_of(host):15} {host['State']['Status']}")


def remove() -> None:
    for host in every(MINE):
        with suppress(FileNotFoundError):
            down(name_of(host))
