# GPL-3.0-or-later
"""Commands of a deploy, such as a migration: each once, in a container of its own with the new image."""

from __future__ import annotations

import re
import shlex

from drover import compose, docker
from drover.docker import last_words
from drover.errors import StackError
from drover.host import Host
from drover.release import Command, Manifest

LIMIT = 3600.0  # seconds for one command


def run(host: Host, wish: Manifest, moment: str, number: int, command: Command) -> None:
    """Run it to its end. One that still runs, since this agent's forerunner was killed, is waited for."""
    name = f"{wish.stack}-{command.service}-{moment}-{number}-{wish.release}"
    text = shlex.join(command.words)
    host.say(f"{wish.stack}: {moment} {command.service}: {text}")
    code = _left(host, name)
    if code is None:
        release = host.layout.release(wish.stack, wish.release)
        docker.do(host.run, ["docker", "rm", "--force", name], allowed="No such container")
        done = host.run(
            compose.run(release, wish, name, command.service, command.words), timeout=LIMIT, merged=True
        )
        code, said = done.code, "\n".join(done.out.rstrip().splitlines()[-docker.LOG_LINES :]) or done.err
    else:
        said = last_words(host.run, name)
    docker.do(host.run, ["docker", "rm", "--force", name], allowed="No such container")
    if code:
        raise StackError(
            f"the command {moment} the deploy ended with {code}: {text}", command.service, said=said
        )


def tidy(host: Host, wish: Manifest) -> None:
    """Remove what commands of other releases left: containers of killed runs, by Compose's own label."""
    filters = [f"--filter=label={docker.LABEL}{each}" for each in (f"project={wish.stack}", "oneoff=True")]
    listed = host.run(["docker", "ps", "--all", *filters, "--format", "{{.Names}}", "--filter=status=exited"])
    named = re.compile(rf"{re.escape(wish.stack)}-.*-(before|after)-\d+-(?!{wish.release})[0-9a-f]{{16}}")
    old = [name for name in listed.out.split() if named.fullmatch(name)]
    if old:
        docker.do(host.run, ["docker", "rm", "--force", *old], allowed="No such container")


def _left(host: Host, name: str) -> int | None:
    """With what the container of an earlier run ended, or will have ended; None if there is none to use."""
    shown = host.run(["docker", "inspect", "--type", "container", "--format", "{{.State.Status}}", name])
    if shown.code or shown.out.strip() not in ("running", "exited"):
        return None
    done = host.run(["docker", "wait", name], timeout=LIMIT)
    code = done.out.strip()
    return 0 if code == "0" else int(code) if shown.out.strip() == "running" and code.isdigit() else None
