# GPL-3.0-or-later
"""What the inventory says of AWS: `drover_aws`, and whether instances can be launched from it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from . import shape
from .problem import Problem
from .schema import AWS
from .stack import Data

NAME = "drover_aws"


def load(given: object) -> tuple[Data, list[Problem]]:
    """Return the data with every default in its place, and what is wrong."""
    if given is None:
        return {}, []
    wrong = list(shape.problems(given, AWS, (NAME,)))
    if wrong:
        return {}, wrong
    found = cast(Data, shape.filled(given, AWS))
    return found, [*_doubles(found), *_launching(found)]


def _doubles(aws: Data) -> Iterator[Problem]:
    """A host is listed once; an entry without a generation means whichever serves."""
    seen: set[tuple[str, int | None]] = set()
    for index, host in enumerate(aws["hosts"]):
        name, generation = host["name"], host["generation"]
        known = {each for other, each in seen if other == name}
        if known and (generation is None or known & {generation, None}):
            found = name if generation is None else f"{name} generation {generation}"
            yield Problem(
                (NAME, "hosts", index), f"{found} is listed twice", "write another name or generation"
            )
        seen.add((name, generation))


def _launching(aws: Data) -> Iterator[Problem]:
    """What only a launch needs."""
    if aws["hosts"] and not aws["foundation"]:
        wanted = "write the path of SSM parameters, such as /acme/production"
        yield Problem((NAME,), 'hosts are listed and the key "foundation" is missing', wanted)
