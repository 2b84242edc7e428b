#!/usr/bin/python
# GPL-3.0-or-later
"""What a role puts onto a host, in one round trip: packages, files, and units that run with them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: install
short_description: Put packages, files and running units onto a host in one round trip
description:
  - First the packages, then the files, then the units, each compared with what is there. A second run costs
    one question to dpkg, one look at the files and one question to systemd.
  - Lists of packages are fetched, and packages installed, only where something is missing. apt's lock is
    waited for, and what an interrupted run of dpkg left half done is completed.
  - Files go as in M(drover.platform.tree).
  - A unit restarts (or reloads) when a file that it follows is newer than the moment at which the running
    unit read it, so a run that died between the two is healed by the next one. A masked unit is left alone.
options:
  packages:
    description: Debian packages.
    type: dict
    suboptions:
      present: {description: Names., type: list, elements: str, default: []}
      hold:
        description: Patterns of names. What is installed and matches keeps its version.
        type: list
        elements: str
        default: []
      by_distribution:
        description:
          - For packages that go by other names, or come from elsewhere, in other distributions. The key is ID
            and VERSION_ID of C(/etc/os-release), such as C(debian-13). A value holds C(present), and may hold
            C(source) with name, uri, suite, component, key_url and key_sha256. A distribution that is not in
            it is an error.
        type: dict
        default: {}
      start:
        description: Whether packages may start their services, which otherwise wait for O(units).
        type: bool
        default: true
  src:
    description:
      - Folders of the role (or playbook) that mirror the host, expanded on the controller. A name such as
        C(files) is mirrored onto C(/); a dictionary with C(path) and C(to) mirrors it elsewhere. A file that
        ends in C(.j2) is a template. One that is executable is put with mode 0755, any other with 0644.
      - Folders on the way are made where missing and otherwise left alone.
    type: list
    elements: raw
    default: []
  folders:
    description: Folders, made with their parents' own entries first.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      owner: {description: User name or number., type: str, default: root}
      group: {description: Group name or number., type: str, default: root}
      mode: {description: Octal digits with a leading zero., type: str, default: "0755"}
      exact: {description: Remove what is in it and not listed., type: bool, default: false}
      whole:
        description: When missing, build it beside and rename it into place.
        type: bool
        default: false
      keep: {description: "If it is there, leave owner and mode alone.", type: bool, default: false}
  files:
    description: Files; their folder must exist or be listed.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      content: {description: "What it holds. Left out: the file of that path from O(src).", type: str}
      encoding:
        description: How O(files[].content) is written.
        type: str
        choices: [text, base64]
        default: text
      owner: {description: User name or number., type: str, default: root}
      group: {description: Group name or number., type: str, default: root}
      mode: {description: Octal digits with a leading zero., type: str, default: "0644"}
      validate:
        description: A command that must accept the file before anything lands; C(%s) stands for the file.
        type: list
        elements: str
        default: []
  secrets:
    description: Files whose content appears in no result, difference or journal.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      content: {description: What it holds., type: str, required: true}
      owner: {description: "User name or number. Left out: as found, root on a new file.", type: str}
      mode: {description: Octal digits with a leading zero., type: str, default: "0600"}
  links:
    description: Symbolic links, changed after everything else is in place.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      to: {description: What the link says., type: str, required: true}
  absent:
    description: Paths to remove, folders with what is in them.
    type: list
    elements: path
    default: []
  units:
    description: systemd units, handled in this order.
    type: list
    elements: dict
    default: []
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
attributes:
  check_mode: {support: full, description: Nothing is written; the checkers run.}
  diff_mode: {support: full, description: Files that only their owner may read are never shown.}
author: The Drover developers
"""

EXAMPLES = r"""
- name: Run Docker with our configuration, and keep its version
  drover.platform.install:
    packages:
      by_distribution:
        debian-13: {present: [docker.io, docker-cli, docker-compose]}
      hold: ["docker*", containerd, runc]
      start: false
    files:
      - path: /etc/docker/daemon.json
        content: "{}"
        validate: [dockerd, --validate, "--config-file=%s"]
    units:
      - {name: docker.service, enabled: true, state: started, follows: [/etc/docker/daemon.json]}
"""

RETURN = r"""
steps:
  description: What was (or in check mode would be) done to packages and units, with the reason.
  returned: always
  type: list
  elements: str
changed_paths:
  description: Every path that was (or in check mode would be) made, changed or removed.
  returned: always
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.apt import bring_packages
from ..module_utils.arguments import arguments
from ..module_utils.disk import HostError
from ..module_utils.placing import bring_tree, reason, result, searched, shown
from ..module_utils.systemd import bring_units, wanted_units

PACKAGES: dict[str, Any] = {
    "present": {"type": "list", "elements": "str", "default": []},
    "hold": {"type": "list", "elements": "str", "default": []},
    "by_distribution": {"type": "dict", "default": {}},
    "start": {"type": "bool", "default": True},
}
UNITS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "enabled": {"type": "bool"},
    "state": {"type": "str", "choices": ["started", "stopped"]},
    "follows": {"type": "list", "elements": "path", "default": []},
    "on_change": {"type": "str", "choices": ["restart", "reload"], "default": "restart"},
}


def main() -> None:
    options = {
        "packages": {"type": "dict", "options": PACKAGES},
        "units": {"type": "list", "elements": "dict", "default": [], "options": UNITS},
    }
    module = AnsibleModule({**arguments(), **options}, supports_check_mode=True)
    module.no_log_values = searched(module.params)
    params, dry, invocation = module.params, module.check_mode, shown(module.params)
    steps: list[str] = []
    try:
        steps += bring_packages(params["packages"], dry) if params["packages"] else []
        changes = bring_tree(params, dry)
        steps += bring_units(wanted_units(params["units"]), dry, [change.path for change in changes])
    except HostError as error:
        module.fail_json(msg=str(error), steps=steps, invocation=invocation)
    except OSError as error:
        module.fail_json(msg=reason(error), steps=steps, invocation=invocation)
    changed = bool(steps or changes)
    module.exit_json(changed=changed, steps=steps, invocation=invocation, **result(changes, module._diff))


if __name__ == "__main__":
    main()
