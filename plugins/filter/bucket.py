"""Where in S3 the backups of a client's hosts lie, for the playbook `recover`."""

# GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: bucket
short_description: Where in S3 the backups of a client's hosts lie
description: Fails where they lie elsewhere, and with all that is wrong with the platform's settings.
positional: host
options:
  _input:
    description: The platform's settings; C(docs/reference.md) has every key.
    type: dict
    required: true
  host:
    description: What one host is called in the repository. Left out, all hosts of the client and environment.
    type: str
author: The Drover developers
"""

EXAMPLES = r"""
- name: Show the bucket
  ansible.builtin.debug:
    msg: "{{ (drover_platform | drover.platform.bucket).bucket }}"
"""

RETURN = r"""
_value:
  description: C(bucket) is its name, C(prefix) what the names of the backups' objects begin with.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils import backup, boundary, bucket, origin
from ..plugin_utils.problem import located


def of(platform: Any, host: Any = "") -> dict[str, str]:
    """Plain data in, plain data out."""
    given, places = origin.plain(platform or {}, backup.NAME)
    told, problems = backup.load(given, str(host) or bucket.ANY)
    found, wrong = ({}, problems) if problems else bucket.load(told["told"]["repository"], str(host))
    if wrong:
        raise AnsibleFilterError(boundary.report(located(wrong, places)))
    return found


class FilterModule:
    """Found by Ansible under this name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"bucket": of}
