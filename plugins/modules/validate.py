#!/usr/bin/python
# GPL-3.0-or-later
"""The documentation of the action of this name; nothing runs on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: validate
short_description: Say everything that is wrong with an inventory, before any host is touched
description:
  - Reads the data and every stack's Compose file on the controller. Fails with all problems together, each
    with its file and line, what was found and what to write. Never changes anything.
options:
  stacks:
    description: The list of stacks; C(docs/reference.md) has every key.
    type: list
    elements: dict
    default: []
  platform:
    description: The settings of the host.
    type: dict
    default: {}
  aws:
    description: What the client has in AWS, where hosts are instances.
    type: dict
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
author: The Drover developers
"""

EXAMPLES = r"""
- name: Refuse a wrong inventory
  drover.platform.validate:
    stacks: "{{ drover_stacks }}"
    platform: "{{ drover_platform }}"
"""

RETURN = r"""
stacks:
  description: The names of the stacks that were understood.
  returned: success
  type: list
  elements: str
hosts:
  description: The hosts of C(aws), each with every key, defaults in their places, but for what is secret.
  returned: success
  type: list
  elements: dict
"""
