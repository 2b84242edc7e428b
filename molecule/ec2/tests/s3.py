"""The client's bucket, and the database that is backed up into it."""

from __future__ import annotations

import json
import shlex
from typing import Any

from shared.scenario import service
from testinfra.host import Host

from localcloud import cloud

BUCKET, JOB = "acme-backup", "ledger/db"
PREFIX = "acme/staging/web/"
SUM = "SELECT md5(string_agg(b::text, ',' ORDER BY id)) FROM bookings AS b;"
ROWS = 'docker exec -i {} psql -U ledger -qAt -v ON_ERROR_STOP=1 <<"END"\n{}\nEND'


def psql(host: Host, words: str) -> str:
    return str(host.check_output(ROWS.format(service(host, "ledger", "db"), words)))


def drover(host: Host, *words: str, fails: bool = False) -> dict[str, Any]:
    """What became of the job; with `fails` the verb has to end with 1."""
    done = host.run(f"drover {shlex.join(words)} --json")
    assert done.rc == int(fails), done.stdout + done.stderr
    return dict(json.loads(done.stdout)["jobs"][JOB])


def newest(host: Host) -> tuple[str, str]:
    """The newest snapshot that counts, and what is wrong, as the host itself knows."""
    listed = json.loads(host.run("drover backups --json").stdout)
    (found,) = (each for each in listed if each["job"] == JOB)
    return str(found["snapshot"]), str(found["problem"])


def shown() -> dict[str, str]:
    """ETags of what is below the host's prefix, without restic's locks."""
    pages = cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=PREFIX)
    found = [each for page in pages for each in page.get("Contents", [])]
    return {each["Key"]: each["ETag"] for each in found if "/locks/" not in each["Key"]}


def on_host(host: Host, script: str) -> list[str]:
    """Run Python on the host with the credentials that it has by itself."""
    command = f"AWS_DEFAULT_REGION={cloud.REGION} python3 - <<'END'\n{script}\nEND"
    return str(host.check_output(command)).splitlines()
