# GPL-3.0-or-later
"""What a service mounts: files of the stack's folder travel, named by what they hold; the rest is data.

Named by content, a file that did not change keeps its path, and exactly the services that mount a changed
one are created anew.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import paths
from ..compose.normal import Plain
from ..dump import Override, Reset
from ..stack import Stack, entries, variables
from . import point_in_time, secrets

_LEFT = {".gitkeep", ".gitignore", ".keep", ".env"}


@dataclass(frozen=True)
class Shipped:
    """A file or folder that travels: its name, and (relative path, executable, content) of each file."""

    name: str
    parts: tuple[tuple[str, bool, bytes], ...]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over everything in it."""
        total = hashlib.sha256()
        for path, executable, content in self.parts:
            total.update(f"{path}\0{int(executable)}\0{len(content)}\0".encode() + content)
        return total.hexdigest()[:16]


_SPOOL = Shipped(point_in_time.PROGRAM, ((point_in_time.PROGRAM, False, point_in_time.SCRIPT.encode()),))


def source_of(stack: Stack, mount: Plain) -> Path | None:
    """What a bind mount names in the stack's folder, if there is a file or a folder with something in it."""
    source = str(mount.get("source") or "")
    if mount.get("type") != "bind" or source.startswith(("/", "~")):
        return None
    path = stack.view.folder / source
    if not path.resolve().is_relative_to(stack.view.folder.resolve()):
        return None
    return path if path.is_file() or (any(_files(path)) and not _ignored(stack, path)) else None


def _ignored(stack: Stack, path: Path) -> bool:
    """Whether the folder, or one around it, keeps what it holds out of git: a .gitignore with the line `*`.

    So people keep a folder of data beside a Compose file; what a run by hand left there is no configuration.
    """
    root = stack.view.folder.resolve()
    around = [folder for folder in (path.resolve(), *path.resolve().parents) if folder.is_relative_to(root)]
    return any(
        b"*" in (folder / ".gitignore").read_bytes().split()
        for folder in around
        if folder != root and (folder / ".gitignore").is_file()
    )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in _LEFT)


def shipped(path: Path) -> Shipped:
    """The file, or the folder with everything in it."""
    if path.is_file():
        return Shipped(path.name, (_part(path, path.name),))
    return Shipped(
        path.name, tuple(_part(file, f"{path.name}/{file.relative_to(path)}") for file in _files(path))
    )


def _part(path: Path, name: str) -> tuple[str, bool, bytes]:
    return name, bool(path.stat().st_mode & 0o100), path.read_bytes()


def configs(stack: Stack, name: str) -> list[tuple[Shipped, str]]:
    """The configs that the service lists, each with the path it wants it at."""
    found = []
    for entry in entries(stack.view.services[name], "configs"):
        source = str(entry.get("source"))
        what = _config(stack, source)
        if what:
            found.append((what, str(entry.get("target") or f"/{source}")))
    return found


def _config(stack: Stack, source: str) -> Shipped | None:
    config = stack.view.configs.get(source, {})
    if isinstance(config.get("file"), str):
        path = stack.view.folder / str(config["file"])
        return shipped(path) if path.is_file() else None
    text = config.get("content")
    if text is None and config.get("environment") is not None:
        text = variables(stack.data).get(str(config["environment"]), "")
    return None if text is None else Shipped(source, ((source, False, str(text).encode()),))


def everything(stack: Stack, name: str) -> list[Shipped]:
    """All that travels for the service."""
    sources = [source_of(stack, mount) for mount in entries(stack.view.services[name], "volumes")]
    own = [*(shipped(path) for path in sources if path), *(what for what, _ in configs(stack, name))]
    return [*own, _SPOOL] if point_in_time.wanted(stack, name) else own


def override(stack: Stack, name: str) -> Plain:
    """Every mount written out, when one of them differs from the file's."""
    service = stack.view.services[name]
    own = entries(service, "volumes")
    added = [_at(stack, what, target) for what, target in configs(stack, name)] + secrets.mount(stack, name)
    added += point_in_time.mounts(stack, name, _at(stack, _SPOOL, ""))
    mounts = [_mounted(stack, mount) for mount in own] + added
    return {
        **({"volumes": Override(mounts)} if mounts != own else {}),
        **({"configs": Reset()} if service.get("configs") else {}),
    }


def _mounted(stack: Stack, mount: Plain) -> Plain:
    path = source_of(stack, mount)
    if path:
        return {**mount, **_at(stack, shipped(path), str(mount.get("target")))}
    folder = data_folder(mount)
    if folder is None:
        return mount
    own = mount.get("bind")
    bind = {**(own if isinstance(own, dict) else {}), "create_host_path": True}
    return {**mount, "source": paths.data(stack.name, folder), "bind": bind}


def _at(stack: Stack, what: Shipped, target: str) -> Plain:
    return {
        "type": "bind",
        "source": f"{paths.shipped(stack.name, what.digest)}/{what.name}",
        "target": target,
        "read_only": True,
    }


def data_folder(mount: Plain) -> str | None:
    """The relative path of a bind mount that is data; None for every other mount."""
    source = str(mount.get("source") or "")
    if mount.get("type") != "bind" or source.startswith(("/", "~")):
        return None
    return posixpath.normpath(source)
