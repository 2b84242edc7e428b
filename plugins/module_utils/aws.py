# GPL-3.0-or-later
"""How modules call AWS. The fragment `aws` describes the options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import missing_required_lib

from .errors import HostError

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    boto3 = None

# What a module tells as its failure: our own, and AWS's where there is a boto3 to raise them.
ERRORS: tuple[type[Exception], ...] = (HostError, BotoCoreError, ClientError) if boto3 else (HostError,)


def arguments() -> dict[str, Any]:
    """An argument spec for Ansible."""
    texts = {name: {"type": "str"} for name in ("region", "endpoint_url", "access_key")}
    return {**texts, "secret_key": {"type": "str", "no_log": True}}


def client(service: str, params: Mapping[str, Any], **config: Any) -> Any:
    """One of boto3's, which asks again for up to a minute or so when AWS throttles or errs.

    `config` is what else botocore's Config takes.
    """
    if boto3 is None:
        raise HostError(missing_required_lib("boto3"))
    return boto3.client(
        service,
        region_name=params["region"],
        endpoint_url=params["endpoint_url"],
        aws_access_key_id=params["access_key"],
        aws_secret_access_key=params["secret_key"],
        config=Config(retries={"mode": "standard", "max_attempts": 8}, **config),
    )
