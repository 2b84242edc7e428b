#!/usr/bin/python
# GPL-3.0-or-later
"""Docker networks that belong to the host rather than to a stack.

community.docker's docker_network would need python3-docker and python3-requests on every host.
"""

from __future__ import annotations

DOCUMENTATION = r"""
module: networks
short_description: Make Docker networks, and mend those that differ
description:
  - A network whose driver, internality or options differ from what is wanted is made anew while no running
    container is in it. While one is, the run fails and says which, since an open network under a closed one's
    name must not stay.
options:
  networks:
    description: Bridges.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Its name., type: str, required: true}
      internal: {description: Without a way out., type: bool, default: false}
      options: {description: Driver options that it must have., type: dict, default: {}}
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
author: The Drover developers
"""

EXAMPLES = r"""
- name: Make a network without a way out
  drover.platform.networks:
    networks:
      - {name: private, internal: true}
"""

RETURN = r"""
steps:
  description: What was (or in check mode would be) done.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import HostError
from ..module_utils.networks import Network, inspect_command, parse_inspected, steps
from ..module_utils.run import Answer, run

NOT_INSTALLED = Answer(1, "", "it is not installed")


def main() -> None:
    options = {
        "name": {"type": "str", "required": True},
        "internal": {"type": "bool", "default": False},
        "options": {"type": "dict", "default": {}},
    }
    module = AnsibleModule(
        {"networks": {"type": "list", "elements": "dict", "required": True, "options": options}},
        supports_check_mode=True,
    )
    wanted = [Network(item["name"], item["internal"], item["options"]) for item in module.params["networks"]]
    code, out, error = run(inspect_command(wanted)) if module.get_bin_path("docker") else NOT_INSTALLED
    silent = code != 0 and "not found" not in error
    if silent and not module.check_mode:  # on a fresh host in check mode nothing runs yet
        module.fail_json(msg=f"Docker does not answer: {error.strip()}")
    try:
        todo = steps(wanted, parse_inspected(out))
    except HostError as problem:
        module.fail_json(msg=str(problem))
    for command in [] if module.check_mode else [command for step in todo for command in step.commands]:
        module.run_command(command, check_rc=True)
    module.exit_json(changed=bool(todo), steps=[step.text for step in todo])


if __name__ == "__main__":
    main()
