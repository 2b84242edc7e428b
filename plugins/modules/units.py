#!/usr/bin/python
# GPL-3.0-or-later
"""systemd units that run with the configuration that is on the disk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: units
short_description: Enable and run systemd units with the configuration that is on the disk
description:
  - A unit restarts (or reloads) when a file that it follows is newer than the moment at which the running
    unit read it, so a run that died between the two is healed by the next one.
  - systemd reads its unit files again where they are newer than what it knows. A masked unit is left alone.
  - A second run costs one question to systemd, however many units there are.
options:
  units:
    description: systemd units, handled in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Full name with its ending., type: str, required: true}
      enabled: {description: "Whether it starts at boot. Left out: as it is.", type: bool}
      state: {description: "Left out: as it is.", type: str, choices: [started, stopped]}
      follows:
        description: Files and folders that it reads when it starts.
        type: list
        elements: path
        default: []
      on_change:
        description: What a newer file among O(units[].follows) leads to.
        type: str
        choices: [restart, reload]
        default: restart
  touched:
    description: Paths that were written, or in check mode would be, so that it can tell what would follow.
    type: list
    elements: path
    default: []
attributes:
  check_mode: {support: full, description: A unit that a missing package would bring counts as a change.}
  diff_mode: {support: none}
author: The Drover developers
"""

EXAMPLES = r"""
- name: Run Docker with our configuration
  drover.platform.units:
    units:
      - {name: docker.service, enabled: true, state: started, follows: [/etc/docker/daemon.json]}
"""

RETURN = r"""
steps:
  description: What was (or in check mode would be) done, with the reason.
  returned: always
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import HostError
from ..module_utils.systemd import bring_units, wanted_units

UNIT: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "enabled": {"type": "bool"},
    "state": {"type": "str", "choices": ["started", "stopped"]},
    "follows": {"type": "list", "elements": "path", "default": []},
    "on_change": {"type": "str", "choices": ["restart", "reload"], "default": "restart"},
}


def main() -> None:
    options = {
        "units": {"type": "list", "elements": "dict", "required": True, "options": UNIT},
        "touched": {"type": "list", "elements": "path", "default": []},
    }
    module = AnsibleModule(options, supports_check_mode=True)
    params = module.params
    try:
        steps = bring_units(wanted_units(params["units"]), module.check_mode, params["touched"])
    except HostError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(steps), steps=steps)


if __name__ == "__main__":
    main()
