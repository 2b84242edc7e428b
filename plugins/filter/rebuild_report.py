"""The report of a rebuild, for the playbooks that write a journal."""

# GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: rebuild_report
short_description: The report of a rebuild, on one page
description:
  - Time per step, recovery point, what was compared, what was switched and what remains to be removed.
  - A part that is not told of is shown as none. Whatever is told is escaped.
positional: beside
options:
  _input:
    description: The journal, as the module P(drover.platform.journal#module) returns it.
    type: dict
    required: true
  beside:
    description:
      - "What the journal does not know: C(recovery_point) with C(at), C(snapshot) and C(how); C(frozen), the
        seconds without writes; C(compared), a list of C(what), C(before), C(after) and C(equal); C(switched),
        of C(what), C(before) and C(after); C(remains), of C(what) and C(until)."
      - Moments are UTC, such as C(2026-11-30T03:00:00Z). C(until) is empty for what a person removes.
    type: dict
author: The Drover developers
"""

EXAMPLES = r"""
- name: Show the report
  ansible.builtin.debug:
    msg: "{{ (rebuild.journal | drover.platform.rebuild_report({'frozen': 12.5})).text.splitlines() }}"
"""

RETURN = r"""
_value:
  description: C(data) is plain data, C(text) for a terminal, C(html) one file that needs no other.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils import origin, rebuild_report


def of(journal: Any, beside: Any = None) -> dict[str, Any]:
    """Plain data in, plain data out."""
    told, _ = origin.plain(journal or {}, "journal")
    more, _ = origin.plain(beside or {}, "beside")
    try:
        return rebuild_report.pages(told, more)
    except rebuild_report.ReportError as problem:
        raise AnsibleFilterError(f"The report: {problem}") from problem


class FilterModule:
    """Found by Ansible under this name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"rebuild_report": of}
