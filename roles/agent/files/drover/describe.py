# GPL-3.0-or-later
"""What a person (or `--diff`) sees: the stacks that change, as they are and as they shall be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drover.docker import Container, of_stack
from drover.plan import Plan
from drover.release import Manifest


def describe(plans: Mapping[str, Plan], containers: Sequence[Container]) -> tuple[str, str]:
    """The stacks that change, as they are and as they shall be."""
    changing = [each for each in plans.values() if each.steps]
    before = "".join(_is(of_stack(containers, each.wish.stack), each.wish) for each in changing)
    after = "".join(_shall(each.wish, each) for each in changing)
    return before, after


def _is(own: Sequence[Container], wish: Manifest) -> str:
    lines = [
        f"  {each.name}: {each.image} {each.status}{f' ({each.health})' if each.health else ''}\n"
        for each in own
    ]
    return "".join([f"{wish.stack}:\n", *lines]) if lines else ""


def _shall(wish: Manifest, todo: Plan) -> str:
    steps = "".join(f"  # {step.text}\n" for step in todo.steps)
    if wish.absent:
        return steps and f"{wish.stack}: absent\n{steps}"
    lines = [
        f"  {each}: {service.image} {'exited' if service.oneshot else 'running'}\n"
        for name, service in sorted(wish.services.items())
        for each in todo.lineup[name].names(wish.stack)
    ]
    return "".join([f"{wish.stack}:\n", *lines, steps])
