# GPL-3.0-or-later
"""After a deploy: what no release needs that a rollback may go to is removed.

Releases, the files and secrets that only they read, and their images by name; never a volume, a container,
or an image that somebody else put here.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from drover import routes, secrets
from drover.host import Host, about
from drover.layout import Layout, link
from drover.plan import Plan
from drover.release import RELEASE, Manifest, Service
from drover.run import DroverError
from drover.wishes import load, names

KEEP = 5  # releases that ran well before the one that runs
YOUNG = 3600.0  # seconds for which a release that nobody wants yet may be on its way, and what it reads


def prune(host: Host, plan: Plan) -> None:
    """Not at a boot into an older release: the secrets of the one that is wanted may be there."""
    wish, layout = plan.wish, host.layout
    if link(layout.stack(wish.stack) / "wanted") != wish.release:
        return
    if plan.facts.current == wish.release and plan.facts.recorded:
        return
    kept = _kept(host, wish)
    folder = layout.stack(wish.stack) / "releases"
    gone = [path for path in _folders(folder) if path.name not in kept and _old(path)]
    stay = {path.name for path in _folders(folder)} - {path.name for path in gone}
    read = [*kept.values(), *_loaded(host, wish.stack, sorted(stay - set(kept)))]
    secrets.prune(layout.secrets(wish.stack), _together(read), _old)
    routes.forget(layout, wish.stack, [route for each in read for route in each.routes], _old)
    images = {image for path in gone for image in _images(layout, wish.stack, path.name)}
    for path in gone:
        shutil.rmtree(path)
    if gone:
        _files(layout, wish.stack, folder)
    for image in sorted(images - _needed(layout)):
        host.run(["docker", "image", "rm", image])  # refused while a container has it


def _kept(host: Host, wish: Manifest) -> dict[str, Manifest]:
    """The releases that a rollback may go to, as far as they can be read."""
    told = about(host.layout).get("deploy")
    most = told.get("keep") if isinstance(told, dict) else None
    recent = host.state.applied(wish.stack)[: 1 + (most if isinstance(most, int) else KEEP)]
    return {wish.release: wish} | {each.release: each for each in _loaded(host, wish.stack, recent)}


def _loaded(host: Host, stack: str, releases: Iterable[str]) -> Iterator[Manifest]:
    for release in releases:
        with suppress(DroverError):
            yield load(host.layout, stack, release)


def _together(manifests: Iterable[Manifest]) -> dict[str, Service]:
    """The services of all of them, each with every secret that one of them reads."""
    found: dict[str, Service] = {}
    for manifest in manifests:
        for name, service in manifest.services.items():
            known = found.get(name, service)
            found[name] = service._replace(
                secrets=service.secrets | known.secrets, secret_env=service.secret_env or known.secret_env
            )
    return found


def _folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and RELEASE.fullmatch(path.name)]


def _old(path: Path) -> bool:
    return path.lstat().st_mtime < time.time() - YOUNG


def _images(layout: Layout, stack: str, release: str) -> set[str]:
    try:
        return {service.image for service in load(layout, stack, release).services.values()}
    except DroverError:
        return set()


def _needed(layout: Layout) -> set[str]:
    """The images of every release of every stack."""
    return {
        image
        for stack in names(layout)
        if (layout.stack(stack) / "releases").is_dir()
        for path in _folders(layout.stack(stack) / "releases")
        for image in _images(layout, stack, path.name)
    }


def _files(layout: Layout, stack: str, releases: Path) -> None:
    """Shipped files are named by what they hold; a release names those it mounts in its platform.yaml."""
    texts = [path.read_text("utf-8", "replace") for path in releases.glob("*/platform.yaml")]
    shipped = layout.stack(stack) / "files"
    for path in shipped.iterdir() if shipped.is_dir() else ():
        if _old(path) and not any(f"/files/{path.name}/" in text for text in texts):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
