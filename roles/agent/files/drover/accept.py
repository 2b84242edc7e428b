# GPL-3.0-or-later
"""What the controller told on standard input becomes `wanted`, unless Compose rejects any of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from drover import compose, disk
from drover.host import Host
from drover.layout import PROXY, Layout, link
from drover.plan import CREATING, Plan
from drover.release import Manifest, Wishes, load, names
from drover.run import NOT_FOUND, DroverError


def merged(layout: Layout, wishes: Wishes, told: Mapping[str, Manifest], check: bool) -> Wishes:
    """The wishes with what was told, read from its releases; in a dry run they may not be there yet."""
    found = Wishes(dict(wishes.stacks), dict(wishes.problems))
    for name, manifest in told.items():
        found.stacks.pop(name, None)
        found.problems.pop(name, None)
        try:
            keep = manifest.absent or check
            found.stacks[name] = manifest if keep else load(layout, name, manifest.release)
        except DroverError as failure:
            found.problems[name] = str(failure)
    return found


def rejections(host: Host, plans: Iterable[Plan], check: bool) -> dict[str, str]:
    """Why Compose does not accept a release, by stack; looked at before anything is touched."""
    fresh = [each.wish for each in plans if not each.wish.absent and each.has(*CREATING)]
    if check:
        fresh = [wish for wish in fresh if _is_here(host.layout, wish)]
    if not fresh:
        return {}
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        texts = pool.map(lambda wish: _rejection(host, wish, check), fresh)
    return {wish.stack: text for wish, text in zip(fresh, texts, strict=True) if text}


def _is_here(layout: Layout, wish: Manifest) -> bool:
    """Whether all that Compose reads is here already; a dry run of the tree has not written it."""
    secrets = layout.secrets(wish.stack)
    return (layout.release(wish.stack, wish.release) / "compose.yaml").is_file() and all(
        (secrets / f"{name}.env").is_file() for name, service in wish.services.items() if service.secret_env
    )


def _rejection(host: Host, wish: Manifest, check: bool) -> str:
    folder = host.layout.release(wish.stack, wish.release)
    done = host.run(compose.check(folder, wish.stack))
    if not done.code or (check and done.code == NOT_FOUND):
        return ""
    return f"Compose rejects {folder}/compose.yaml: {done.words}"


def want(layout: Layout, wish: Manifest) -> None:
    """Point `wanted` at the release; a stack that shall go has none, whatever happens to its removal."""
    path = layout.stack(wish.stack) / "wanted"
    if wish.absent:
        with suppress(IsADirectoryError):
            disk.remove(path)
    elif link(path) != wish.release:
        disk.point(path, f"releases/{wish.release}")


def unlisted(layout: Layout, told: Mapping[str, Manifest]) -> tuple[str, ...]:
    """Stacks that run here and that nobody told of. The proxy's own list says nothing about the others."""
    if not set(told) - {PROXY}:
        return ()
    return tuple(
        name
        for name in names(layout)
        if name not in told and name != PROXY and (layout.stack(name) / "current").is_symlink()
    )
