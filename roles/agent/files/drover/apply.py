# GPL-3.0-or-later
"""`drover apply`: observe, plan, carry out, record. `drover boot` is the same for what ran well last."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from drover import compose, facts, health, remove, routes
from drover.docker import Container, observe, of_stack
from drover.host import Host, who
from drover.layout import PROXY
from drover.plan import CREATING, Plan, plan
from drover.release import Manifest, Wishes
from drover.run import DroverError, NotInstalledError
from drover.state import Row

if TYPE_CHECKING:
    from drover.carry import StackError


class Options(NamedTuple):
    """What was asked for."""

    action: str = "apply"
    check: bool = False
    only: frozenset[str] = frozenset()
    touched: frozenset[str] = frozenset()  # secret files that would be written, in a dry run


class Answer(NamedTuple):
    """What was done, or would be. Errors are free of secrets."""

    plans: Mapping[str, Plan]
    errors: Sequence[str]
    before: str
    after: str
    failed: frozenset[str] = frozenset()  # stacks whose steps were not all carried out

    @property
    def changed(self) -> bool:
        """Whether anything was (or would be) done."""
        return any(each.steps for each in self.plans.values())

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        stacks = {
            name: {"changed": bool(each.steps), "steps": [step.text for step in each.steps]}
            for name, each in self.plans.items()
        }
        return {
            "changed": self.changed,
            "stacks": stacks,
            "errors": list(self.errors),
            "diff": {"before": self.before, "after": self.after},
        }


def apply(host: Host, wishes: Wishes, options: Options) -> Answer:
    """Make it so; in a dry run only say what would be done."""
    chosen = {name: wish for name, wish in wishes.stacks.items() if not options.only or name in options.only}
    errors = [
        f"{name}: {text}"
        for name, text in wishes.problems.items()
        if not options.only or name in options.only
    ]
    unknown = options.only - set(wishes.stacks) - set(wishes.problems)
    errors += [f"{name}: there is no such stack on this host" for name in sorted(unknown)]
    containers = _observed(host, options)
    plans = plan_all(host, chosen.values(), containers, options.touched)
    rejected: list[str] = []
    failed: dict[str, str] = {}
    if not options.check and _todo(plans.values()):
        rejected, failed = _carry_out(host, plans, wishes, containers, options)
    errors += [*rejected, *failed.values()]
    if rejected:
        plans = {name: each._replace(steps=()) for name, each in plans.items()}
    if errors:
        hide = _redactor(host)
        errors = [hide(error) for error in errors]
    before, after = describe(plans, containers)
    return Answer(plans, errors, before, after, frozenset(failed))


def _observed(host: Host, options: Options) -> tuple[Container, ...]:
    """A dry run on a host that has no Docker yet finds nothing running."""
    try:
        return observe(host.run)
    except NotInstalledError:
        if options.check:
            return ()
        raise


def plan_all(
    host: Host, wishes: Iterable[Manifest], containers: Sequence[Container], touched: Collection[str] = ()
) -> dict[str, Plan]:
    """A plan for each stack."""
    wishes = list(wishes)
    seen, uids = host.state.seen(), host.state.image_uids()
    volumes = remove.with_volumes(host) if any(wish.delete for wish in wishes) else frozenset()
    proxies = [each for each in of_stack(containers, PROXY) if each.running]
    silent = health.ask_all(
        [question for wish in wishes for question in health.questions(wish, of_stack(containers, wish.stack))]
    )
    plans = {}
    for wish in wishes:
        own = of_stack(containers, wish.stack)
        gone = wish.delete and wish.stack in volumes
        known = facts.gather(host.layout, wish, seen.get(wish.stack, {}), gone, routes.SUFFIX)
        known = facts.touch(known, host.layout.secrets(wish.stack), touched, time.time())
        plans[wish.stack] = plan(wish, own, known, proxies, routes.text(wish, own), uids, silent)
    return plans


def _todo(plans: Iterable[Plan]) -> list[Plan]:
    return [each for each in plans if each.steps or each.waits]


# Carrying out


def _carry_out(
    host: Host, plans: Mapping[str, Plan], wishes: Wishes, containers: Sequence[Container], options: Options
) -> tuple[list[str], dict[str, str]]:
    """The stacks that go first, since they free names and ports; then the proxy, then all others.

    Returns rejections, after which nothing was touched, or failures by stack.
    """
    from drover import carry  # only here: an apply without anything to do need not load it

    todo = _todo(plans.values())
    rejected = rejections(host, todo)
    if rejected:
        _tell(host, "apply:releases", "a release was rejected, nothing was changed", "\n".join(rejected))
        return rejected, {}
    failed: dict[str, str] = {}
    began = time.time()

    def done(each: Plan, trouble: StackError | None) -> None:
        text = _record(host, each, trouble, options.action, time.time() - began)
        if text:
            failed[each.wish.stack] = text

    for each in todo:
        if each.wish.absent:
            done(each, _removed(host, each.wish, containers))
    present = [each for each in todo if not each.wish.absent]
    for group in (
        [each for each in present if each.wish.stack == PROXY],
        [each for each in present if each.wish.stack != PROXY],
    ):
        if group:
            carry.bring(host, group, done)
            carry.connect(host, wishes.stacks.values(), observe(host.run))
    return [], failed


def rejections(host: Host, plans: Sequence[Plan]) -> list[str]:
    """Every release that Compose does not accept, with its words; checked before anything is touched."""
    from concurrent.futures import ThreadPoolExecutor

    fresh = [each.wish for each in plans if not each.wish.absent and each.has(*CREATING)]
    with ThreadPoolExecutor(4) as pool:
        return [text for text in pool.map(lambda wish: _rejection(host, wish), fresh) if text]


def _rejection(host: Host, wish: Manifest) -> str:
    folder = host.layout.release(wish.stack, wish.release)
    done = host.run(compose.check(folder, wish.stack))
    return f"{wish.stack}: Compose rejects {folder}/compose.yaml: {done.words}" if done.code else ""


def _removed(host: Host, wish: Manifest, containers: Sequence[Container]) -> StackError | None:
    from drover.carry import StackError

    try:
        remove.remove(host, wish, containers)
    except (DroverError, OSError) as error:
        return StackError(str(error))
    return None


def _record(host: Host, done: Plan, trouble: StackError | None, action: str, seconds: float) -> str:
    """Write history, and report a failure as one event; returns the failure's text."""
    text = _text(host, done.wish, trouble) if trouble else ""
    wish = done.wish
    detail = text or "; ".join(step.text for step in done.steps)
    if done.steps or text:
        host.state.record(
            Row(
                time.time(),
                who(),
                "remove" if wish.absent else action,
                wish.stack,
                wish.release,
                wish.version,
                "failed" if text else "ok",
                round(seconds, 1),
                detail,
            )
        )
    if text:
        _tell(host, f"apply:{wish.stack}:{wish.release}", f"{wish.stack} could not be applied", text)
    return text


def _text(host: Host, wish: Manifest, trouble: StackError) -> str:
    from drover.carry import last_words

    place = f"{wish.stack}/{trouble.service}" if trouble.service else wish.stack
    said = last_words(host, trouble.container)
    quoted = "".join(f"\n  | {line}" for line in said.splitlines())
    return _redactor(host)(f"{place}: {trouble}{quoted}")


def _redactor(host: Host) -> Callable[[str], str]:
    from drover.secrets import redactor

    try:
        return redactor(path / "secrets" for path in host.layout.stacks.iterdir())
    except OSError:
        return redactor(())


def _tell(host: Host, key: str, title: str, body: str) -> None:
    from drover.report import Event, report

    report(host, Event(key, "failure", title, _redactor(host)(body)))


# What a person (or `--diff`) sees


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
        f"  {wish.stack}-{name}-{number}: {service.image} {'exited' if service.oneshot else 'running'}\n"
        for name, service in sorted(wish.services.items())
        for number in range(1, service.replicas + 1)
    ]
    return "".join([f"{wish.stack}:\n", *lines, steps])
