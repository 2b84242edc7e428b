# GPL-3.0-or-later
"""A tree of folders, files, secrets and links: what is wanted, and how the disk differs from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .disk import Found, is_left_over, look, names, parent_and_name, read
from .errors import HostError

_PYTHONS_OWN = "__pycache__"  # written beside modules by whoever runs them


@dataclass(frozen=True)
class Folder:
    """`exact`: what is not listed inside it goes. `whole`: when missing, built beside and renamed into place.
    `keep`: one that is there stays as it is, a link to one included. `validate`: a command that judges it
    when it is missing, `%s` the folder.
    """

    path: str
    uid: int | None = 0
    gid: int | None = 0
    mode: int = 0o755
    exact: bool = False
    whole: bool = False
    keep: bool = False
    validate: tuple[str, ...] = ()


@dataclass(frozen=True)
class File:
    """An owner of None is left as found, or is ours on a new file. `validate`: a command, `%s` the file."""

    path: str
    content: bytes
    uid: int | None = 0
    gid: int | None = 0
    mode: int = 0o644
    validate: tuple[str, ...] = ()
    secret: bool = False


@dataclass(frozen=True)
class Link:
    path: str
    to: str


Item = Folder | File | Link


@dataclass(frozen=True)
class Tree:
    folders: tuple[Folder, ...] = ()
    files: tuple[File, ...] = ()
    links: tuple[Link, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One difference. `action`: clear (a dead run's), make, give (owner, mode), write, link, remove."""

    action: str
    path: str
    item: Item | None = None
    found: Found | None = None
    before: bytes | None = None


# --- what is wanted, in itself


def contradictions(tree: Tree) -> list[str]:
    """What no disk could satisfy."""
    items: list[Item] = [*tree.folders, *tree.files, *tree.links]
    listed = [item.path for item in items]
    found = [
        f"{path}: is listed twice" for path in sorted({path for path in listed if listed.count(path) > 1})
    ]
    found += [
        f"{path}: write an absolute path without . or .." for path in [*listed, *tree.absent] if _odd(path)
    ]
    found += [
        f"{path}: is both listed and absent"
        for path in tree.absent
        for other in listed
        if _is_in(other, path)
    ]
    found += [f"{path}: is too near the root to be removed" for path in tree.absent if path.count("/") < 2]
    leaves = {item.path for item in items if not isinstance(item, Folder)}
    found += [
        f"{path}: lies in a file or link" for path in listed if any(a in leaves for a in ancestors(path))
    ]
    return found


def _odd(path: str) -> bool:
    names_in = path.split("/")[1:]
    return (
        not path.startswith("/")
        or "\0" in path
        or any(name in ("", ".", "..") or is_left_over(name) for name in names_in)
    )


def ancestors(path: str) -> Iterator[str]:
    parent = parent_and_name(path)[0]
    while parent != "/":
        yield parent
        parent = parent_and_name(parent)[0]


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


# --- how it differs from the disk


def plan(tree: Tree, lenient: bool = False) -> list[Change]:
    """The differences, in the order in which they are carried out.

    `lenient` is for check mode on a fresh host, where an earlier task would have made the folders.
    """
    problems = contradictions(tree)
    if problems:
        raise HostError("; ".join(problems))
    strict = strict_folders(tree)
    folders = sorted(tree.folders, key=lambda folder: folder.path.count("/"))
    changes = [*_left_over(tree, strict)]
    changes += [change for folder in folders for change in _of_folder(folder, strict)]
    missing = {change.path for change in changes if change.action == "make"}
    files = sorted(tree.files, key=lambda file: not file.secret)
    changes += [change for file in files for change in _of_file(file, strict)]
    changes += [change for link in tree.links for change in _of_link(link, strict)]
    if not lenient:
        _require_parents(changes, missing, strict)
    changes += [change for path in _unwanted(tree, strict) for change in _of_absent(path, strict)]
    return changes


def strict_folders(tree: Tree) -> frozenset[str]:
    return frozenset(folder.path for folder in tree.folders if not folder.keep)


def _left_over(tree: Tree, strict: frozenset[str]) -> Iterator[Change]:
    """Temporary names of a run that died, in every folder where this one could leave some."""
    items: Iterable[Item] = [*(f for f in tree.folders if at_once(f)), *tree.files, *tree.links]
    parents = {parent_and_name(item.path)[0] for item in items} | {f.path for f in tree.folders if f.exact}
    for parent in sorted(parents):
        for name in names(parent, strict):
            if is_left_over(name):
                path = f"{parent.rstrip('/')}/{name}"
                yield Change("clear", path, found=look(path, strict))


def at_once(folder: Folder) -> bool:
    """Renamed into place complete: a kept one too, since a next run would not mend its owner and mode."""
    return folder.whole or folder.keep


def _of_folder(folder: Folder, strict: frozenset[str]) -> Iterator[Change]:
    found = look(folder.path, strict)
    if found is None:
        yield Change("make", folder.path, folder)
    elif folder.keep:
        return
    elif found.kind != "folder":
        raise HostError(f"{folder.path}: is a {found.kind}, not a folder; remove it")
    elif _differs(folder, found):
        yield Change("give", folder.path, folder, found)


def _of_file(file: File, strict: frozenset[str]) -> Iterator[Change]:
    found = look(file.path, strict)
    if found is not None and found.kind not in ("file", "link"):
        raise HostError(f"{file.path}: is a {found.kind}, not a file; remove it")
    if found is None or found.kind == "link":
        yield Change("write", file.path, file, found)
        return
    before = read(file.path, strict)
    if before != file.content:
        yield Change("write", file.path, file, found, before)
    elif _differs(file, found):
        yield Change("give", file.path, file, found)


def _of_link(link: Link, strict: frozenset[str]) -> Iterator[Change]:
    found = look(link.path, strict)
    if found is not None and found.kind not in ("file", "link"):
        raise HostError(f"{link.path}: is a {found.kind}, not a link; remove it")
    if found is None or found.to != link.to:
        yield Change("link", link.path, link, found)


def _of_absent(path: str, strict: frozenset[str]) -> Iterator[Change]:
    found = look(path, strict)
    if found is not None:
        yield Change("remove", path, found=found)


def _differs(item: Folder | File, found: Found) -> bool:
    owner = item.uid in (None, found.uid) and item.gid in (None, found.gid)
    return not owner or item.mode != found.mode


def _unwanted(tree: Tree, strict: frozenset[str]) -> list[str]:
    """The absent paths, and what lies unlisted in exact folders."""
    items: list[Item] = [*tree.folders, *tree.files, *tree.links]
    wanted = {path for item in items for path in (item.path, *ancestors(item.path))}
    inside = [
        f"{folder.path}/{name}"
        for folder in tree.folders
        if folder.exact
        for name in names(folder.path, strict)
        if not is_left_over(name) and name != _PYTHONS_OWN
    ]
    return sorted({*tree.absent, *(path for path in inside if path not in wanted)})


def _require_parents(changes: Sequence[Change], missing: set[str], strict: frozenset[str]) -> None:
    for change in changes:
        parent = parent_and_name(change.path)[0]
        if change.found is None and parent != "/" and parent not in missing and look(parent, strict) is None:
            raise HostError(f"{change.path}: the folder {parent} is missing; list it too")
