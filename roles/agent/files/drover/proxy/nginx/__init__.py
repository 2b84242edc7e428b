# GPL-3.0-or-later
"""The Nginx that runs: it judges a change of its folder, and is told of it."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from functools import partial

from drover import disk, health
from drover.layout import PROXY, PROXY_PORT, Layout
from drover.proxy import source
from drover.proxy.nginx.blocks import LINGER, known_groups, own, routes
from drover.release import Probe
from drover.run import Runner

__all__ = ["LINGER", "SHARED", "SUFFIX", "follow", "own", "prepare", "refuses", "routes"]

SUFFIX = ".conf"
SHARED = False  # a server block is all of a host name
CHECK = ["nginx", "-t", "-q", "-c", "/etc/nginx/drover/candidate.conf"]
RUNNING = [
    *("docker", "ps", "--quiet", "--no-trunc", "--filter", "status=running"),
    *("--filter", f"label=com.docker.compose.project={PROXY}"),
    *("--filter", "label=com.docker.compose.service=nginx"),
]
ADDRESS = ["docker", "inspect", "--format", "{{with .NetworkSettings.Networks.public}}{{.IPAddress}}{{end}}"]
REPLY_SECONDS = 5.0
LOOKUP_SECONDS = 0.2


def refuses(layout: Layout, run: Runner, name: str, content: str) -> str:
    """Why the Nginx that runs would not take the folder with this file; empty if it would, or none runs."""
    running = _running(run)
    if not running:
        return ""
    taken = _taken(layout, name, content)
    if taken:
        return taken
    shutil.rmtree(layout.candidate, ignore_errors=True)
    layout.candidate.mkdir(mode=0o755, parents=True)
    for path in layout.routes.glob(f"*{SUFFIX}"):
        if path.name != name:
            with suppress(FileNotFoundError):
                os.link(path, layout.candidate / path.name)
    (layout.candidate / name).write_text(content, "utf-8")
    for each in running:
        done = run(["docker", "exec", each, *CHECK])
        if done.code and "[emerg]" in done.err + done.out:
            return str(done.words)
    return ""


def _taken(layout: Layout, name: str, content: str) -> str:
    """A host name that another stack has: Nginx would lead all of it to one of the two."""
    mine = _hosts(content)
    for path in layout.routes.glob(f"*{SUFFIX}"):
        with suppress(OSError, ValueError):
            both = mine & _hosts(path.read_text("utf-8")) if path.name != name else set()
            if both:
                return f"{min(both)} is a host name of {path.stem}, and with nginx it belongs to one stack"
    return ""


def _hosts(content: str) -> set[str]:
    return {host for host, _ in source.places(source.read(content))}


def prepare(layout: Layout, run: Runner, name: str, content: str) -> None:
    """Let it know new containers before requests go there, since it looks names up when it serves already."""
    try:
        old, new = source.read((layout.routes / name).read_text("utf-8")), source.read(content)
    except (OSError, ValueError):
        return
    known, wanted = known_groups(old), known_groups(new)
    if all(set(names) <= set(known.get(group, ())) for group, names in wanted.items()):
        return
    both = {
        group: tuple(dict.fromkeys((*known.get(group, ()), *wanted.get(group, ()))))
        for group in sorted({*known, *wanted})
    }
    text, mark = source.written(old, partial(routes, old, groups=both))
    disk.replace(layout.routes / name, text)
    follow(run)
    _await(run, mark)


def _await(run: Runner, host: str) -> None:
    """Until each goes by the text with this mark, and has had the time for its names."""
    until = time.monotonic() + REPLY_SECONDS
    for each in _running(run):
        address = run([*ADDRESS, each]).out.strip()
        asked = health.Question(each, address, Probe(PROXY_PORT, "/"), host)
        while address and time.monotonic() < until and not health.goes_by(asked):
            time.sleep(0.02)
    time.sleep(LOOKUP_SECONDS)


def follow(run: Runner) -> None:
    """Have every Nginx that runs go by the folder.

    Its old workers finish what they have begun, close what was idle for longer than LINGER at once, and take
    one more request of any other, by the old folder.
    """
    for each in _running(run):
        run(["docker", "kill", "--signal=HUP", each])


def _running(run: Runner) -> list[str]:
    return list(run(RUNNING).out.split())
