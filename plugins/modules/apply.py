#!/usr/bin/python
"""The agent's `drover apply`, for a playbook."""

# GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: apply
short_description: Bring the stacks of a host to the releases that are wanted
description:
  - Runs C(drover apply) once for all the stacks that are named, and returns its answer.
  - In check mode the same command says what it would do. On a host that the agent has not reached yet, every
    stack would be started.
options:
  manifests:
    description:
      - Manifests of the stacks, and C({stack, state, data}) for those that shall go.
      - The releases of present stacks are already on the host, except in check mode, where these manifests
        stand for them. They become what is wanted.
    type: list
    elements: dict
    default: []
  all:
    description: Whether these are all the stacks of the host but the proxy; others that run are then told.
    type: bool
    default: false
  who:
    description: Whom the host's history shall name.
    type: str
    default: ""
  touched:
    description: In check mode, paths of secret files that would be written.
    type: list
    elements: path
    default: []
extends_documentation_fragment: [drover.platform.change]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: The Drover developers
"""

EXAMPLES = r"""
- name: Take a stack away and keep its data
  drover.platform.apply:
    manifests: [{stack: shop, state: absent, data: keep}]
"""

RETURN = r"""
stacks:
  description: For each stack whether it changed, and the steps, each with its reason.
  returned: always
  type: dict
errors:
  description: What went wrong, with the last lines of the container's log; secrets are hidden.
  returned: always
  type: list
  elements: str
unlisted:
  description: Stacks that run on the host and are in none of the manifests; each is warned of.
  returned: when the agent answered
  type: list
  elements: str
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule

AGENT = "/usr/local/bin/drover"


def arguments() -> dict[str, Any]:
    """The argument spec; DOCUMENTATION says what each means."""
    return {
        "manifests": {"type": "list", "elements": "dict", "default": []},
        "touched": {"type": "list", "elements": "path", "default": []},
        "all": {"type": "bool", "default": False},
        "who": {"type": "str", "default": ""},
        "reason": {"type": "str", "default": ""},
        "force": {"type": "bool", "default": False},
    }


def command(agent: str, params: dict[str, Any], check: bool) -> list[str]:
    """The agent's command line. Only these stacks are applied: a broken neighbour blocks none of them."""
    stacks = [f"--stack={each['stack']}" for each in params["manifests"]]
    whole = ["--all"] if params["all"] else []
    who = [f"--{key}={params[key]}" for key in ("who", "reason") if params[key]]
    who += ["--force"] if params["force"] else []
    dry = ["--check", *(f"--touched={path}" for path in params["touched"])] if check else []
    return [agent, "apply", "--json", "--manifests=-", *whole, *who, *stacks, *dry]


def without_agent(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer for a host that has no agent yet: whatever shall run would be started."""
    chosen = [each["stack"] for each in manifests if each.get("state") != "absent"]
    planned = {name: {"changed": True, "steps": [f"start {name}"]} for name in chosen}
    after = "".join(f"{name}: started\n" for name in chosen)
    return {"changed": bool(chosen), "stacks": planned, "errors": [], "diff": {"before": "", "after": after}}


def answer(code: int, out: str, error: str) -> dict[str, Any]:
    """What the agent said; an agent that said nothing readable has failed."""
    try:
        found: dict[str, Any] = json.loads(out)
    except ValueError:
        said = (error or out).strip()[-2000:]
        problem = f"drover apply ended with {code}: {said}"
        found = {"changed": False, "stacks": {}, "errors": [problem], "diff": {}}
    return found


def warnings(found: dict[str, Any]) -> list[str]:
    """What is not well and no stack's fault; and stacks that the inventory does not have, which stay."""
    return [
        *(found.pop("warnings", None) or ()),
        *(_unlisted(name) for name in found.get("unlisted") or ()),
    ]


def _unlisted(name: str) -> str:
    fix = f"write {{name: {name}, state: absent}} to take it away"
    return f"{name} runs here and is not in the inventory: {fix}"


def main() -> None:
    module = AnsibleModule(arguments(), supports_check_mode=True)
    manifests = module.params["manifests"]
    if not manifests and not module.params["all"]:
        module.exit_json(changed=False, stacks={}, errors=[])
    agent = module.get_bin_path("drover", opt_dirs=["/usr/local/bin"])
    if agent is None and module.check_mode:
        module.exit_json(**without_agent(manifests))
    todo = command(agent or AGENT, module.params, module.check_mode)
    code, out, error = module.run_command(todo, data=json.dumps(manifests))
    found = answer(code, out, error)
    for warning in warnings(found):
        module.warn(warning)
    if code or found["errors"]:
        module.fail_json(msg="\n".join(found["errors"]), **found)
    module.exit_json(**found)


if __name__ == "__main__":
    main()
