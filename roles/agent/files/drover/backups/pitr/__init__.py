# GPL-3.0-or-later
"""Point in time for PostgreSQL: its log is kept beside base backups, by pgBackRest, which runs on the host.

archive: what the database leaves in a folder goes to the repository. base: what the log begins from.
moment: how far it is read again, and from which base. replay: a copy that is made so. check: whether that
copy is what was dumped.
"""

from __future__ import annotations

BASE, REPLAY, EXPIRE = "base", "replay", "expire"  # kinds of lines in the state
