# GPL-3.0-or-later
"""Commands of a deploy, such as a migration: each once, in a container of its own with the new image."""

from __future__ import annotations

import re
import shlex
import time

from drover import compose, docker
from drover.docker import last_words
from drover.errors import StackError
from drover.host import Host
from drover.release import Command, Manifest
from drover.run import DroverError, Result

LIMIT = 3600.0  # seconds for one command
SILENT = 60.0  # seconds for Docker to answer again: with live-restore, containers outlive its restart
PAUSE = 1.0
RUNS = ("running", "paused")
STATE = ["docker", "inspect", "--type", "container", "--format", "{{.State.Status}} {{.State.ExitCode}}"]


def run(host: Host, wish: Manifest, moment: str, number: int, command: Command) -> None:
    """Run it to its end. One that still runs, since this agent's forerunner was killed, is waited for.

    Its container goes once it has ended, and never before.
    """
    name = f"{wish.stack}-{command.service}-{moment}-{number}-{wish.release}"
    text = shlex.join(command.words)
    host.say(f"{wish.stack}: {moment} {command.service}: {text}")
    left, started = _state(host, name), Result(0, "", "")
    if left[0] not in RUNS and left != ("exited", 0):
        release = host.layout.release(wish.stack, wish.release)
        docker.do(host.run, ["docker", "rm", "--force", name], allowed="No such container")
        words = compose.run(release, wish, name, command.service, command.words)
        started = host.run(words, timeout=compose.LIMIT)
    status, code = _ended(host, name)
    if status in RUNS:
        raise StackError(
            f"the command {moment} the deploy still runs after {LIMIT / 60:.0f} minutes: {text}: "
            "it runs on, and the next run waits for it",
            command.service,
        )
    code = code if status == "exited" else started.code or 1
    said = last_words(host.run, name) or started.err
    docker.do(host.run, ["docker", "rm", "--force", name], allowed="No such container")
    if code:
        raise StackError(
            f"the command {moment} the deploy ended with {code}: {text}", command.service, said=said
        )


def _ended(host: Host, name: str) -> tuple[str, int]:
    """How it ended, or that it still runs; an end of `docker wait` is none of the command."""
    until = time.monotonic() + LIMIT
    while True:
        found = _state(host, name)
        left = until - time.monotonic()
        if found[0] not in RUNS or left <= 0:
            return found
        if host.run(["docker", "wait", name], timeout=left).code:
            time.sleep(PAUSE)


def _state(host: Host, name: str) -> tuple[str, int]:
    """The status of its container and the code that it ended with; without a status if there is none."""
    until = time.monotonic() + SILENT
    while True:
        shown = host.run([*STATE, name])
        status, _, code = shown.out.strip().partition(" ")
        if not shown.code and code.isdigit():
            return status, int(code)
        if re.search("no such (container|object)", shown.err, re.IGNORECASE):
            return "", 0
        if time.monotonic() > until:
            raise DroverError(f"Docker does not answer: {shown.words}")
        time.sleep(PAUSE)


def tidy(host: Host, wish: Manifest) -> None:
    """Remove what commands of other releases left: containers of killed runs, by Compose's own label."""
    filters = [f"--filter=label={docker.LABEL}{each}" for each in (f"project={wish.stack}", "oneoff=True")]
    listed = host.run(["docker", "ps", "--all", *filters, "--format", "{{.Names}}", "--filter=status=exited"])
    named = re.compile(rf"{re.escape(wish.stack)}-.*-(before|after)-\d+-(?!{wish.release})[0-9a-f]{{16}}")
    old = [name for name in listed.out.split() if named.fullmatch(name)]
    if old:
        docker.do(host.run, ["docker", "rm", "--force", *old], allowed="No such container")
