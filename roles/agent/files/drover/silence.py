# GPL-3.0-or-later
"""While Docker does not answer: what was told is wanted all the same, and history says why that is all."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import suppress

from drover import accept, record
from drover.docker import Container, observe
from drover.facts import Facts
from drover.guard import Asked, refusals
from drover.host import Host
from drover.layout import link
from drover.plan import Plan
from drover.release import Manifest
from drover.run import DroverError, NotInstalledError


def observed(host: Host, check: bool) -> tuple[Container, ...]:
    """What runs; a dry run on a host that has no Docker yet finds nothing running."""
    try:
        return record.without_secrets(host.layout, observe(host.run))
    except NotInstalledError:
        if check:
            return ()
        raise


def put_off(
    host: Host, wishes: Mapping[str, Manifest], told: Collection[str], text: str, action: str, asked: Asked
) -> None:
    """Want those of the wishes that were told; each stack's history gets `text`."""
    for name, wish in wishes.items():
        with suppress(DroverError, OSError):  # the failure that counts is Docker's
            if name in told and not _refused(host, wish, asked):
                accept.want(host.layout, wish)
        record.refuse(host, wish, text, action)


def _refused(host: Host, wish: Manifest, asked: Asked) -> bool:
    """Whether it would be refused, as far as that can be said without a look at what runs."""
    folder = host.layout.stack(wish.stack)
    known = Facts(current=link(folder / "current"), wanted=link(folder / "wanted"))
    return bool(refusals(host, {wish.stack: Plan(wish, facts=known)}, asked, time.time()))
