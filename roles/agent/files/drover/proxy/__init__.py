# GPL-3.0-or-later
"""Route files, and the proxies that read them. One module for each kind of proxy, with these names:

SUFFIX of its route files;
SHARED, whether it can lead one host name to several stacks, by the path;
LINGER, the seconds for which a connection may still be led by what the proxy knew before a change;
`routes(source, mark) -> str`, a stack's routes, and `own(source, mark) -> str`, what it knows besides: both
have the proxy itself answer with 418 under the mark;
`refuses(layout, run, name, text) -> str`, why the proxy that runs would not take the folder with this file;
`prepare(layout, run, name, text)`, what has to happen before the file is put in place;
and `follow(run)`, which has it go by the folder as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import ModuleType

from drover.layout import PROXY
from drover.proxy import nginx, source, traefik
from drover.proxy.source import Source
from drover.release import Manifest

KINDS: dict[str, ModuleType] = {"traefik": traefik, "nginx": nginx}


def of(text: str) -> ModuleType:
    """The module of the proxy that the text is for."""
    return KINDS[source.read(text).proxy.kind]


def render(manifest: Manifest, servers: Mapping[str, Sequence[str]]) -> str:
    """The stack's file, empty if there is nothing to say; `servers` are the containers' names by service."""
    if manifest.stack == PROXY:
        return _written(source.of(manifest, {}))[0] if manifest.proxy else ""
    return _written(source.of(manifest, servers))[0] if manifest.routes else ""


def mark(text: str) -> str:
    """The host name that the proxy itself answers with 418 once it goes by this text, which `render` wrote.

    ValueError for any other text: the proxy might stumble over it.
    """
    expected, found = _written(source.read(text))
    if text != expected:
        raise ValueError("it is not what its second line says")
    return found


def places(text: str) -> frozenset[tuple[str, str]]:
    """Host and path of each route in a file that `render` wrote; ValueError for any other."""
    mark(text)
    return source.places(source.read(text))


def _written(found: Source) -> tuple[str, str]:
    module = KINDS[found.proxy.kind]
    return source.written(found, partial(module.own if found.stack == PROXY else module.routes, found))
