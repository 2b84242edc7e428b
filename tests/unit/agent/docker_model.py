"""A small Docker with Compose: containers, networks and images in memory, commands in, results out.

It keeps what matters to the agent: names, labels, hashes and times; `create` makes containers anew by the
same rules, through an intermediate name; commands can be interrupted anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from drover.apply import Answer, Options, apply
from drover.host import Host
from drover.layout import Layout
from drover.run import Result
from drover.state import State
from drover.wishes import every, given, standing, wanted


class Killed(BaseException):
    """The agent was killed: nothing catches it."""


def stamp(moment: float) -> str:
    whole = int(moment)
    fraction = int((moment - whole) * 1_000_000_000)
    return (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{fraction:09d}Z"
        if moment
        else "0001-01-01T00:00:00Z"
    )


def runs_by(monkeypatch: pytest.MonkeyPatch, run: Callable[..., Result]) -> None:
    """Let the command line run its programs so."""
    for module in ("cli", "host"):
        monkeypatch.setattr(f"drover.{module}.runner", lambda *_: run)


@dataclass
class Box:
    """A container."""

    identity: str
    name: str
    stack: str
    service: str
    hash: str
    image: str
    oneshot: bool
    number: int = 1
    status: str = "created"
    code: int = 0
    created: float = field(default_factory=time.time)
    started: float = 0.0
    networks: set[str] = field(default_factory=set)
    depends: str = ""
    health: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    restart: str = "unless-stopped"
    keeps: bool = False
    error: str = ""  # what Docker says of it
    ports: dict[str, str] = field(default_factory=dict)  # inside → address:port of the host
    oneoff: bool = False
    held: bool = False  # a database that takes no writes
    addresses: dict[str, str] = field(default_factory=dict)  # by network

    def inspect(self) -> dict[str, Any]:
        label = "com.docker.compose."
        labels = {
            **self.labels,
            f"{label}project": self.stack,
            f"{label}service": self.service,
            f"{label}config-hash": self.hash,
            f"{label}container-number": str(self.number),
            f"{label}oneoff": str(self.oneoff),
            f"{label}depends_on": self.depends,
        }
        if self.digest:
            labels["drover.digest"] = self.digest
        state: dict[str, Any] = {
            "Status": self.status,
            "ExitCode": self.code,
            "StartedAt": stamp(self.started),
            "FinishedAt": stamp(0),
            "Error": self.error,
        }
        if self.health and self.status == "running":
            state["Health"] = {"Status": self.health, "Log": []}
        ports = {
            inside: [{"HostIp": end.partition(":")[0], "HostPort": end.partition(":")[2]}]
            for inside, end in self.ports.items()
        }
        return {
            "Id": self.identity,
            "Name": f"/{self.name}",
            "Created": stamp(self.created),
            "State": state,
            "Image": f"sha256:{self.image}",
            "Config": {"Image": self.image, "Labels": labels},
            "RestartCount": 0,
            "HostConfig": {
                "RestartPolicy": {"Name": self.restart, "MaximumRetryCount": 0},
                "PortBindings": ports,
            },
            "Mounts": [{"Type": "volume", "Name": "0" * 64, "RW": True}] if self.keeps else [],
            "NetworkSettings": {
                "Networks": {name: {"IPAddress": self.addresses.get(name, "")} for name in self._networks()}
            },
        }

    def _networks(self) -> set[str]:
        """Before the first start Docker knows another project's network by its number alone."""
        return {"f" * 64 if name == "public" and not self.started else name for name in self.networks}


