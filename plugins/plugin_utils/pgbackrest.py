# GPL-3.0-or-later
"""pgBackRest's configuration: PostgreSQL's log and its bases, in a folder of restic's repository. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from .stack import Data

PATH = "/etc/drover/pgbackrest.conf"
FOLDER = "pgbackrest"
"""Below the host's own repository, so that whatever brings its prefix back brings both."""

_REGION = re.compile(
    r"s3[.-](?:dualstack\.)?(?P<region>[a-z]{2,4}(?:-[a-z]+)+-[0-9]+)\.amazonaws\.com(?:\.cn)?"
)
_BEHAVIOUR = {
    "repo1-bundle": "y",  # small files share an object
    "repo1-block": "y",  # of a file that changed a little, the parts that did
    "compress-type": "zst",
    "process-max": "2",
    "start-fast": "y",
    "expire-auto": "n",  # `drover retention` decides that
    "archive-timeout": "120",
    "lock-path": "/run/drover/pgbackrest",
    "log-level-console": "off",
    "log-level-file": "off",
    "log-level-stderr": "error",
    "log-timestamp": "n",
}


def is_supported(repository: str) -> bool:
    """Whether pgBackRest reaches what restic does: S3 over TLS, or a folder.

    >>> [is_supported(each) for each in ("s3:s3.amazonaws.com/b", "/srv/backup", "rest:https://h", "s3:http://h/b")]
    [True, True, False, False]
    """
    return repository.startswith(("s3:", "/")) and not repository.startswith("s3:http:")


def text(repository: str, platform: Data) -> str:
    """The file, for the repository of one host."""
    backup = platform["backup"]
    place = _s3(repository, backup["environment"]) if repository.startswith("s3:") else _folder(repository)
    key = {"repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": backup["password"]}
    keep = {"repo1-retention-full-type": "time", "repo1-retention-full": str(max(1, backup["keep"]["daily"]))}
    lines = {**place, **key, **keep, **_BEHAVIOUR}
    return "".join(["[global]\n", *(f"{name}={value}\n" for name, value in lines.items())])


def _folder(repository: str) -> dict[str, str]:
    return {"repo1-type": "posix", "repo1-path": f"{repository}/{FOLDER}"}


def _s3(repository: str, environment: Mapping[str, str]) -> dict[str, str]:
    """By the instance's own role. AWS has buckets as host names, others as the first part of the path."""
    at = urlsplit(f"https://{repository.removeprefix('s3:').removeprefix('https://')}")
    bucket, _, prefix = at.path.lstrip("/").partition("/")
    host = at.hostname or ""
    found = _REGION.fullmatch(host)
    said = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    return {
        "repo1-type": "s3",
        "repo1-path": f"/{prefix}/{FOLDER}",
        "repo1-s3-bucket": bucket,
        "repo1-s3-endpoint": host,
        "repo1-s3-region": found["region"] if found else said,
        "repo1-s3-uri-style": "host" if host.endswith((".amazonaws.com", ".amazonaws.com.cn")) else "path",
        "repo1-s3-key-type": "auto",
        **({"repo1-storage-port": str(at.port)} if at.port else {}),
    }
