#!/usr/bin/python
# GPL-3.0-or-later
"""A prefix of a bucket with versions, as it was at an earlier moment."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bucket_recover
short_description: Bring a prefix of an S3 bucket back to how it was at an earlier moment
description:
  - "Of each object below the prefix: a delete marker that was put since then is taken away, an older version
    is copied onto what was written over it, and an object that was not there yet gets a delete marker."
  - No version is deleted, so whatever was there before stays and comes back in the same way. What the
    lifecycle of the bucket has expired by now does not.
  - A second run changes nothing, and goes on where one was cut off. Copies of what was uploaded in parts, or
    that KMS encrypts, it makes anew, since S3 does not tell that they are equal.
options:
  bucket:
    description: Its name; versioning is on.
    type: str
    required: true
  prefix:
    description: What the objects' names begin with. It ends with C(/).
    type: str
    required: true
  at:
    description: The moment, with its zone, such as C(2026-11-30T03:00:00Z).
    type: str
    required: true
  skip:
    description: Names of folders below the prefix whose objects stay as they are.
    type: list
    elements: str
    default: []
extends_documentation_fragment: [drover.platform.aws]
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
author: The Drover developers
"""

EXAMPLES = r"""
- name: Bring back what lay there at three
  drover.platform.bucket_recover:
    bucket: acme-backup
    prefix: acme/production/
    at: "2026-11-30T03:00:00Z"
    skip: [locks]
    region: eu-central-1
"""

RETURN = r"""
markers:
  description: How many delete markers were (or in check mode would be) taken away.
  returned: success
  type: int
copies:
  description: Onto how many objects an older version was copied.
  returned: success
  type: int
hidden:
  description: How many objects got a delete marker.
  returned: success
  type: int
right:
  description: How many objects were as they had been.
  returned: success
  type: int
"""

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import aws, recovery
from ..module_utils.errors import HostError


def main() -> None:
    texts = {name: {"type": "str", "required": True} for name in ("bucket", "prefix", "at")}
    module = AnsibleModule(
        {
            **texts,
            "skip": {"type": "list", "elements": "str", "default": []},
            **aws.arguments(),
        },
        supports_check_mode=True,
    )
    try:
        result = recovered(client(module.params), module.params, check=module.check_mode)
    except aws.ERRORS as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


def client(params: dict[str, Any]) -> Any:
    """S3, with as many connections as there are threads."""
    return aws.client("s3", params, max_pool_connections=recovery.THREADS)


def recovered(s3: Any, params: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Look, plan and do it; what was done."""
    bucket, prefix = params["bucket"], params["prefix"]
    if not prefix.endswith("/"):
        raise HostError(f"prefix: found {prefix!r}; write it with a / at its end, such as acme/production/")
    at = recovery.moment(params["at"], datetime.now(timezone.utc))
    if s3.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled":
        raise HostError(f"{bucket} keeps no versions: what was deleted or overwritten there is gone")
    found = recovery.plan(recovery.entries(s3, bucket, prefix, params["skip"]), at)
    if not found.there:
        raise HostError(f"of {params['at']} S3 has nothing below {bucket}/{prefix}: check moment and prefix")
    if not check:
        recovery.carry_out(s3, bucket, found)
    counts = {name: len(getattr(found, name)) for name in ("markers", "copies", "hidden")}
    where = {"bucket": bucket, "prefix": prefix}
    return {"changed": any(counts.values()), **where, **counts, "right": found.right}


if __name__ == "__main__":
    main()
