#!/usr/bin/python
# GPL-3.0-or-later
"""Any number of files onto a host in one round trip."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tree
short_description: Put folders, files, secrets and links onto a host in one round trip
description:
  - Compares the wanted tree with the disk, lets each changed file's own checker judge it, prepares everything
    under temporary names and renames it into place, links last. A checker's refusal leaves all as it was;
    a run that is killed leaves every path as it was or as wanted, and the next run completes it.
  - No symbolic link is followed from the first listed folder on.
options:
  src:
    description:
      - Folders of the role (or playbook) that mirror the host, expanded on the controller. A name such as
        C(files) is mirrored onto C(/); a dictionary with C(path) and C(to) mirrors it elsewhere. A file that
        ends in C(.j2) is a template. One that is executable is put with mode 0755, any other with 0644.
      - Folders on the way are made where missing and otherwise left alone.
    type: list
    elements: raw
    default: []
  folders:
    description: Folders, made with their parents' own entries first.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      owner: {description: User name or number., type: str, default: root}
      group: {description: Group name or number., type: str, default: root}
      mode: {description: Octal digits with a leading zero., type: str, default: "0755"}
      exact: {description: Remove what is in it and not listed., type: bool, default: false}
      whole:
        description: When missing, build it beside and rename it into place.
        type: bool
        default: false
      keep: {description: "If it is there, leave owner and mode alone.", type: bool, default: false}
      validate:
        description: A command that must accept a missing folder before anything lands; C(%s) stands for it.
        type: list
        elements: str
        default: []
  files:
    description: Files; their folder must exist or be listed.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      content: {description: "What it holds. Left out: the file of that path from O(src).", type: str}
      encoding:
        description: How O(files[].content) is written.
        type: str
        choices: [text, base64]
        default: text
      owner: {description: User name or number., type: str, default: root}
      group: {description: Group name or number., type: str, default: root}
      mode: {description: Octal digits with a leading zero., type: str, default: "0644"}
      validate:
        description: A command that must accept the file before anything lands; C(%s) stands for the file.
        type: list
        elements: str
        default: []
  secrets:
    description: Files whose content appears in no result, difference or journal.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      content: {description: What it holds., type: str, required: true}
      owner: {description: "User name or number. Left out: as found, root on a new file.", type: str}
      mode: {description: Octal digits with a leading zero., type: str, default: "0600"}
  links:
    description: Symbolic links, changed after everything else is in place.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      to: {description: What the link says., type: str, required: true}
  absent:
    description: Paths to remove, folders with what is in them.
    type: list
    elements: path
    default: []
attributes:
  check_mode: {support: full, description: Nothing is written; the checkers run.}
  diff_mode: {support: full, description: Files that only their owner may read are never shown.}
author: The Drover developers
"""

EXAMPLES = r"""
- name: Put the files of this role
  drover.platform.tree:
    src: [templates]
    files:
      - path: /etc/docker/daemon.json
        validate: [dockerd, --validate, "--config-file=%s"]

- name: Put a release, then make it the wanted one
  drover.platform.tree:
    folders:
      - {path: /srv/stacks, mode: "0755"}
      - {path: /srv/stacks/shop, mode: "0750"}
      - {path: /srv/stacks/shop/releases, mode: "0750"}
      - {path: /srv/stacks/shop/releases/1f2e, mode: "0750", whole: true, exact: true}
    files:
      - {path: /srv/stacks/shop/releases/1f2e/compose.yaml, content: "services: {}\n", mode: "0640"}
    links:
      - {path: /srv/stacks/shop/wanted, to: releases/1f2e}
"""

RETURN = r"""
changed_paths:
  description: Every path that was (or in check mode would be) made, changed or removed.
  returned: always
  type: list
  elements: str
"""

import fcntl
import os
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.arguments import arguments, tree_of
from ..module_utils.checkers import complaints
from ..module_utils.diff import differences
from ..module_utils.errors import HostError
from ..module_utils.put import carry_out
from ..module_utils.tree import Change, plan

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


def main() -> None:
    module = AnsibleModule(arguments(), supports_check_mode=True)
    module.no_log_values = searched(module.params)
    invocation = shown(module.params)
    try:
        changes = bring_tree(module.params, module.check_mode)
    except HostError as error:
        module.fail_json(msg=str(error), invocation=invocation)
    except OSError as error:
        module.fail_json(msg=reason(error), invocation=invocation)
    module.exit_json(changed=bool(changes), invocation=invocation, **result(changes, module._diff))


if __name__ == "__main__":
    main()
