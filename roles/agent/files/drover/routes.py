# GPL-3.0-or-later
"""Route files: one for each stack, rendered by the proxy's module, validated, and only then put in place."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from drover import disk, proxy, wishes
from drover.layout import Layout
from drover.lineup import Lineup
from drover.proxy import source
from drover.release import Manifest, Proxy
from drover.route import Route
from drover.run import DroverError, Runner, runner

SUFFIX: dict[str, str] = {kind: module.SUFFIX for kind, module in proxy.KINDS.items()}
RELOAD = 1  # seconds in which a proxy that answers by the new route has ended what went by the old one
_ONE = threading.Lock()  # a proxy judges the folder with one change at a time


def text(wish: Manifest, servers: Mapping[str, Sequence[str]]) -> str:
    """The route file's text; empty without routes. `servers` are the containers' names by service."""
    return proxy.render(wish, servers)


def planned(wish: Manifest, found: Mapping[str, Lineup]) -> str:
    """The same with the names that the new containers will most likely have."""
    return text(wish, {name: found[name].names(wish.stack) for name in wish.services})


def read(layout: Layout, stack: str) -> str:
    """The route file's text; empty if there is none for the proxy that stands."""
    try:
        return _path(layout, stack, wishes.proxy(layout).kind).read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""


def outdated(layout: Layout, stack: str) -> bool:
    """Whether there is only a file for another proxy than stands here: by its kind, TLS or certificates."""
    there = {kind for kind in SUFFIX if _path(layout, stack, kind).exists()}
    found = wishes.proxy(layout)
    if found.kind not in there:
        return bool(there)
    try:
        made = source.read(read(layout, stack))
    except ValueError:
        return False
    names = source.certified(found, made.routes)
    return (made.secure, made.proxy.certificates) != (bool(found.tls), names)


def again(layout: Layout, stack: str) -> str:
    """The route that stands, for the proxy and the certificates that are here now: it leads where it led."""
    found = wishes.proxy(layout, stack)
    kinds = sorted(SUFFIX, key=lambda kind: kind != found.kind)
    paths = [path for path in (_path(layout, stack, kind) for kind in kinds) if path.exists()]
    try:
        made = source.read(paths[0].read_text("utf-8"))
    except (IndexError, OSError, ValueError) as error:
        raise DroverError(f"its route cannot be read: {error}") from None
    same = Manifest(stack, routes=made.routes, maintenance=made.maintenance, down_page=made.down_page)
    return text(same._replace(proxy=found, reads_only=made.reads_only), made.servers)


def _path(layout: Layout, stack: str, kind: str) -> Path:
    return layout.routes / f"{stack}{SUFFIX[kind]}"


def mark(content: str) -> str:
    """The host name that the proxy itself answers with 418 as soon as it goes by this text."""
    return proxy.mark(content)


def marks(layout: Layout, kind: str) -> dict[str, str]:
    """Of every file that a proxy of this kind reads its mark → its path; one broken by hand has none."""
    found = {}
    for path in sorted(layout.routes.glob(f"*{SUFFIX[kind]}")):
        with suppress(OSError, ValueError):
            found[mark(path.read_text("utf-8"))] = str(path)
    return found


def place(route: Route) -> tuple[str, str]:
    """Host and path, of which only one stack can have each pair."""
    return route.host, route.path.rstrip("/") or "/"


def servers(layout: Layout, stack: str) -> frozenset[str]:
    """The names of the containers that the proxy leads to now."""
    try:
        return frozenset(
            name for names in source.read(read(layout, stack)).servers.values() for name in names
        )
    except ValueError:
        return frozenset()


def linger(releases: Iterable[Manifest | None], services: Collection[str]) -> int:
    """Seconds for which requests to these services may come after another route led away.

    By any of these releases: the proxy may still go by the one, or by the other.
    """
    return max((_linger(each, services) for each in releases if each), default=0)


def _linger(release: Manifest, services: Collection[str]) -> int:
    seconds = proxy.KINDS[(release.proxy or Proxy()).kind].LINGER
    return seconds + RELOAD if seconds and source.led(release) & set(services) else 0


def places(layout: Layout, stack: str) -> frozenset[tuple[str, str]]:
    """What the proxy leads to the stack now, as pairs of host and path."""
    try:
        return proxy.places(read(layout, stack))
    except (DroverError, ValueError):
        return frozenset()


def write(layout: Layout, stack: str, content: str, run: Runner | None = None) -> None:
    """Put the file in place if it is one that the proxy accepts; without content remove it."""
    with _ONE:
        if not content:
            _remove(layout, stack, run or runner())
            return
        try:
            proxy.mark(content)
        except ValueError as error:
            raise DroverError(
                f"its route was not written, the proxy would stumble over it: {error}"
            ) from None
        for each in source.read(content).routes:
            if each.auth and not (layout.users / f"{stack}.{each.auth}").is_file():
                raise DroverError(
                    f"the route of {stack} for {each.host}{each.path} was not written: {each.auth}, "
                    f"who may pass it, is missing in {layout.users}; run the playbook, which puts it there"
                )
        module = proxy.of(content)
        path = layout.routes / f"{stack}{module.SUFFIX}"
        refused = module.refuses(layout, run or runner(), path.name, content)
        if refused:
            raise DroverError(f"its route was not written, the proxy refuses it: {refused}")
        layout.routes.mkdir(mode=0o755, parents=True, exist_ok=True)
        module.prepare(layout, run or runner(), path.name, content)
        disk.replace(path, content)
        for other in SUFFIX.values():
            if other != module.SUFFIX:
                disk.remove(layout.routes / f"{stack}{other}")
        module.follow(run or runner())


def _remove(layout: Layout, stack: str, run: Runner) -> None:
    """Also of another kind of proxy. Its users stay until pruning: an earlier release may come back."""
    for kind, module in proxy.KINDS.items():
        if disk.remove(_path(layout, stack, kind)):
            module.follow(run)
    shutil.rmtree(layout.pages / stack, ignore_errors=True)


def forget(
    layout: Layout, stack: str, kept: Sequence[Route], old: Callable[[Path], bool] = lambda path: True
) -> None:
    """Remove the files of users that no route asks for any more, and that are old."""
    names = {f"{stack}.{each.auth}" for each in kept}
    for path in layout.users.glob(f"{stack}.*"):
        if path.name not in names and old(path):
            disk.remove(path)
