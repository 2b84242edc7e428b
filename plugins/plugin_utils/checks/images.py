# GPL-3.0-or-later
"""Every service that runs names an image with a fixed tag or digest."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..problem import Path, Problem
from ..stack import Stack
from ..words import quoted

NEEDS = frozenset({"allow", "profiles"})
_IMAGE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*(:[0-9]+(?=/))?(/[a-z0-9._-]+)*)(:(?P<tag>\w[\w.-]{0,127}))?"
    r"(?P<digest>@sha256:[0-9a-f]{64})?\Z",
    re.ASCII,
)


def problems(stack: Stack) -> Iterator[Problem]:
    """No image, a mere build, a name Docker refuses, or a tag that moves."""
    for name, service in stack.services.items():
        if not service.get("image"):
            yield from _missing(stack, name, "build" in service)
        else:
            yield from _tag(stack, name, str(service["image"]))
    yield from _unread(stack)


def _missing(stack: Stack, name: str, builds: bool) -> Iterator[Problem]:
    if builds:
        yield stack.view.problem(
            ("services", name, "build"),
            "there is build: without image:, and a host builds nothing",
            "build elsewhere, push the image, and name it: image: registry/name:${VERSION}",
        )
    else:
        yield stack.view.problem(("services", name), "there is no image", "write image: name:tag")


def _tag(stack: Stack, name: str, image: str) -> Iterator[Problem]:
    path: Path = ("services", name, "image")
    found = _IMAGE.match(image)
    if not found:
        yield stack.view.problem(
            path, f"{quoted(image)} is not an image's name", "write one such as postgres:17.5"
        )
    elif not found["digest"] and found["tag"] in (None, "latest") and not stack.allowed(name, "latest"):
        wrong = f"{quoted(image)} has no fixed tag"
        mend = f'write a tag other than latest, or allow: {{{name}: {{latest: "the reason"}}}}'
        if stack.data["image"]:  # the short form: its file is the collection's
            yield stack.problem(("version",), wrong, mend)
        else:
            yield stack.view.problem(path, wrong, mend)


def _unread(stack: Stack) -> Iterator[Problem]:
    """`image` and `version` of the data must be read by the file."""
    read = {variable for _, variable in stack.view.variables()}
    for key in ("image", "version"):
        if stack.data[key] and key.upper() not in read:
            yield stack.problem(
                (key,),
                f"no file of {stack.view.label} reads ${{{key.upper()}}}",
                f"remove it, or write image: name:${{{key.upper()}}} in the file"
                if key == "version"
                else "remove it, or write image: ${IMAGE}:${VERSION} in the file",
            )
