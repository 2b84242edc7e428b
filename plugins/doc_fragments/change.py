# GPL-3.0-or-later
"""Options of whatever changes stacks."""

from __future__ import annotations


class ModuleDocFragment:
    """Found by Ansible under this name."""

    DOCUMENTATION = r"""
options:
  reason:
    description: Why, for the host's history; with it a change is made outside the deploy windows.
    type: str
    default: ""
  force:
    description: Whether what was rolled back, or is locked by somebody, is deployed all the same.
    type: bool
    default: false
"""
