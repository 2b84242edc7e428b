#!/usr/bin/python
# GPL-3.0-or-later
"""Lets the agent on the host bring its stacks to the releases that are wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apply
short_description: Let the agent bring stacks to their wanted releases
description:
  - Runs C(drover apply) for the stacks of O(manifests), and no others.
  - Used by the action drover.platform.stacks, which puts the releases first.
options:
  manifests:
    description: Each stack's C(manifest.json), or for one that shall go its name, C(state) and C(data).
    type: list
    elements: dict
    required: true
  touched:
    description: Secret files that were written, or in check mode would be.
    type: list
    elements: path
    default: []
attributes:
  check_mode: {support: full, description: The agent says what it would do.}
  diff_mode: {support: full}
author: The Drover developers
"""

EXAMPLES = r"""
- name: Remove a stack and keep its data
  drover.platform.apply:
    manifests:
      - {stack: shop, state: absent, data: keep}
"""

RETURN = r"""
stacks:
  description: What the agent did, or in check mode would do, stack by stack.
  returned: success
  type: dict
"""

import json
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

COMMAND = "/usr/local/bin/drover"


def command(manifests: list[dict[str, Any]], touched: list[str], check: bool) -> list[str]:
    """The agent's command line for these stacks alone; what is broken elsewhere does not stop them."""
    only = [word for manifest in manifests for word in ("--stack", manifest["stack"])]
    told = [word for path in touched for word in ("--touched", path)] if check else []
    return [COMMAND, "apply", "--json", "--manifests", "-", *only, *(["--check"] if check else []), *told]


def answer(code: int, out: str, error: str) -> dict[str, Any]:
    """The agent's answer; what is no answer becomes an error."""
    try:
        said = json.loads(out)
    except ValueError:
        said = {
            "changed": False,
            "stacks": {},
            "errors": [error.strip() or out.strip() or f"exit status {code}"],
        }
    return dict(said)


def main() -> None:
    module = AnsibleModule(
        {
            "manifests": {"type": "list", "elements": "dict", "required": True},
            "touched": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    manifests, check = module.params["manifests"], module.check_mode
    if not manifests:
        module.exit_json(changed=False, stacks={})
    if check and not os.access(COMMAND, os.X_OK):  # a fresh host
        coming = [manifest["stack"] for manifest in manifests if manifest.get("state") != "absent"]
        module.exit_json(
            changed=bool(coming), stacks={name: {"changed": True, "steps": []} for name in coming}
        )
    words = command(manifests, module.params["touched"], check)
    said = answer(*module.run_command(words, data=json.dumps(manifests)))
    errors = said.pop("errors", [])
    if errors:
        module.fail_json(msg="\n".join(errors), **said)
    module.exit_json(**said)


if __name__ == "__main__":
    main()
