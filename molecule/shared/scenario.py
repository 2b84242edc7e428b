"""What every scenario's tests share: ansible-playbook runs, and a look at Docker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import testinfra
import yaml
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[2]
KEY = ROOT / ".cache" / "testhost" / "id_ed25519"
KNOWN_HOSTS = KEY.parent / "known_hosts"
Stacks = list[dict[str, Any]]


@dataclass(frozen=True)
class Run:
    """One ansible-playbook run: its exit status and everything it printed."""

    status: int
    output: str

    @property
    def changed(self) -> int:
        """The number of changed tasks by the recap, on all hosts of a run that succeeded."""
        assert self.status == 0, self.output
        found = re.findall(r" : ok=\d+ +changed=(\d+)", self.output)
        assert found, self.output
        return sum(int(each) for each in found)


def typed(command: list[str], seconds: float = 600) -> Run:
    """What a person could type in the checkout, without a terminal and without colours."""
    # An ssh beside it may make a shared standard input non-blocking, which Ansible refuses.
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    return Run(done.returncode, done.stdout + done.stderr)


@dataclass(frozen=True)
class Scenario:
    """The scenario under test: its inventory folder and the one host that it names."""

    inventory: Path
    name: str
    address: str

    @classmethod
    def of(cls, tests: Path) -> Scenario:
        """The scenario that a folder of tests belongs to."""
        folder = tests.parent / "inventory"
        hosts = yaml.safe_load((folder / "hosts.yml").read_text())["all"]["hosts"]
        ((name, variables),) = hosts.items()
        return cls(folder, name, variables["ansible_host"])

    def host(self) -> Host:
        """The host over SSH."""
        return testinfra.get_host(
            f"ssh://root@{self.address}",
            ssh_identity_file=str(KEY),
            ssh_extra_args=f"-o UserKnownHostsFile={KNOWN_HOSTS}",
        )

    def site(self, *arguments: str, inventory: Path | None = None, playbook: Path | None = None) -> Run:
        """Run the site playbook with more arguments, from another inventory folder if one is given."""
        command = ["ansible-playbook", "-i", str(inventory or self.inventory), *arguments]
        command.append(str(playbook or ROOT / "playbooks" / "site.yml"))
        return typed(command)

    def converge(self, *arguments: str, inventory: Path | None = None) -> Run:
        """Run the site playbook, which must succeed."""
        run = self.site(*arguments, inventory=inventory)
        assert run.status == 0, run.output
        return run

    def testhost(self, *arguments: str) -> None:
        """Run testhost, for instance to cut the power."""
        subprocess.run(
            [str(ROOT / "testhost" / "testhost"), *arguments], check=True, capture_output=True, timeout=300
        )


def stack(stacks: Stacks, name: str) -> dict[str, Any]:
    """Return the named stack of the inventory, to be changed in place."""
    return next(each for each in stacks if each["name"] == name)


def containers(host: Host, project: str | None = None) -> dict[str, Any]:
    """Return what `docker inspect` says of every container, stopped ones too, by name without its slash."""
    wanted = f"--filter label=com.docker.compose.project={project}" if project else ""
    names = host.check_output(f"docker ps -aq {wanted}").split()
    if not names:
        return {}
    found = json.loads(host.check_output(f"docker inspect {' '.join(names)}"))
    return {each["Name"].lstrip("/"): each for each in found}


def started(host: Host) -> dict[str, tuple[str, str]]:
    """Return (id, StartedAt) of every container by name: if they are equal, nothing was touched."""
    return {name: (each["Id"], each["State"]["StartedAt"]) for name, each in containers(host).items()}


def service(host: Host, stack: str, name: str) -> str:
    """Return the name of a service's only container, whatever its number is after some deploys."""
    (found,) = host.check_output(
        f"docker ps -a --filter label=com.docker.compose.project={stack}"
        f" --filter label=com.docker.compose.service={name} --filter label=com.docker.compose.oneoff=False"
        " --format '{{.Names}}'"
    ).split()
    return str(found)


def fetch(host: Host, name: str, path: str = "/", *arguments: str) -> tuple[int, str]:
    """Ask the host's port 80 for a path by host name; return status and body."""
    url = f"http://127.0.0.1{path}"
    done = host.run(f"curl -sS -m 10 -w '\\n%{{http_code}}' -H 'Host: {name}' {' '.join(arguments)} '{url}'")
    body, _, status = done.stdout.rpartition("\n")
    return int(status or 0), body


def eventually(check: Callable[[], bool], seconds: float = 30) -> bool:
    """Return whether the check came true within the seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if check():
            return True
        time.sleep(0.5)
    return check()
