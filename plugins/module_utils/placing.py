# GPL-3.0-or-later
"""From a module's options to the disk: the tree is compared, judged by its checkers, and put in place."""

from __future__ import annotations

import fcntl
import os
import time
from typing import Any

from .arguments import tree_of
from .checkers import complaints
from .disk import HostError
from .report import differences
from .tree import Change, carry_out, plan

_LOCK = "/run/drover-tree.lock"
_LOCK_SECONDS = 60
# A shorter secret ("root", "web") would blot out half of a result in which it does not stand anyway.
_SHORTEST_SEARCHED_SECRET = 8


def bring_tree(params: dict[str, Any], dry: bool) -> list[Change]:
    """What was changed, or in a dry run would be."""
    if not dry:
        _only_run()
    tree = tree_of(params, lenient=dry)
    changes = plan(tree, lenient=dry)
    refused = complaints(changes, missing_is_fine=dry)
    if refused:
        raise HostError("\n".join(["every file was left as it was:", *refused]))
    if not dry:
        carry_out(tree, changes)
    return changes


def _only_run() -> None:
    """Two runs would take each other's temporary files for a dead run's. The lock ends with the process."""
    if os.geteuid() != 0:
        return
    lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise HostError(f"{_LOCK}: another run has been writing for {_LOCK_SECONDS} s") from None
            time.sleep(0.1)
        else:
            return


def searched(params: dict[str, Any]) -> set[str]:
    """What Ansible shall look for in a result, in place of every string of a `no_log` option."""
    contents = (item["content"] for item in params["secrets"])
    return {content for content in contents if len(content) >= _SHORTEST_SEARCHED_SECRET}


def shown(params: dict[str, Any]) -> dict[str, Any]:
    """What stands for the module's arguments in its result: paths, and no contents."""
    keys = ("folders", "files", "secrets", "links")
    return {"module_args": {key: [item["path"] for item in params[key]] for key in keys}}


def result(changes: list[Change], diff: bool) -> dict[str, Any]:
    """The part of a module's result that speaks of files."""
    answer: dict[str, Any] = {"changed_paths": sorted({change.path for change in changes})}
    return {**answer, "diff": differences(changes)} if diff else answer


def reason(error: OSError) -> str:
    """An error of the operating system for a person."""
    return f"{error.filename or 'the disk'}: {error.strerror}"
