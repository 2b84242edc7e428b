"""Which instances are generations of a host, for the role aws_host."""

# GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: generations
short_description: The instances of a host by their part
description:
  - Sorts the instances of one host by their tag C(drover:lifecycle); one without it is active.
positional: generation
options:
  _input:
    description: Instances, as P(amazon.aws.ec2_instance_info#module) returns them.
    type: list
    elements: dict
    required: true
  generation:
    description: Leaves out all others. Left out, any.
    type: int
author: The Drover developers
"""

EXAMPLES = r"""
- name: Show which instance serves
  ansible.builtin.debug:
    msg: "{{ (found.instances | drover.platform.generations).active | map(attribute='instance_id') }}"
"""

RETURN = r"""
_value:
  description: Lists C(active), C(standby) and C(retired), and the number C(next) of a new generation.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ..plugin_utils import generations, origin


def of(instances: Any, generation: Any = None) -> dict[str, Any]:
    """Plain data in, plain data out."""
    told, _ = origin.plain(instances, "instances")
    return generations.sort(told, None if generation is None else int(generation))


class FilterModule:
    """Found by Ansible under this name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"generations": of}
