# GPL-3.0-or-later
"""Carry out the end of a stack: route, proxy, containers and networks, files; volumes and data when told so.

`current` goes last, so that a run that died in between is seen by the next one.
"""

from __future__ import annotations

from collections.abc import Sequence

from drover import compose, disk, routes
from drover.docker import LABEL, Container, observe, of_stack
from drover.host import Host
from drover.layout import PROXY, STANDBY
from drover.release import Manifest
from drover.run import DroverError


def remove(host: Host, wish: Manifest, containers: Sequence[Container]) -> None:
    """Take the stack off this host."""
    routes.write(host.layout, wish.stack, "", host.run)
    network = f"{wish.stack}_public"
    for each in (*of_stack(containers, PROXY), *of_stack(containers, STANDBY)):
        if network in each.networks and wish.stack != PROXY:
            host.run(["docker", "network", "disconnect", "--force", network, each.identity])
    host.say(f"{wish.stack}: remove")
    _must(host, compose.down(wish.stack, volumes=wish.delete))
    _leftovers(host, wish)
    _files(host, wish)
    routes.forget(host.layout, wish.stack, ())
    host.state.forget(wish.stack)


def _leftovers(host: Host, wish: Manifest) -> None:
    """`down` reports success with a network still in use, and leaves what it does not know."""
    left = [each.identity for each in of_stack(observe(host.run), wish.stack)]
    if left:
        _must(host, ["docker", "rm", "--force", *left])
    label = f"label={LABEL}project={wish.stack}"
    for kind in ("network", *(["volume"] if wish.delete else [])):
        found = host.run(["docker", kind, "ls", "--quiet", "--filter", label]).out.split()
        if found:
            _must(host, ["docker", kind, "rm", *found])


def _files(host: Host, wish: Manifest) -> None:
    import shutil  # only here: it costs every other run more than its share

    folder = host.layout.stack(wish.stack)
    inside = list(folder.iterdir()) if folder.is_dir() else []
    for path in sorted(inside, key=lambda path: path.name == "current"):
        if path.name == "data" and not wish.delete:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            disk.remove(path)
    if wish.delete:
        shutil.rmtree(host.layout.spool(wish.stack), ignore_errors=True)
    for path in (folder / "data", folder):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


def volumes_command() -> list[str]:
    """The projects that have a volume, a line each."""
    template = f'{{{{.Label "{LABEL}project"}}}}'
    return ["docker", "volume", "ls", "--filter", f"label={LABEL}project", "--format", template]


def with_volumes(host: Host) -> frozenset[str]:
    """Stacks of which a volume is there."""
    listed = host.run(volumes_command())
    if listed.code:
        raise DroverError(f"Docker does not answer: {listed.words}")
    return frozenset(listed.out.split())


def _must(host: Host, command: list[str]) -> None:
    done = host.run(command, timeout=compose.LIMIT)
    if done.code:
        raise DroverError(f"Docker: {done.words}")
