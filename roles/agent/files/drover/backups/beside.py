# GPL-3.0-or-later
"""`drover restore --beside`: a copy under a name of its own, to look into; the data stays as it is."""

from __future__ import annotations

from drover.backups import room
from drover.backups.backup import Outcome
from drover.backups.choice import Chosen
from drover.backups.copies import Copy
from drover.backups.restic import Restic
from drover.backups.room import Room
from drover.host import Host


def make(host: Host, restic: Restic, each: Chosen, name: str) -> Outcome:
    """Leave it with whoever asks, also where it is not what was recorded: that is told."""
    made = room.make(host, each.job, name)
    copy = each.copy(host, made, name)
    try:
        copy.fill(restic, each.found)
        said = copy.differences()
    except BaseException:
        copy.end()
        room.drop(host, made)
        raise
    odd = f", which is not what was recorded ({'; '.join(said)})," if said else ""
    text = f"{each.said}{odd} is in {_look(copy, made)}"
    return Outcome("failed" if said else "ok", text)


def _look(copy: Copy, made: Room) -> str:
    """Where a copy is, and how it goes again."""
    name = made.source
    if not copy.server:
        return f"volume {name}, which is {made.place}; remove it: {room.removal(name, container=False)}"
    return (
        f"volume {name} and in container {name}, on no network: docker exec -it {name} sh; remove both: "
        f"{room.removal(name, container=True)}"
    )
