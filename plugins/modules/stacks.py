#!/usr/bin/python
# GPL-3.0-or-later
"""The documentation of the action of this name, which runs the modules tree and apply."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stacks
short_description: Put stacks, or the proxy, onto a host and make them run
description:
  - Validates the inventory, derives each stack's release on the controller, sends all of them in one round
    trip and lets the agent carry them out in another, whatever their number.
  - No result and no difference shows a secret at any verbosity; its file appears by path only.
options:
  what:
    description: Those of O(stacks), or the platform's own proxy, which O(platform) describes.
    type: str
    choices: [stacks, proxy]
    default: stacks
  stacks:
    description: The list of stacks; C(docs/reference.md) has every key.
    type: list
    elements: dict
    default: []
  platform:
    description: The settings of the host.
    type: dict
    default: {}
  only:
    description: Names of the stacks to deploy; left out, all of them.
    type: list
    elements: str
    default: []
extends_documentation_fragment: [drover.platform.change]
attributes:
  check_mode: {support: full, description: Says what would be sent and what the agent would do.}
  diff_mode: {support: full, description: Secrets appear by path only.}
author: The Drover developers
"""

EXAMPLES = r"""
- name: Run the stacks
  drover.platform.stacks:
    stacks: "{{ drover_stacks }}"
    platform: "{{ drover_platform }}"

- name: Run the proxy
  drover.platform.stacks:
    what: proxy
    platform: "{{ drover_platform }}"
"""

RETURN = r"""
stacks:
  description: What the agent did, or in check mode would do, stack by stack.
  returned: success
  type: dict
changed_paths:
  description: Every path on the host that was made, changed or removed.
  returned: success
  type: list
  elements: str
"""
