# GPL-3.0-or-later
"""Options of whatever calls AWS, as `module_utils/aws.py` takes them."""

from __future__ import annotations


class ModuleDocFragment:
    """Found by Ansible under this name."""

    DOCUMENTATION = r"""
options:
  region:
    description: The region. Left out, what your profile says.
    type: str
  endpoint_url:
    description: The address of an emulator.
    type: str
  access_key:
    description: A key. Left out, C(AWS_PROFILE) or your SSO session counts.
    type: str
  secret_key:
    description: Its secret.
    type: str
requirements: [boto3]
"""
