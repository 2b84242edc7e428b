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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drover.apply import Answer, Options, apply
from drover.host import Host
from drover.layout import Layout
from drover.release import given, standing, wanted, wishes
from drover.run import Result
from drover.state import State


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

    def inspect(self) -> dict[str, Any]:
        label = "com.docker.compose."
        labels = {
            **self.labels,
            f"{label}project": self.stack,
            f"{label}service": self.service,
            f"{label}config-hash": self.hash,
            f"{label}container-number": str(self.number),
            f"{label}oneoff": "False",
            f"{label}depends_on": self.depends,
        }
        state: dict[str, Any] = {
            "Status": self.status,
            "ExitCode": self.code,
            "StartedAt": stamp(self.started),
            "FinishedAt": stamp(0),
            "Error": "",
        }
        if self.health and self.status == "running":
            state["Health"] = {"Status": self.health, "Log": []}
        return {
            "Id": self.identity,
            "Name": f"/{self.name}",
            "Created": stamp(self.created),
            "State": state,
            "Image": f"sha256:{self.image}",
            "Config": {"Image": self.image, "Labels": labels},
            "RestartCount": 0,
            "NetworkSettings": {"Networks": {name: {"IPAddress": ""} for name in self.networks}},
        }


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
        self.changes = 0
        self.kill_after: int | None = None
        self.dies_before = ""  # the engine is gone from the first command on that has this word
        self.dead = False
        self._next = 0

    # The runner

    def __call__(
        self, command: Sequence[str], *, stdin: str = "", timeout: float = 60, merged: bool = False
    ) -> Result:
        words = list(command)
        self.commands.append(words)
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
        self.changes += 1

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
        if any("drover.scratch" in word for word in words):
            return ""
        return "\n".join(self.boxes)

    def _inspect(self, words: list[str]) -> str:
        return json.dumps([self.boxes[word].inspect() for word in words if word in self.boxes])

    def _start(self, words: list[str]) -> Result:
        box = self.boxes.get(words[-1])
        if box is None:
            return Result(1, "", "No such container")
        if box.networks - self.networks:
            return Result(1, "", "network 123 not found")
        self.tick()
        box.started = time.time()
        ends = self.ends.get(box.service, 0 if box.oneshot else None)
        box.status, box.code = ("running", 0) if ends is None else ("exited", ends)
        return Result(0, "", "")

    def _stop(self, words: list[str]) -> str:
        self.tick()
        self.boxes[words[-1]].status = "exited"
        return ""

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
            if word in self.boxes:
                self.tick()
                del self.boxes[word]
        return ""

    def _rename(self, words: list[str]) -> str:
        self.tick()
        self.boxes[words[2]].name = words[3]
        return ""

    def _logs(self, words: list[str]) -> str:
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
        forced = words[words.index("--force-recreate") + 1 :] if "--force-recreate" in words else []
        return self._converge(project, folder, forced)

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

    def _converge(self, project: str, folder: Path, forced: list[str]) -> Result:
        file = json.loads((folder / "compose.yaml").read_text())
        for network in (f"{project}_default", f"{project}_public"):
            if network not in self.networks:
                self.tick()
                self.networks.add(network)
        if any(service.get("volume") for service in file.values()) and f"{project}_db" not in self.volumes:
            self.tick()
            self.volumes[f"{project}_db"] = project
        for box in [box for box in self.boxes.values() if box.stack == project and box.service not in file]:
            self.tick()
            del self.boxes[box.identity]
        for name, service in file.items():
            if not forced or name in forced:
                done = self._service(project, name, service, forced)
                if done.code:
                    return done
        return Result(0, "", "")

    def _service(self, project: str, name: str, service: dict[str, Any], forced: list[str]) -> Result:
        own = [box for box in self.boxes.values() if (box.stack, box.service) == (project, name) and box.hash]
        digest = config_hash(service)
        for number in range(1, service.get("replicas", 1) + 1):
            usual = f"{project}-{name}-{number}"
            box = next((box for box in own if box.number == number), None)
            if box and (box.hash != digest or name in forced):
                done = self._recreate(project, name, service, box, usual)
                if done.code:
                    return done
            elif box is None:
                done = self._make(project, name, service, usual, number)
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
        networks = {f"{project}_default", *([f"{project}_public"] if service.get("public") else [])}
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
        )
        return Result(0, "", "")


def config_hash(service: dict[str, Any]) -> str:
    """As Compose does, the contents of env_files are part of it."""
    env = Path(service["env_file"]).read_text() if service.get("env_file") else ""
    return hashlib.sha256((json.dumps(service, sort_keys=True) + env).encode()).hexdigest()


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
            return apply(host, wishes(self.layout, choose), Options(**options), told)
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
            "networks": [f"{stack}_public"] if routes and stack != "proxy" else [],
            "services": {
                name: {
                    "digest": hashlib.sha256(json.dumps(service).encode()).hexdigest()[:12],
                    "image": service["image"],
                    "kind": "oneshot" if service.get("oneshot") else "service",
                    "replicas": service.get("replicas", 1),
                    "health": None,
                    "secrets": [
                        path.partition("/")[2] for path in secrets or {} if path.startswith(f"{name}/")
                    ],
                    "secret_env": ["TOKEN"] if service.get("env_file") else [],
                    "uid": os.getuid(),
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
        """The end state: what a run leaves, without times and identities."""
        found = {
            box.name: (box.hash, box.image, box.status, box.code, sorted(box.networks))
            for box in self.docker.boxes.values()
            if box.stack == stack
        }
        route = self.layout.routes / f"{stack}.yml"
        current = self.layout.stack(stack) / "current"
        proxy = sorted(self.docker.named("proxy-traefik-1").networks)
        return {
            "boxes": found,
            "route": route.read_text() if route.exists() else "",
            "proxy": proxy,
            "current": current.readlink().name if current.is_symlink() else "",
        }


def place(folder: Path, docker: Docker) -> Place:
    found = Place(Layout(folder), docker)
    found.write("proxy", {"traefik": {"image": "traefik:v3"}})
    found.apply()
    docker.commands.clear()
    return found
