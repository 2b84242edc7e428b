# GPL-3.0-or-later
"""Images: is it here, who does it run as, and fetch it if not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from drover.run import DroverError, Runner

PULL_SECONDS = 900.0
AT_ONCE = 4


class Image(NamedTuple):
    """An image that is here."""

    identity: str
    user: str


def find(run: Runner, name: str) -> Image | None:
    """The image if it is here."""
    shown = run(["docker", "image", "inspect", "--format", "{{json .}}", name])
    if shown.code:
        return None
    raw = json.loads(shown.out)
    return Image(raw["Id"], (raw.get("Config") or {}).get("User") or "")


def need(run: Runner, name: str) -> Image:
    """The image, from its registry if it is not here."""
    found = find(run, name)
    if found:
        return found

    pulled = run(["docker", "pull", "--quiet", name], timeout=PULL_SECONDS)
    found = find(run, name)
    if pulled.code or not found:
        raise DroverError(f"image {name} is not here and could not be pulled: {pulled.words}")
    return found


def need_all(run: Runner, names: Iterable[str]) -> dict[str, Image | DroverError]:
    """Each of them once, some at a time; an image that cannot be had holds up none of the others."""

    def one(name: str) -> Image | DroverError:
        try:
            return need(run, name)
        except DroverError as error:
            return error

    wanted = sorted(set(names))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(wanted, pool.map(one, wanted), strict=True))
