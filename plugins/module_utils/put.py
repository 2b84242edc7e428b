# GPL-3.0-or-later
"""Making the disk as wanted: everything is prepared under temporary names, and then renamed.

A run that is killed anywhere leaves each path as it was or as wanted, and the next run ends as an
uninterrupted one would.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from .disk import Found, create, give, opened, parent_and_name, remove, temporary
from .errors import HostError
from .tree import Change, File, Folder, Link, Tree, ancestors, at_once, strict_folders


def carry_out(tree: Tree, changes: Sequence[Change]) -> None:
    """Prepare, then rename: secrets and files, whole folders, links last, and then the removals."""
    strict = strict_folders(tree)
    building = _whole_roots(changes)
    strict |= set(building.values())
    _remove_all([change for change in changes if change.action == "clear"], strict)
    try:
        _prepare(changes, building, strict)
    except BaseException:
        _undo(changes, building, strict)
        raise
    beside = [change for change in changes if not _built(change.path, building)]
    files = [change for change in beside if isinstance(change.item, File)]
    _settle(files, strict)
    _rename([change.path for change in files if change.action == "write"], strict)
    _rename(list(building), strict)
    _rename([change.path for change in beside if change.action == "link"], strict)
    _remove_all([change for change in changes if change.action == "remove"], strict)


def _whole_roots(changes: Iterable[Change]) -> dict[str, str]:
    """Missing whole folders → where each is built. One inside another is only a part of it."""
    roots: dict[str, str] = {}
    for change in changes:
        if change.action == "make" and isinstance(change.item, Folder) and at_once(change.item):
            parent, name = parent_and_name(change.path)
            if not _built(change.path, roots):
                roots[change.path] = f"{parent.rstrip('/')}/{temporary(name)}"
    return roots


def _built(path: str, building: Iterable[str]) -> bool:
    return any(root == path or root in ancestors(path) for root in building)


def _where(path: str, building: dict[str, str]) -> str:
    """Where a path is while its whole folder is being built."""
    for root in (path, *ancestors(path)):
        if root in building:
            return building[root] + path[len(root) :]
    return path


def _prepare(changes: Sequence[Change], building: dict[str, str], strict: frozenset[str]) -> None:
    """Folders as wanted; files and links under temporary names, or in place where a folder is being built."""
    made: list[tuple[Folder, str]] = []
    for change in changes:
        where = _where(change.path, building)
        parent, name = parent_and_name(where)
        if isinstance(change.item, Folder):
            with opened(parent, strict) as folder:
                if change.action == "make":
                    os.mkdir(name, 0o700, dir_fd=folder)
            if change.action == "make" and where != change.path:
                made.append((change.item, where))
            else:
                _give_folder(change.item, where, strict)
        elif change.action in ("write", "link"):
            with opened(parent, strict) as folder:
                _stage(change, folder, name if where != change.path else temporary(name))
    for item, where in reversed(made):
        _give_folder(item, where, strict)


def _give_folder(item: Folder, where: str, strict: frozenset[str]) -> None:
    with opened(where, strict) as folder:
        give(folder, item.uid, item.gid, item.mode)
        os.fsync(folder)


def _stage(change: Change, folder: int, name: str) -> None:
    if isinstance(change.item, Link):
        os.symlink(change.item.to, name, dir_fd=folder)
    elif isinstance(change.item, File):
        descriptor = create(folder, name, change.item.content)
        try:
            _own(descriptor, change.item, change.found)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _own(descriptor: int, file: File, found: Found | None) -> None:
    """A file without a wanted owner keeps the one that it had."""
    kept = found if found is not None and found.kind == "file" else None
    uid = file.uid if file.uid is not None or kept is None else kept.uid
    gid = file.gid if file.gid is not None or kept is None else kept.gid
    give(descriptor, uid, gid, file.mode)


def _settle(files: Sequence[Change], strict: frozenset[str]) -> None:
    """Owner and mode of files whose content is right: in place, so that a reader's inode stays."""
    for change in files:
        if change.action == "give" and isinstance(change.item, File):
            parent, name = parent_and_name(change.path)
            with opened(parent, strict) as folder:
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                give(descriptor, change.item.uid, change.item.gid, change.item.mode)
            finally:
                os.close(descriptor)


def _rename(paths: Sequence[str], strict: frozenset[str]) -> None:
    """Temporary names become the real ones, on disk before the next group begins.

    A file's time is that of its rename: whatever started before it has read the old one.
    """
    for path in paths:
        parent, name = parent_and_name(path)
        with opened(parent, strict) as folder:
            os.rename(temporary(name), name, src_dir_fd=folder, dst_dir_fd=folder)
            os.utime(name, dir_fd=folder, follow_symlinks=False)
    _flush({parent_and_name(path)[0] for path in paths}, strict)


def _remove_all(changes: Sequence[Change], strict: frozenset[str]) -> None:
    for change in changes:
        parent, name = parent_and_name(change.path)
        with opened(parent, strict) as folder:
            remove(folder, name)


def _flush(folders: Iterable[str], strict: frozenset[str]) -> None:
    for path in sorted(folders):
        with opened(path, strict) as folder:
            os.fsync(folder)


def _undo(changes: Sequence[Change], building: dict[str, str], strict: frozenset[str]) -> None:
    """After a failure (no space, say) take back what was prepared, as far as that goes."""
    for change in reversed(changes):
        path = building.get(change.path)
        if path is None and not _built(change.path, building) and change.action in ("write", "link"):
            parent, name = parent_and_name(change.path)
            path = f"{parent.rstrip('/')}/{temporary(name)}"
        try:
            if path is not None:
                _remove_all([Change("remove", path)], strict)
            elif change.action == "make" and change.path not in building:
                parent, name = parent_and_name(change.path)
                with opened(parent, strict) as folder:
                    os.rmdir(name, dir_fd=folder)
        except (OSError, HostError):
            continue
