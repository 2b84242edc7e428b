# GPL-3.0-or-later
"""The bucket that backups go to: what a host's role may do there, who alone may shorten its history. Pure.

What a host deletes gets a delete marker, and what it overwrites becomes an older version: both come back, for
`DAYS` days, whoever has taken the host over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .problem import Problem

Policy = dict[str, Any]

VERSION = "2012-10-17"  # of the language that policies are written in
DAYS = 35  # that deleted and overwritten objects stay: five weeks, as long as weekly backups are kept
UPLOAD_DAYS = 7  # that parts of an upload stay which never ended

# Of objects below the client's own prefix. No older version is among them: a host sees the newest alone.
OBJECTS = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
# What would end a history, or make it readable or useless.
HISTORY = (
    "s3:DeleteObjectVersion",
    "s3:PutBucketVersioning",
    "s3:PutLifecycleConfiguration",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
    "s3:DeleteBucket",
    "s3:PutBucketAcl",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutEncryptionConfiguration",
    "s3:PutReplicationConfiguration",
)

# The settings, as boto3 takes them.
VERSIONING = {"Status": "Enabled"}
LIFECYCLE = {
    "Rules": [
        {
            "ID": "history",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": DAYS},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UPLOAD_DAYS},
        }
    ]
}
PUBLIC_ACCESS = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)
ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}


def role_policy(bucket: str, client: str, environment: str) -> Policy:
    """What the role of a client's hosts may do: nothing outside of CLIENT/ENVIRONMENT/, nothing to a version.

    With the condition a missing object below the prefix still is one that is not found: S3 asks by its name.
    """
    whole, below = f"arn:aws:s3:::{bucket}", f"{client}/{environment}/*"
    return _policy(
        _statement("Find", "Allow", ["s3:GetBucketLocation"], [whole]),
        _statement("List", "Allow", ["s3:ListBucket"], [whole])
        | {"Condition": {"StringLike": {"s3:prefix": [below]}}},
        _statement("Use", "Allow", OBJECTS, [f"{whole}/{below}"]),
    )


def bucket_policy(bucket: str, administrator: str) -> Policy:
    """What the bucket refuses, whatever anybody's own policy allows.

    `administrator` is the ARN of who may shorten the history, with `*` for any text: such as the role of your
    Terraform. No role of a host is to fit it.
    """
    every = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    nobody = {"Principal": "*"}
    return _policy(
        _statement("KeepHistory", "Deny", HISTORY, every)
        | nobody
        | {"Condition": {"ArnNotLike": {"aws:PrincipalArn": administrator}}},
        _statement("OnlyTls", "Deny", ["s3:*"], every)
        | nobody
        | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
    )


def _policy(*statements: Policy) -> Policy:
    return {"Version": VERSION, "Statement": list(statements)}


def _statement(name: str, effect: str, actions: Sequence[str], resources: Sequence[str]) -> Policy:
    return {"Sid": name, "Effect": effect, "Action": list(actions), "Resource": list(resources)}


# Where it is

ANY = "any"  # stands for a host's name where none is named
_S3 = re.compile(r"s3:(?:https?://)?[^/]+/(?P<bucket>[^/]+)/(?P<prefix>.+)")


def load(repository: str, host: str) -> tuple[dict[str, str], list[Problem]]:
    """Bucket and prefix of a host's repository, or without a host of all that share it; or what is wrong.

    >>> load("s3:https://s3.eu-central-1.amazonaws.com/acme-backup/acme/production/web", "web")[0]
    {'bucket': 'acme-backup', 'prefix': 'acme/production/web/'}
    >>> load("s3:s3.amazonaws.com/acme-backup/acme/production/any", "")[0]
    {'bucket': 'acme-backup', 'prefix': 'acme/production/'}
    """
    found = _S3.fullmatch(repository if host else repository.removesuffix(ANY))
    if not found:
        fix = "write s3:https://s3.REGION.amazonaws.com/BUCKET"
        return {}, [Problem(("drover_platform", "backup", "repository"), "there is no bucket in it", fix)]
    return {"bucket": found["bucket"], "prefix": found["prefix"].strip("/") + "/"}, []
