"""What a host is told of its backups, for the role of that name."""

# GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: backup
short_description: What a host is told of its backups
description: Fills in the defaults of the platform's settings; fails with all that is wrong with them.
positional: host, stacks, verifies, verified_by
options:
  _input:
    description: The platform's settings; C(docs/reference.md) has every key.
    type: dict
    required: true
  host:
    description: What the host is called in the repository.
    type: str
    required: true
  stacks:
    description: The host's stacks; one of them may want the log of its database kept.
    type: list
    elements: dict
  verifies:
    description: Other hosts whose backups this one verifies.
    type: list
    elements: str
  verified_by:
    description: The host that verifies this one's backups.
    type: str
author: The Drover developers
"""

EXAMPLES = r"""
- name: Show where the backups of this host go
  ansible.builtin.debug:
    msg: "{{ (drover_platform | drover.platform.backup('web')).told.repository }}"
"""

RETURN = r"""
_value:
  description: C(told) is what everybody on the host may read, C(secrets) what root alone may, by path,
    C(times) when each timer starts its service, and C(point_in_time) whether a database's log is kept.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils import backup, boundary, origin
from ..plugin_utils.problem import located


def of(
    platform: Any, host: Any, stacks: Any = (), verifies: Any = (), verified_by: Any = ""
) -> dict[str, Any]:
    """Plain data in, plain data out."""
    given, places = origin.plain(platform or {}, backup.NAME)
    other = backup.Other(tuple(origin.plain(verifies or [], "backup_verifies")[0]), verified_by or "")
    found, problems = backup.load(given, str(host), origin.plain(stacks or [], "drover_stacks")[0], other)
    if problems:
        raise AnsibleFilterError(boundary.report(located(problems, places)))
    return found


class FilterModule:
    """Found by Ansible under this name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"backup": of}
