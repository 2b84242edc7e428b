# GPL-3.0-or-later
"""Mounts: nothing of the host that would give it away, and files that can travel."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path as FilePath

from .. import paths
from ..compose.normal import Plain
from ..derive import files
from ..forms import mistake
from ..problem import Path, Problem
from ..stack import PROXY, Stack, entries, inner
from ..words import code_point, odd, quoted

NEEDS = frozenset({"allow"})
LARGEST, MOST = 1 << 20, 4 << 20
_SOCKETS = ("docker.sock", "containerd.sock", "podman.sock")
_OPEN = ("/mnt", "/media", "/srv")
_NEVER = (
    "/etc",
    "/root",
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var/run",
    "/boot",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/opt/drover",
    "/var/lib",
    "/srv/stacks",
    "/srv/proxy",
    "/data/srv",
    "/data/docker",
    "/swapfile",
)
_HARMLESS = {"/etc/localtime", "/etc/timezone"}
_DEVICE = ("type", "o", "device")
_ELSEWHERE = {"nfs", "nfs4", "cifs", "tmpfs"}
_INSTEAD = "use a path below /mnt, /media or /srv (not /srv/stacks, /srv/proxy), or a named volume"


def problems(stack: Stack) -> Iterator[Problem]:
    """Each mount of each service, each volume's and config's definition."""
    for name, service in stack.view.services.items():
        for index, mount in enumerate(entries(service, "volumes")):
            yield from _mount(stack, name, ("services", name, "volumes", index), mount)
        yield from _configs(stack, name)
    for key, volume in stack.view.volumes.items():
        yield from _volume(stack, key, volume)


def _mount(stack: Stack, name: str, path: Path, mount: Plain) -> Iterator[Problem]:
    source = str(mount.get("source") or "")
    unseen = next((char for char in str(mount.get("target")) if odd(char)), None)
    if not str(mount.get("target") or "").startswith("/"):
        yield stack.view.problem(path, "there is no absolute target", "write the path inside the container")
    elif unseen:
        yield stack.view.problem(path, f"its target holds {code_point(unseen)}", "remove the character")
    elif mount.get("type") in ("npipe", "cluster", "image"):
        yield stack.view.problem(
            path, f"found the type {quoted(mount['type'])}", "write bind, volume or tmpfs"
        )
    elif mount.get("type") == "volume" and source and source not in stack.view.volumes:
        yield stack.view.problem(
            path, f"nobody defines the volume {quoted(source)}", f"write volumes: {{{source}: }}"
        )
    elif mount.get("type") == "bind":
        yield from _bind(stack, name, path, mount)


def _bind(stack: Stack, name: str, path: Path, mount: Plain) -> Iterator[Problem]:
    source = str(mount.get("source") or "")
    unseen = next((char for char in source if odd(char)), None)
    if unseen:
        yield stack.view.problem(path, f"its source holds {code_point(unseen)}", "remove the character")
    elif source.startswith("/"):
        yield from _absolute(stack, name, path, mount)
    elif source.startswith("~") or not _inside(stack, source):
        yield stack.view.problem(
            path,
            f"{quoted(source)} lies outside the stack's folder",
            "write a path below the folder, or a named volume",
        )
    elif posixpath.normpath(source) == ".":
        yield stack.view.problem(
            path, "it mounts the stack's whole folder", "put the program into its image, or mount one file"
        )
    else:
        travelling = files.source_of(stack, mount)
        if travelling and travelling.is_dir() and not _read_only(mount):
            yield _data_or_not(stack, path, source)
        yield from _travels(stack, path, travelling)


def _data_or_not(stack: Stack, path: Path, source: str) -> Problem:
    """A folder with files: shipped by mistake, it would hide the data that the service has on the host."""
    ignore = posixpath.join(posixpath.normpath(source), ".gitignore")
    return stack.view.problem(
        path,
        f"the folder {quoted(source)} holds files and is mounted without :ro",
        "add :ro (long form: read_only: true) if it is configuration that travels; if the service writes "
        f'there, empty the folder, or write the line "*" into {ignore}',
    )


def _read_only(mount: Plain) -> bool:
    return str(mount.get("read_only")).lower() == "true"


def _inside(stack: Stack, source: str) -> bool:
    return (stack.view.folder / source).resolve().is_relative_to(stack.view.folder.resolve())


def _absolute(stack: Stack, name: str, path: Path, mount: Plain) -> Iterator[Problem]:
    source = host_path(str(mount["source"]))
    if _socket(source):
        if not stack.allowed(name, "docker_socket"):
            yield stack.view.problem(
                path,
                f"{quoted(source)} is root on the host",
                f'remove it, or write allow: {{{name}: {{docker_socket: "the reason"}}}}',
            )
    elif source in _HARMLESS:
        if not _read_only(mount):
            yield stack.view.problem(path, f"{quoted(source)} belongs to the host", "add :ro")
    elif not (stack.name == PROXY and source in (paths.PROXY, paths.PAGES, paths.CHALLENGES)):
        yield from _of_host(stack, [name], path, source)


def host_path(text: str) -> str:
    """The path as the kernel reads it: from the root, without `..` and doubled slashes."""
    return posixpath.normpath("/" + text.lstrip("/"))


def _of_host(stack: Stack, services: list[str], path: Path, source: str) -> Iterator[Problem]:
    """A path of the host that the services would get; open, or with a reason for each of them."""
    if _never(source):
        yield stack.view.problem(
            path, f"{quoted(source)} belongs to the host", f"{_INSTEAD}; no reason opens it"
        )
    elif not any(_below(source, folder) and source != folder for folder in _OPEN):
        without = [name for name in services if not stack.allowed(name, "host_path")]
        if without or not services:
            yield stack.view.problem(
                path,
                f"{quoted(source)} is a path of the host",
                f'{_INSTEAD}, or write allow: {{{(without or ["SERVICE"])[0]}: {{host_path: "the reason"}}}}',
            )


def _socket(source: str) -> bool:
    return posixpath.basename(source) in _SOCKETS


def _never(source: str) -> bool:
    """Whether the path is one that gives the host away, lies below one, or holds one."""
    return any(_below(source, closed) or _below(closed, source) for closed in _NEVER)


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _travels(stack: Stack, path: Path, source: FilePath | None) -> Iterator[Problem]:
    """What is shipped is small, and is no secret."""
    secret = {
        (stack.view.folder / str(secret["file"])).resolve()
        for secret in stack.view.secrets.values()
        if isinstance(secret.get("file"), str)
    }
    files_in = [source, *source.rglob("*")] if source else []
    if sum(file.stat().st_size for file in files_in if file.is_file()) > MOST:
        yield stack.view.problem(
            path, "it is larger than 4 MiB", "put it into the image, or use a named volume for data"
        )
    for file in files_in:
        where = quoted(str(file.relative_to(stack.view.folder)))
        if file.resolve() in secret:
            yield stack.view.problem(
                path, f"{where} is a secret's file", "list the secret under the service's secrets:"
            )
        elif file.is_file() and file.stat().st_size > LARGEST:
            yield stack.view.problem(
                path,
                f"{where} is larger than 1 MiB",
                "put it into the image, or remove it from the folder if it is data",
            )


def _configs(stack: Stack, name: str) -> Iterator[Problem]:
    for index, entry in enumerate(entries(stack.view.services[name], "configs")):
        source = str(entry.get("source"))
        config = stack.view.configs.get(source)
        path = ("services", name, "configs", index)
        if config is None:
            yield stack.view.problem(
                path, f"nobody defines the config {quoted(source)}", f"write configs: {{{source}: …}}"
            )
        elif config.get("external"):
            yield stack.view.problem(("configs", source), "found external", "write file: or content:")
        elif isinstance(config.get("file"), str):
            yield from _config_file(stack, ("configs", source), str(config["file"]))


def _config_file(stack: Stack, path: Path, file: str) -> Iterator[Problem]:
    source = stack.view.folder / file
    if file.startswith(("/", "~")) or not _inside(stack, file) or not source.is_file():
        yield stack.view.problem(
            path, f"there is no file {quoted(file)} in the folder", "name a file of the folder"
        )
    else:
        yield from _travels(stack, path, source)


def _volume(stack: Stack, key: str, volume: Plain) -> Iterator[Problem]:
    if volume.get("external"):
        yield stack.view.problem(
            ("volumes", key),
            "found external, and a fresh host has none",
            "remove external: (name: may stay)",
        )
    own = volume.get("name")
    wrong = mistake("volume", str(own)) if own is not None else None
    if wrong:
        yield stack.view.problem(("volumes", key, "name"), f"{quoted(own)} {wrong[0]}", wrong[1])
    yield from _device(stack, key, *(str(inner(volume, "driver_opts", what) or "") for what in _DEVICE))


def _device(stack: Stack, key: str, kind: str, options: str, device: str) -> Iterator[Problem]:
    """What the volume mounts. Docker runs in the root, so `etc` is /etc; a bind ignores the type."""
    path = ("volumes", key)
    binds = {"bind", "rbind"} & {option.strip() for option in options.split(",")}
    if binds or kind in ("", "none"):
        source = host_path(device)
        if device and _socket(source):
            yield stack.view.problem(path, f"its device {quoted(source)} is root on the host", "remove it")
        elif device:
            yield from _of_host(stack, _readers(stack, key), path, source)
    elif kind not in _ELSEWHERE:
        yield stack.view.problem(
            path,
            f"its type {quoted(kind)} mounts a file system of the host",
            f"remove driver_opts, or write one of: {', '.join(sorted(_ELSEWHERE))}",
        )


def _readers(stack: Stack, volume: str) -> list[str]:
    return [
        name
        for name, service in stack.view.services.items()
        if any(
            mount.get("type") == "volume" and mount.get("source") == volume
            for mount in entries(service, "volumes")
        )
    ]