class Docker:
    """The engine and Compose. `kill_after` counts changes of state; at zero the agent is killed."""

    def __init__(self) -> None:
        self.boxes: dict[str, Box] = {}
        self.images: dict[str, str] = {}  # name → user
        self.networks: set[str] = {"public"}
        self.volumes: dict[str, str] = {}  # name → project
        self.commands: list[list[str]] = []
        self.ends: dict[str, int] = {}  # service → code with which its one-shot or program ends
        self.logs: dict[str, str] = {}
        self.rejects: dict[str, str] = {}  # project → Compose's words
        self.commands_left: dict[str, tuple[str, int]] = {}  # container of a command → status, code
        self.ran: list[tuple[str, str]] = []  # commands of deploys: service and text
        self.changes = 0
        self.kill_after: int | None = None
        self.table = ""  # of nftables, that leads to the standby
        self.refuses = dict[
            str, str
        ]()  # database's service → what it says to whoever would hold it or let it go
        self.closed = False  # whether nftables keeps containers from the outside
        self.watching: Callable[[], None] = lambda: None  # called at each change
        self.dies_before = ""  # the engine is gone from the first command on that has this word
        self.dead = False
        self._next = 0

    # The runner

    def __call__(
        self,
        command: Sequence[str],
        *,
        stdin: str = "",
        timeout: float = 60,
        merged: bool = False,
        more: object = None,
    ) -> Result:
        words = list(command)
        self.commands.append(words)
        if words[0] == "nft":
            return self._nft(words, stdin)
        if words[0] != "docker":
            return Result(0, "", "")
        self.dead = self.dead or self.dies_before in words
        if self.dead:
            return Result(1, "", "Cannot connect to the Docker daemon")
        if words[1] == "compose":
            return self._compose(words)
        verb = " ".join(words[1:3]) if words[1] in ("image", "network", "volume") else words[1]
        name = "_" + re.sub(r"[ -]", "_", verb)
        done = getattr(self, name)(words)
        return done if isinstance(done, Result) else Result(0, str(done or ""), "")

    def tick(self) -> None:
        """Something changes now. A killed agent stops before it."""
        if self.kill_after is not None and self.changes >= self.kill_after:
            raise Killed
        self.watching()
        self.changes += 1

    def cut_power(self) -> None:
        """Nothing runs any more."""
        for box in self.boxes.values():
            box.status = "exited" if box.status == "running" else box.status

    def _nft(self, words: list[str], text: str) -> Result:
        if words[1] == "list":
            return Result(0 if self.table else 1, self.table, "No such file or directory")
        self.tick()
        if "drover_outside" in (text or " ".join(words)):
            self.closed = words[1] == "-f"
            return Result(0, "", "")
        self.table = text if words[1] == "-f" else ""
        return Result(0, "", "")

    def answers(self, port: str) -> Box | None:
        """Who gets a new connection to this port of the host."""
        running = [box for box in self.boxes.values() if box.status == "running"]
        if f"dport {port} " in self.table:
            return next((box for box in running if box.oneoff), None)
        return next((box for box in running if f"0.0.0.0:{port}" in box.ports.values()), None)

    def forks(self) -> int:
        count = len(self.commands)
        self.commands.clear()
        return count

    def named(self, name: str) -> Box:
        return next(box for box in self.boxes.values() if box.name == name)

    def of(self, stack: str) -> list[str]:
        return sorted(box.name for box in self.boxes.values() if box.stack == stack)

    # docker …

    def _ps(self, words: list[str]) -> str:
        if any("drover.scratch" in word or "oneoff" in word for word in words):
            return "\n".join(self.commands_left) if "--filter=status=exited" in words else ""
        of = next((word.rpartition("service=")[2] for word in words if "service=" in word), "")
        return "\n".join(name for name, box in self.boxes.items() if of in ("", box.service))

    def _inspect(self, words: list[str]) -> str | Result:
        if "--format" in words:
            found = self.commands_left.get(words[-1])
            return Result(0, f"{found[0]} {found[1]}\n", "") if found else Result(1, "", "No such container")
        return json.dumps([self.boxes[word].inspect() for word in words if word in self.boxes])

    def _exec(self, words: list[str]) -> Result:
        """One of an engine's functions, in the container of its server."""
        box, function = self.boxes[words[-4]], words[-1].rpartition("\n")[2]
        if box.status != "running" or box.service in self.refuses:
            return Result(1, "", self.refuses.get(box.service, f"container {box.name} is not running"))
        if function != "held":
            self.tick()
            box.held = function == "hold"
            self.tick()
        return Result(0, "on\n" if box.held else "off\n", "")

    def _start(self, words: list[str]) -> Result:
        box = self.boxes.get(words[-1])
        if box is None:
            return Result(1, "", "No such container")
        if box.networks - self.networks:
            return Result(1, "", "network 123 not found")
        taken = {
            end for each in self.boxes.values() if each.status == "running" for end in each.ports.values()
        }
        if taken & set(box.ports.values()) and box.status != "running":
            return Result(1, "", "port is already allocated")
        self.tick()
        box.started = time.time()
        ends = self.ends.get(box.service, 0 if box.oneshot else None)
        box.status, box.code = ("running", 0) if ends is None else ("exited", ends)
        return Result(0, "", "")

    def _stop(self, words: list[str]) -> str:
        for word in words[2:]:
            if word in self.boxes and self.boxes[word].status not in ("exited", "created"):
                self.tick()
                self.boxes[word].status, self.boxes[word].code = "exited", 137
        return ""

    def _kill(self, words: list[str]) -> Result:
        box = self.boxes[words[-1]]
        if box.status != "running":
            return Result(1, "", f"container {box.name} is not running")
        self.tick()
        box.status, box.code = "exited", 137
        return Result(0, "", "")

    def _update(self, words: list[str]) -> str:
        for word in words[3:]:
            self.tick()
            self.boxes[word].restart = words[2].partition("=")[2]
        return ""

    def _wait(self, words: list[str]) -> str | Result:
        _, code = self.commands_left[words[-1]]
        self.commands_left[words[-1]] = ("exited", code)
        return str(code)

    def _restart(self, words: list[str]) -> str:
        for word in words[2:]:
            self.tick()
            self.boxes[word].started, self.boxes[word].status = time.time(), "running"
        return ""

    def _unpause(self, words: list[str]) -> str:
        self.tick()
        self.boxes[words[-1]].status = "running"
        return ""

    def _rm(self, words: list[str]) -> str:
        for word in words[2:]:
            self.commands_left.pop(word, None)
            if word in self.boxes:
                self.tick()
                del self.boxes[word]
        return ""

    def _rename(self, words: list[str]) -> str:
        self.tick()
        self.boxes[words[2]].name = words[3]
        return ""

    def _logs(self, words: list[str]) -> str | Result:
        if words[-1] in self.commands_left:
            return self.logs.get(words[-1], "")
        if words[-1] not in self.boxes:
            return Result(1, "", "No such container")
        return self.logs.get(self.boxes[words[-1]].service, "")

    def _create(self, words: list[str]) -> str:
        return "scratch"

    def _cp(self, words: list[str]) -> str:
        return ""

    def _pull(self, words: list[str]) -> Result:
        return Result(1, "", "manifest unknown")

    def _image_inspect(self, words: list[str]) -> Result:
        name = words[-1]
        if name not in self.images:
            return Result(1, "", "No such image")
        return Result(0, json.dumps({"Id": f"sha256:{name}", "Config": {"User": self.images[name]}}), "")

    def _image_rm(self, words: list[str]) -> str:
        return ""

    def _network_connect(self, words: list[str]) -> str:
        self.tick()
        self.boxes[words[-1]].networks.add(words[-2])
        return ""

    def _network_disconnect(self, words: list[str]) -> str:
        self.tick()
        self.boxes[words[-1]].networks.discard(words[-2])
        return ""

    def _network_ls(self, words: list[str]) -> str:
        project = words[-1].rpartition("=")[2]
        return "\n".join(name for name in self.networks if name.startswith(f"{project}_"))

    def _network_rm(self, words: list[str]) -> Result:
        for word in words[3:]:
            if any(word in box.networks for box in self.boxes.values()):
                return Result(1, "", f"network {word} has active endpoints")
            self.tick()
            self.networks.discard(word)
        return Result(0, "", "")

    def _volume_ls(self, words: list[str]) -> str:
        if "--format" in words:
            return "\n".join(self.volumes.values())
        project = words[-1].rpartition("=")[2]
        return "\n".join(name for name, owner in self.volumes.items() if owner == project)

    def _volume_rm(self, words: list[str]) -> str:
        for word in words[3:]:
            self.tick()
            del self.volumes[word]
        return ""

    # docker compose …

    def _compose(self, words: list[str]) -> Result:
        project = words[words.index("--project-name") + 1]
        if "down" in words:
            return self._down(project, volumes="--volumes" in words)
        folder = Path(words[words.index("--project-directory") + 1])
        if project in self.rejects:
            return Result(1, "", self.rejects[project])
        if "run" in words:
            return self._run(words) if "-T" in words else self._beside(project, folder, words)
        scale = dict(word.split("=") for word in words if "=" in word and not word.startswith("--"))
        forced = []
        if "--force-recreate" in words:  # without a name: all of them
            forced = words[words.index("--force-recreate") + 1 :] or [*scale]
        return self._converge(project, folder, forced, {name: int(count) for name, count in scale.items()})

    def _run(self, words: list[str]) -> Result:
        at = words.index("--name")
        name, service, text = words[at + 1], words[at + 2], " ".join(words[at + 3 :])
        code = self.ends.get(text, 0)
        self.tick()
        self.commands_left[name] = ("exited", code)
        self.ran.append((service, text))
        self.logs[name] = self.logs.get(text, "")
        self.tick()
        return Result(0, name, "")

    def _beside(self, project: str, folder: Path, words: list[str]) -> Result:
        name, service = words[words.index("--name") + 1], words[-1]
        file = json.loads((folder / "compose.yaml").read_text())
        done = self._make(project, service, file[service], name, 1)
        if done.code:
            return done
        box = self.named(name)
        box.oneoff, box.restart = True, "no"
        given = dict(word.partition("=")[::2] for word in words if word.startswith("--"))
        box.labels = dict([given["--label"].split("=")])
        address, _, inside = given["--publish"].rpartition(":")
        box.ports = {inside: f"{address.rstrip(':')}:32768"}
        return self._start(["docker", "start", box.identity])

    def _down(self, project: str, *, volumes: bool) -> Result:
        for box in [box for box in self.boxes.values() if box.stack == project]:
            self.tick()
            del self.boxes[box.identity]
        used = {name for box in self.boxes.values() for name in box.networks}
        for name in [name for name in self.networks if name.startswith(f"{project}_")]:
            if name not in used:
                self.tick()
                self.networks.discard(name)
        for name in [name for name, owner in self.volumes.items() if owner == project and volumes]:
            self.tick()
            del self.volumes[name]
        return Result(0, "", "")

    def _converge(self, project: str, folder: Path, forced: list[str], scale: dict[str, int]) -> Result:
        file = json.loads((folder / "compose.yaml").read_text())
        for network in (f"{project}_default", f"{project}_public"):
            if network not in self.networks:
                self.tick()
                self.networks.add(network)
        if any(service.get("volume") for service in file.values()) and f"{project}_db" not in self.volumes:
            self.tick()
            self.volumes[f"{project}_db"] = project
        for name, service in file.items():
            if not forced or name in forced or self._diverged(project, name, service, forced, file):
                done = self._service(project, name, service, forced, scale.get(name, 1))
                if done.code:
                    return done
        return Result(0, "", "")

    def _diverged(
        self, project: str, name: str, service: dict[str, Any], forced: list[str], file: dict[str, Any]
    ) -> bool:
        """What a forced service depends on, and is not as the file has it, is made anew with it."""
        needs = {part.split(":")[0] for each in forced for part in file[each].get("depends", "").split(",")}
        own = [box for box in self.boxes.values() if (box.stack, box.service) == (project, name)]
        assert name not in needs or all(box.hash == config_hash(service) for box in own), (
            f"Compose would make {name} anew, unasked"
        )
        return False

    def _service(
        self, project: str, name: str, service: dict[str, Any], forced: list[str], count: int
    ) -> Result:
        """What is there is left alone unless forced; new ones count on from the highest number."""
        own = [
            box
            for box in self.boxes.values()
            if (box.stack, box.service) == (project, name) and box.hash and not box.oneoff
        ]
        for box in own if name in forced else ():
            done = self._recreate(project, name, service, box, f"{project}-{name}-{box.number}")
            if done.code:
                return done
        last = max((box.number for box in own), default=0)
        assert count >= len(own), f"Compose would remove containers of {name}"
        for number in range(last + 1, last + 1 + count - len(own)):
            done = self._make(project, name, service, f"{project}-{name}-{number}", number)
            if done.code:
                return done
        return Result(0, "", "")

    def _recreate(self, project: str, name: str, service: dict[str, Any], old: Box, usual: str) -> Result:
        done = self._make(project, name, service, f"{old.identity[:12]}_{usual}", old.number)
        if done.code:
            return done
        new = self.named(f"{old.identity[:12]}_{usual}")
        self.tick()
        old.status, old.code = "exited", 137
        self.tick()
        del self.boxes[old.identity]
        self.tick()
        new.name = usual
        return done

    def _make(self, project: str, name: str, service: dict[str, Any], called: str, number: int) -> Result:
        if any(box.name == called for box in self.boxes.values()):
            return Result(1, "", f'Conflict. The container name "/{called}" is already in use')
        self.tick()
        self._next += 1
        identity = hashlib.sha256(str(self._next).encode()).hexdigest()
        own = {"proxy": ["public"]}.get(project, [f"{project}_public"] if service.get("public") else [])
        networks = {f"{project}_default", *own}
        self.boxes[identity] = Box(
            identity,
            called,
            project,
            name,
            config_hash(service),
            service["image"],
            service.get("oneshot", False),
            number,
            networks=networks,
            depends=service.get("depends", ""),
            health=service.get("health", ""),
            labels=service.get("labels", {}),
            digest=service_digest(service),
            keeps=service.get("keeps", False),
            ports=dict(service.get("ports", {})),
        )
        return Result(0, "", "")


