# GPL-3.0-or-later
"""The bucket that backups go to: what a host's role may do there, and who alone may shorten its history. Pure.

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
SECONDS_A_DAY = 86400

# Of objects, below the host's own prefix. None of them says a version: the newest one is all that a host sees.
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


_S3 = re.compile(r"s3:(?:https?://|//)?[^/]+/(?P<bucket>[^/]+)(?:/+(?P<below>.*))?")


def place(repository: str) -> tuple[str, str] | None:
    """Bucket and prefix of a repository, as restic writes it; None if it is no bucket.

    >>> place("s3:https://s3.eu-central-1.amazonaws.com/acme-backup/acme/production")
    ('acme-backup', 'acme/production/')
    >>> place("/srv/backup")
    """
    found = _S3.fullmatch(repository)
    if not found:
        return None
    below = (found["below"] or "").strip("/")
    return found["bucket"], f"{below}/" if below else ""


def no_bucket(repository: str) -> Problem:
    """What is wrong where there is nothing to be recovered."""
    what = f"the repository {repository} is in no bucket" if repository else 'the key "repository" is missing'
    return Problem(("drover_platform", "backup"), what, "write it as s3:https://s3.REGION.amazonaws.com/BUCKET")
