# GPL-3.0-or-later
"""What EC2 says of this instance: its tags, by version 2 of the metadata service."""

from __future__ import annotations

import time
from http.client import HTTPConnection, HTTPException

SERVICE = "169.254.169.254"
SECONDS = 2.0  # for one answer
TRIES = 5


def tag(key: str, service: str = SERVICE) -> str:
    """The tag's value; empty if it has none, if tags are not shown to instances, or if nobody answers."""
    for attempt in range(TRIES):
        try:
            token = _ask(service, "PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
            own = {"X-aws-ec2-metadata-token": token}
            return _ask(service, "GET", f"meta-data/tags/instance/{key}", own)
        except (OSError, HTTPException):
            time.sleep(1 + attempt)
    return ""


def _ask(service: str, method: str, path: str, headers: dict[str, str]) -> str:
    """What it answers; empty if there is no such thing."""
    connection = HTTPConnection(service, timeout=SECONDS)
    try:
        connection.request(method, f"/latest/{path}", headers=headers)
        answer = connection.getresponse()
        text = answer.read(300).decode("utf-8", "replace").strip()
        if answer.status not in (200, 404):
            raise HTTPException(f"{path}: {answer.status}")
        return text if answer.status == 200 else ""
    finally:
        connection.close()