def service_digest(service: dict[str, Any]) -> str:
    one = {key: value for key, value in service.items() if key != "replicas"}
    return hashlib.sha256(json.dumps(one, sort_keys=True).encode()).hexdigest()[:12]


def config_hash(service: dict[str, Any]) -> str:
    """As Compose does, the contents of env_files are part of it."""
    env = Path(service["env_file"]).read_text() if service.get("env_file") else ""
    return hashlib.sha256((service_digest(service) + env).encode()).hexdigest()


@dataclass
class Place:
    """A host in a folder."""

    layout: Layout
    docker: Docker

    def host(self, *, write: bool = True) -> Host:
        return Host(self.layout, self.docker, State(self.layout.state, write=write), lambda text: None)

    def apply(
        self, manifests: Sequence[dict[str, Any]] = (), choose: Callable[..., Any] = wanted, **options: Any
    ) -> Answer:
        host = self.host(write=not options.get("check"))
        try:
            told = given(json.dumps(list(manifests)))
            return apply(host, every(self.layout, choose), Options(**options), told)
        finally:
            host.state.close()

    def boot(self) -> Answer:
        return self.apply(choose=standing, action="boot")

    def write(
        self,
        stack: str,
        services: dict[str, dict[str, Any]],
        *,
        routes: Sequence[dict[str, Any]] = (),
        version: str = "1",
        secrets: dict[str, str] | None = None,
        wanted: bool = True,
        deploy: dict[str, Any] | None = None,
        **more: Any,
    ) -> str:
        """Put a release and its secrets on the disk as the tree module does; return the release."""
        folder = self.layout.stack(stack)
        for path, text in (secrets or {}).items():
            self.secret(stack, path, text)
        content = json.dumps(services, sort_keys=True)
        manifest = {
            "format": 1,
            "file": "compose.yaml",
            "stack": stack,
            "version": version,
            "routes": list(routes),
            "data_folders": [],
            "deploy": deploy or {},
            "networks": [f"{stack}_public"] if routes and stack != "proxy" else [],
            **more,
            "services": {
                name: {
                    "digest": service_digest(service),
                    "order": service.get("order", "stop-first" if service.get("oneshot") else "start-first"),
                    "image": service["image"],
                    "kind": "oneshot" if service.get("oneshot") else "service",
                    "replicas": service.get("replicas", 1),
                    "health": None,
                    "secrets": [
                        path.partition("/")[2] for path in secrets or {} if path.startswith(f"{name}/")
                    ],
                    "secret_env": ["TOKEN"] if service.get("env_file") else [],
                    "uid": os.getuid(),
                    "always": bool(service.get("volume")),
                    "worker": service.get("worker", False),
                    "profiles": [],
                }
                for name, service in services.items()
            },
        }
        release = hashlib.sha256((content + json.dumps(manifest)).encode()).hexdigest()[:16]
        root = folder / "releases" / release
        root.mkdir(parents=True, exist_ok=True)
        (root / "compose.yaml").write_text(content)
        (root / "manifest.json").write_text(json.dumps({**manifest, "release": release}))
        if wanted:
            beside = folder / ".wanted"
            beside.symlink_to(f"releases/{release}")
            beside.replace(folder / "wanted")
        for service in services.values():
            self.docker.images.setdefault(service["image"], "")
        return release

    def told(self, stack: str, release: str) -> dict[str, Any]:
        """The manifest as the controller tells it."""
        path = self.layout.release(stack, release) / "manifest.json"
        return dict(json.loads(path.read_text()))

    def link(self, stack: str, name: str) -> str:
        path = self.layout.stack(stack) / name
        return path.readlink().name if path.is_symlink() else ""

    def secret(self, stack: str, path: str, text: str) -> None:
        file = self.layout.secrets(stack) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}")
        beside.write_text(text)
        beside.replace(file)

    def state(self, stack: str) -> dict[str, Any]:
        """The end state: what a run leaves, without times, identities and the numbers in names."""
        own = [box for box in self.docker.boxes.values() if box.stack == stack]
        assert all(box.name == f"{stack}-{box.service}-{box.number}" for box in own)
        found = [
            (box.service, box.hash, box.image, box.status, box.code, sorted(box.networks)) for box in own
        ]
        path = self.layout.routes / f"{stack}.yml"
        route = path.read_text() if path.exists() else ""
        servers = set(re.findall(r"http://([a-z0-9-]+):", route)) - {"drover-pages"}
        assert servers <= {box.name for box in own if box.status == "running"}
        current = self.layout.stack(stack) / "current"
        proxy = sorted(next(box for box in self.docker.boxes.values() if box.service == "traefik").networks)
        return {
            "boxes": sorted(found),
            "route": re.sub(r"((?:http://|\")[a-z-]+)-\d+(?=[:\"])|[0-9a-f]{16}(?=\.)", r"\1", route),
            "proxy": proxy,
            "current": current.readlink().name if current.is_symlink() else "",
        }


def place(folder: Path, docker: Docker) -> Place:
    found = Place(Layout(folder), docker)
    found.write("proxy", {"traefik": {"image": "traefik:v3"}})
    found.apply()
    docker.commands.clear()
    return found


def killed_anywhere(
    folder: Path,
    scenario: Callable[[Path], Place],
    manifests: Sequence[dict[str, Any]] = (),
    act: Callable[[Place], Answer] | None = None,
) -> Iterator[tuple[int, Place, Place]]:
    """For each change of a whole run: its number, a host whose agent was killed there, the whole one."""
    act = act or (lambda here: here.apply(manifests))
    whole = scenario(folder / "whole")
    assert not act(whole).errors
    points = whole.docker.changes
    assert points > 2
    for point in range(points):
        here = scenario(folder / str(point))
        here.docker.kill_after = point
        with pytest.raises(Killed):
            act(here)
        here.docker.kill_after = None
        yield point, here, whole
