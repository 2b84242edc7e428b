"""The report of a rebuild, for the playbooks that write a journal."""

# GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: rebuild_report
short_description: The report of a rebuild, on one page
description:
  - Time per step, recovery point, what was compared, what was switched and what remains to be removed.
  - A part that is not told of is shown as none. Whatever is told is escaped.
positional: backups, leads
options:
  _input:
    description: The journal, as the module P(drover.platform.journal#module) returns it.
    type: dict
    required: true
  backups:
    description: What the new instance says of its backups, as C(drover status --json) does.
    type: list
    elements: dict
    default: []
  leads:
    description: What leads requests to the host, such as C(target group web).
    type: list
    elements: str
    default: []
author: The Drover developers
"""

EXAMPLES = r"""
- name: Show the report
  ansible.builtin.debug:
    msg: "{{ (rebuild.journal | drover.platform.rebuild_report(status.backups)).text.splitlines() }}"
"""

RETURN = r"""
_value:
  description: C(data) is plain data, C(text) for a terminal, C(html) one file that needs no other.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils import origin, rebuild_report, rebuilt


def of(journal: Any, backups: Any = (), leads: Any = ()) -> dict[str, Any]:
    """Plain data in, plain data out."""
    told, _ = origin.plain(journal or {}, "journal")
    said, _ = origin.plain(list(backups), "backups")
    led, _ = origin.plain(list(leads), "leads")
    try:
        return rebuild_report.pages(told, rebuilt.beside(told, said, led) if told else {})
    except rebuild_report.ReportError as problem:
        raise AnsibleFilterError(f"The report: {problem}") from problem


class FilterModule:
    """Found by Ansible under this name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"rebuild_report": of}
