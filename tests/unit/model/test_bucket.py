# GPL-3.0-or-later
"""What a host's role may do in the bucket of the backups, what the bucket refuses, and where it is."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.drover.platform.plugins.filter.bucket import of as filtered
from ansible_collections.drover.platform.plugins.plugin_utils import bucket

ROLE = bucket.role_policy("acme-backup", "acme", "production")
REFUSED = bucket.bucket_policy("acme-backup", "arn:aws:iam::123456789012:role/terraform")


def allows(action: str, resource: str) -> bool:
    """Whether a statement of the role does; conditions aside."""
    return any(
        action in each["Action"] and any(fnmatchcase(resource, one) for one in each["Resource"])
        for each in ROLE["Statement"]
    )


@pytest.mark.parametrize("verb", ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"])
def test_a_role_uses_objects_below_its_own_prefix_alone(verb: str) -> None:
    arn = "arn:aws:s3:::acme-backup"
    assert allows(f"s3:{verb}", f"{arn}/acme/production/web/config")
    for elsewhere in ("acme/staging/web/config", "acme/production", "other/production/x", "x"):
        assert not allows(f"s3:{verb}", f"{arn}/{elsewhere}")
    assert not allows(f"s3:{verb}", "arn:aws:s3:::acme-backups/acme/production/web/config")


def test_a_role_lists_its_own_prefix_alone() -> None:
    (listing,) = [each for each in ROLE["Statement"] if "s3:ListBucket" in each["Action"]]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["acme/production/*"]}}


def test_a_role_may_nothing_that_ends_a_history_and_the_bucket_refuses_it_to_everybody() -> None:
    actions = {action for each in ROLE["Statement"] for action in each["Action"]}
    assert {each["Effect"] for each in ROLE["Statement"]} == {"Allow"}
    assert not actions & set(bucket.HISTORY) and not [each for each in actions if "*" in each]
    assert not [each for each in actions if "Version" in each or "Policy" in each or "Lifecycle" in each]
    (keep,) = [each for each in REFUSED["Statement"] if each["Action"] != ["s3:*"]]
    assert (keep["Effect"], keep["Principal"]) == ("Deny", "*")
    assert {"s3:DeleteObjectVersion", "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration"} < {
        *keep["Action"]
    }
    assert keep["Condition"]["ArnNotLike"]["aws:PrincipalArn"].endswith(":role/terraform")


def test_deleted_and_overwritten_objects_stay_for_five_weeks() -> None:
    (rule,) = bucket.LIFECYCLE["Rules"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 35}
    assert "Days" not in rule["Expiration"], "what is there stays"


def platform(
    repository: str | None = "s3:https://s3.eu-central-1.amazonaws.com/acme-backup",
) -> dict[str, Any]:
    backup = {"repository": repository, "password": "k4nary-6b1f"}
    return {"client": "acme", "environment": "staging", "backup": backup}


@pytest.mark.parametrize(
    ("repository", "host", "prefix"),
    [
        ("s3:https://s3.eu-central-1.amazonaws.com/acme-backup", "", "acme/staging/"),
        ("s3:https://s3.eu-central-1.amazonaws.com/acme-backup", "web", "acme/staging/web/"),
        ("s3:s3.amazonaws.com/acme-backup/deeper", "", "deeper/acme/staging/"),
        ("s3:s3.amazonaws.com/acme-backup", "any", "acme/staging/any/"),
    ],
)
def test_where_backups_lie(repository: str, host: str, prefix: str) -> None:
    assert filtered(platform(repository), host) == {"bucket": "acme-backup", "prefix": prefix}


@pytest.mark.parametrize("repository", ["/srv/backup", "rest:https://backup.example/acme", None])
def test_backups_in_no_bucket_are_told(repository: str | None) -> None:
    with pytest.raises(AnsibleFilterError, match="repository: there is no bucket in it"):
        filtered(platform(repository))


def test_what_is_wrong_with_the_settings_is_told() -> None:
    with pytest.raises(AnsibleFilterError, match="backup_host"):
        filtered(platform(), "../other")
