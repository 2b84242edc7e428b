# GPL-3.0-or-later
"""Where releases go: the arguments of the tree module, which puts all of them in one round trip."""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Iterable, Iterator

from . import paths, proxy
from .derive.files import Shipped
from .release import Release
from .stack import Data

_PRIVATE, _SECRET, _WORLD = "0750", "0700", "0755"


def tree(releases: Iterable[Release]) -> Data:
    """Folders, files and secrets of the releases. What is wanted, and what shall go, the agent notes down."""
    arguments: Data = {"folders": [_folder(paths.STACKS, _WORLD)], "files": [], "secrets": []}
    for release in releases:
        arguments["folders"] += [*_folders(release), *_proxy_folders(release)]
        arguments["files"] += _files(release)
        arguments["secrets"] += _secrets(release)
    return arguments


def _folder(path: str, mode: str, **more: object) -> Data:
    return {"path": path, "mode": mode, **more}


def _folders(release: Release) -> Iterator[Data]:
    own = paths.stack(release.stack)
    root = paths.release(release.stack, release.identity)
    yield from (_folder(path, _PRIVATE) for path in (own, f"{own}/releases", f"{own}/files", f"{own}/data"))
    yield _folder(root, _PRIVATE, whole=True, exact=True, validate=_judge(release.manifest))
    inside = _above(root, release.files)[1:]
    yield from (_folder(path, _PRIVATE, whole=True, exact=True) for path in inside)
    # Not exact: containers that still run read retired secrets. The agent removes those afterwards.
    yield _folder(paths.secrets(release.stack), _SECRET)
    yield from (_secret_folder(release, name) for name in release.secrets)
    for what in release.shipped:
        shipped = paths.shipped(release.stack, what.digest)
        names = [name for name, _, _ in what.parts]
        yield from (_folder(path, _WORLD, whole=True, exact=True) for path in _above(shipped, names))


def _judge(manifest: Data) -> list[str]:
    """Compose itself has to accept a release before any of the run's files, secrets included, land."""
    project = ["--project-directory=%s", f"--project-name={manifest['stack']}", "--env-file=%s/.env"]
    files = [f"--file=%s/{manifest['file']}", "--file=%s/platform.yaml"]
    return ["docker", "compose", *project, *files, "config", "--quiet"]


def _secret_folder(release: Release, service: str) -> Data:
    """Owned by the user that reads it; where only the agent can find out who, it stays as it is."""
    uid = release.manifest["services"][service]["uid"]
    path = paths.secrets(release.stack, service)
    return _folder(path, _SECRET, keep=True) if uid is None else _folder(path, _SECRET, owner=str(uid))


def _above(root: str, files: Iterable[str]) -> list[str]:
    """The root, and every folder between it and the files."""
    folders = {root}
    for file in files:
        folder = posixpath.dirname(file)
        while folder:
            folders.add(f"{root}/{folder}")
            folder = posixpath.dirname(folder)
    return sorted(folders)


def _files(release: Release) -> Iterator[Data]:
    root = paths.release(release.stack, release.identity)
    for path, content in sorted(release.files.items()):
        yield {"path": f"{root}/{path}", "mode": "0640", **_content(content)}
    for what in release.shipped:
        yield from _shipped(paths.shipped(release.stack, what.digest), what)
    for name, content in sorted(release.pages.items()):
        yield {"path": f"{paths.PAGES}/{release.stack}/{name}", "mode": "0644", **_content(content)}


def _proxy_folders(release: Release) -> list[Data]:
    """What the proxy shows in the stack's place; the folders above came with the proxy."""
    path = f"{paths.PAGES}/{release.stack}"
    return [_folder(path, _WORLD, exact=True)] if release.pages else []


def _shipped(root: str, what: Shipped) -> Iterator[Data]:
    for path, executable, content in what.parts:
        yield {"path": f"{root}/{path}", "mode": "0755" if executable else "0644", **_content(content)}


def _content(content: bytes) -> Data:
    try:
        return {"content": content.decode(), "encoding": "text"}
    except UnicodeDecodeError:
        return {"content": base64.b64encode(content).decode(), "encoding": "base64"}


def _secrets(release: Release) -> Iterator[Data]:
    for service, contents in sorted(release.secrets.items()):
        uid = release.manifest["services"][service]["uid"]
        owner = {} if uid is None else {"owner": str(uid)}
        for name, content in sorted(contents.items()):
            yield {"path": f"{paths.secrets(release.stack, service)}/{name}", "content": content, **owner}
    for service, lines in sorted(release.secret_env.items()):
        yield {"path": f"{paths.secrets(release.stack, service)}.env", "content": lines, "owner": "root"}
    for name, lines in sorted(release.users.items()):
        yield {"path": f"{paths.USERS}/{release.stack}.{name}", "content": lines, "owner": str(proxy.UID)}
    for name, text in sorted(release.certificates.items()):
        yield {"path": f"{paths.CERTIFICATES}/given/{name}", "content": text, "owner": str(proxy.UID)}


def manifests(releases: Iterable[Release], absent: Iterable[Data]) -> list[Data]:
    """What the agent is told: each stack's manifest, and which stacks shall go."""
    gone = [{"stack": entry["name"], "state": "absent", "data": entry["data"]} for entry in absent]
    return [*(release.manifest for release in releases), *gone]


def route_folders() -> list[Data]:
    """Where the agent writes routes, and what else the proxy reads; readable for its own user."""
    open_to_all = (paths.PROXY, paths.ROUTES, paths.PAGES, paths.CHALLENGES)
    certificates = (f"{paths.CERTIFICATES}{below}" for below in ("", "/given", "/acme"))
    return [
        *(_folder(path, _WORLD) for path in open_to_all),
        *(_folder(path, _SECRET, owner=str(proxy.UID)) for path in (paths.USERS, *certificates)),
    ]
