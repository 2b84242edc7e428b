# GPL-3.0-or-later
"""Point in time for PostgreSQL: the server hands each finished segment of its log to a folder of the host.

The host takes it from there to the repository, so that no container has a way out for it, or a credential.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from .. import paths
from ..compose.interpolate import raw
from ..compose.normal import Plain
from ..dump import Verbatim
from ..stack import Stack

SECONDS = 30
"""After so long a segment counts as finished, if anything was written into it."""

PROGRAM = "pgbackrest-spool"
_INSIDE = f"/opt/{PROGRAM}"
_SPOOL = "/var/spool/pgbackrest"
_OURS = ("archive_mode", "archive_command", "archive_library", "archive_timeout")

# Runs in the database's container, by whichever shell its image has. A folder that is full must not stop the
# database: then the segment is let go, and its name in `lost` says that there is a gap until the next base.
SCRIPT = f"""\
# archive_command of PostgreSQL: sh {PROGRAM} PATH NAME
set -eu
umask 077
spool={_SPOOL}
if [ -e "$spool/$2" ]; then
  if cmp -s "$1" "$spool/$2"; then exit 0; fi
  echo "{PROGRAM}: there is another segment of the name $2" >&2
  exit 1
fi
used=$(du -sk "$spool" | cut -f 1)
free=$(df -Pk "$spool" | awk 'END {{ print $4 }}')
if [ "$used" -gt 4194304 ] || [ "$free" -lt 524288 ]; then
  echo "$2" >>"$spool/lost"
  exit 0
fi
cp "$1" "$spool/.$2"
sync "$spool/.$2"
mv "$spool/.$2" "$spool/$2"
sync "$spool"
"""


def wanted(stack: Stack, name: str) -> bool:
    """Whether the data asks for it."""
    said = stack.data["backup"].get(name)
    return isinstance(said, Mapping) and bool(said.get("point_in_time"))


def override(stack: Stack, name: str) -> Plain:
    """The service's own command, with settings after it."""
    if not wanted(stack, name):
        return {}
    settings = {
        "archive_mode": "on",
        "archive_command": f"sh {_INSIDE} %p %f",
        "archive_timeout": str(SECONDS),
    }
    own = [Verbatim(word) for word in words(stack.view.services[name])]
    return {
        "command": [*own, *(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))]
    }


def words(service: Plain) -> list[str]:
    """The command as the file has it, variables and all; the image's where it says nothing."""
    said = service.get("command")
    if isinstance(said, list):
        return [str(raw(word)) for word in said]
    return shlex.split(str(raw(said))) if said else ["postgres"]


def archives_itself(service: Plain) -> str | None:
    """The setting of the file's own that ours would take the place of."""
    return next((key for key in _OURS for word in words(service) if key in word), None)


def starts_server(service: Plain) -> bool:
    """Whether settings can stand after the command."""
    first = words(service)[:1]
    return not service.get("entrypoint") and (first == ["postgres"] or first[:1] == ["-c"])


def mounts(stack: Stack, name: str, script: Plain) -> list[Plain]:
    """The script and the folder that the host empties."""
    if not wanted(stack, name):
        return []
    spool = {"type": "bind", "source": paths.spool(stack.name, name), "target": _SPOOL}
    return [{**script, "target": _INSIDE}, {**spool, "bind": {"create_host_path": True}}]
