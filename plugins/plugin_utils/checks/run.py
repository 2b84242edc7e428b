# GPL-3.0-or-later
"""Runs every check, leaving out those whose data is already known to be wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ..problem import Problem
from ..stack import Stack
from . import (
    backups,
    certificates,
    deploy,
    environment,
    health,
    images,
    mounts,
    names,
    networks,
    privileges,
    publish,
    routes,
    secrets,
    services,
    smoke,
)

_ONE = (
    backups,
    deploy,
    environment,
    health,
    images,
    mounts,
    networks,
    privileges,
    publish,
    routes,
    secrets,
    services,
    smoke,
)


def one_stack(stack: Stack, broken: Collection[str]) -> Iterator[Problem]:
    """What is wrong with one stack; `broken`: the keys of its data that have problems of their own."""
    for check in _ONE:
        if not check.NEEDS & set(broken):
            yield from check.problems(stack)


def all_stacks(stacks: Sequence[Stack]) -> Iterator[Problem]:
    """What is wrong between stacks."""
    yield from routes.clashes(stacks)
    yield from publish.clashes(stacks)
    yield from names.clashes(stacks)
    yield from certificates.uncovered(stacks)
