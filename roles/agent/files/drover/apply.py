# GPL-3.0-or-later
"""`drover apply`: observe, plan, carry out, record. `drover boot` is the same for what ran well last."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from drover import accept, detour, facts, health, lifecycle, moves, outside, record, remove, routes
from drover.describe import describe
from drover.docker import Container, observe, of_stack, proxies
from drover.errors import TROUBLE, StackError
from drover.guard import Asked, refusals
from drover.host import Host
from drover.layout import PROXY
from drover.plan import RECORD, Plan, Step, plan
from drover.release import Manifest
from drover.run import DroverError
from drover.silence import observed, put_off
from drover.wishes import Wishes

GUARDED = frozenset({"apply", "deploy"})  # a boot and a way back are always allowed


class Options(NamedTuple):
    """What was asked for."""

    action: str = "apply"
    check: bool = False
    only: frozenset[str] | None = None  # stacks to apply; None for every one of this host
    complete: bool = False  # what was told is every stack of this host but the proxy
    touched: frozenset[str] = frozenset()  # secret files that would be written, in a dry run
    asked: Asked = Asked()


class Answer(NamedTuple):
    """What was done, or would be. Errors are free of secrets."""

    plans: Mapping[str, Plan]
    errors: Sequence[str]
    before: str
    after: str
    failed: frozenset[str] = frozenset()  # stacks whose steps were not all carried out
    unlisted: tuple[str, ...] = ()  # stacks that run here and were not told of
    warnings: tuple[str, ...] = ()  # what is not well and no stack's fault

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
            "unlisted": list(self.unlisted),
            "warnings": list(self.warnings),
            "diff": {"before": self.before, "after": self.after},
        }

    def text(self, check: bool) -> str:
        """For a person."""
        notes = [f"warning: {text}" for text in self.warnings]
        if not self.changed and not self.errors:
            return "\n".join([f"nothing to do: {len(self.plans)} stacks are as they should be", *notes])
        lines = []
        for name, each in self.plans.items():
            verb = "would" if check else "not finished" if name in self.failed else "done"
            lines += [f"{verb}: {name}: {step.text}" for step in each.steps]
        return "\n".join([*lines, *notes, *(f"error: {error}" for error in self.errors)])


def apply(
    host: Host, wishes: Wishes, options: Options, told: Mapping[str, Manifest] = MappingProxyType({})
) -> Answer:
    """Make it so; in a dry run only say what would be done. `told` are manifests that become wanted."""
    if not options.check:
        outside.enforce(host)
    wishes = accept.merged(host.layout, wishes, told, options.check)
    unlisted = accept.unlisted(host.layout, told) if options.complete else ()
    taken = accept.taken(host.layout, told) if options.complete else {}
    if taken:
        return _refused(host, told, taken, options)._replace(unlisted=unlisted)
    chosen, problems = (_asked(each, options) for each in wishes)
    unknown = (options.only or frozenset()) - set(wishes.stacks) - set(wishes.problems)
    try:
        containers = observed(host, options.check)
        plans, odd = plan_all(host, chosen.values(), containers, options.touched)
    except DroverError as failure:
        pending, text = {**told, **chosen}, record.redactor(host.layout)(str(failure))
        if not options.check:
            put_off(host, pending, told, text, options.action, options.asked)
        return Answer({}, [text], "", "", frozenset(pending), unlisted)
    problems |= odd
    failed: dict[str, str] = {}
    moved, refused = moves.moves(host.layout, plans), dict[str, str]()
    if options.action in GUARDED:
        refused = refusals(host, plans, options.asked, time.time()) | moves.refusals(host.layout, moved)
    if options.check:
        refused = {name: f"would be refused: {text}" for name, text in refused.items()}
    else:
        plans = {name: each for name, each in plans.items() if name not in refused}
    if not options.check:
        for name, text in refused.items():
            record.guarded(host, chosen[name], text, options.action, options.asked.reason)
        for name, text in problems.items():
            record.refuse(host, chosen.get(name) or told.get(name) or Manifest(name), text, options.action)
        failed = _carry_out(host, plans, moved, wishes, containers, options, told)
    errors = [
        *(f"{name}: {text}" for name, text in (problems | refused).items()),
        *(f"{name}: there is no such stack on this host" for name in sorted(unknown)),
        *failed.values(),
        *([] if options.check else _held(host, {*problems, *refused, *failed})),
    ]
    if errors:
        errors = list(map(record.redactor(host.layout), errors))
    before, after = describe(plans, containers)
    return Answer(plans, errors, before, after, frozenset(failed), unlisted)


def _asked(found: Mapping[str, Any], options: Options) -> dict[str, Any]:
    return {name: each for name, each in found.items() if options.only is None or name in options.only}


def _refused(
    host: Host, told: Mapping[str, Manifest], problems: Mapping[str, str], options: Options
) -> Answer:
    """No stack is touched, also none without a problem: what was told cannot be what was meant."""
    if not options.check:
        for name, text in problems.items():
            record.refuse(host, told[name], text, options.action)
    errors = [f"{name}: {text}" for name, text in problems.items()]
    return Answer({}, errors, "", "", frozenset(problems))


def plan_all(
    host: Host, wishes: Iterable[Manifest], containers: Sequence[Container], touched: Collection[str] = ()
) -> tuple[dict[str, Plan], dict[str, str]]:
    """A plan for each stack; and why there is none, for those whose files cannot be read."""
    wishes = list(wishes)
    seen, uids = host.state.seen(), host.state.image_uids()
    volumes = remove.with_volumes(host) if any(wish.delete for wish in wishes) else frozenset()
    leading = of_stack(proxies(containers), PROXY)
    silent = health.ask_all(
        [question for wish in wishes for question in health.questions(wish, of_stack(containers, wish.stack))]
    )
    plans, problems = {}, {}
    for wish in wishes:
        own = of_stack(containers, wish.stack)
        gone = wish.delete and wish.stack in volumes
        try:
            known = facts.gather(host.layout, wish, seen.get(wish.stack, {}), gone, routes.SUFFIX)
        except (DroverError, OSError) as error:
            problems[wish.stack] = str(error)
            continue
        known = facts.touch(known, host.layout.secrets(wish.stack), touched, time.time())
        if wish.stack == PROXY:
            known = known._replace(standby=detour.left(host.run, containers))
        plans[wish.stack] = plan(wish, own, known, leading, uids, silent, routes.planned)
    return plans, problems


def _todo(plans: Iterable[Plan]) -> list[Plan]:
    return [each for each in plans if each.steps or each.waits]


def _held(host: Host, without: Collection[str]) -> list[str]:
    """On a host that is frozen, databases of stacks that are read take no writes."""
    if not lifecycle.of(host.layout).reads:
        return []
    from drover.backups.hold import hold  # only here: no other host need load it

    return hold(host, without)


# Carrying out


def _carry_out(
    host: Host,
    plans: Mapping[str, Plan],
    moved: moves.Moves,
    wishes: Wishes,
    containers: Sequence[Container],
    options: Options,
    told: Mapping[str, Manifest],
) -> dict[str, str]:
    """The stacks that go first, since they free names and ports; then the proxy, then all others.

    Returns failures by stack.
    """
    failed: dict[str, str] = {}
    finished: set[str] = set()
    began = time.time()

    def done(each: Plan, trouble: StackError | None) -> None:
        finished.add(each.wish.stack)
        text = record.record(host, each, trouble, options.action, time.time() - began, options.asked.reason)
        if text:
            failed[each.wish.stack] = text

    _want(
        host,
        [plans[name] for name in told if name in plans],
        done,
        options.action in GUARDED and options.asked.force,
    )
    todo = [each for each in _todo(plans.values()) if each.wish.stack not in failed]
    if not todo:
        return failed
    from drover import carry  # only here: an apply without anything to do need not load it

    for each in todo:
        if each.wish.absent:
            done(each, _removed(host, each.wish, containers))
    present = [each for each in todo if not each.wish.absent]
    for group in (
        [each for each in present if each.wish.stack == PROXY],
        *moves.rounds([each for each in present if each.wish.stack != PROXY], moved),
    ):
        for each in group:
            for other, what in moved.get(each.wish.stack, {}).items():
                if other in failed or other not in plans:
                    done(each, StackError(f"{what} goes to {other}, which did not get there: it stays here"))
                    break
        group = [each for each in group if each.wish.stack not in finished]
        if group:
            try:
                carry.bring(host, group, done, options.action in GUARDED, options.asked.force)
            except TROUBLE as error:
                # Docker died: what has not finished has failed; what has, has not, whatever came after.
                for each in group:
                    if each.wish.stack not in finished:
                        done(each, StackError(str(error)))
            _connect(host, wishes, done, failed)
    return failed


def _want(
    host: Host, plans: Sequence[Plan], done: Callable[[Plan, StackError | None], None], forced: bool
) -> None:
    """All the links before the first step. A release that needs no step ends what an earlier one left."""
    last = host.state.last() if plans else {}
    for each in plans:
        try:
            accept.want(host.layout, each.wish)
        except (DroverError, OSError) as error:
            done(each, StackError(str(error)))
            continue
        if forced and not (each.wish.absent or each.steps or each.waits):
            host.state.unmark(each.wish.stack, each.wish.release, each.wish.version)
        row = last.get(each.wish.stack)
        if row and row.result != "ok" and not (each.wish.absent or each.steps or each.waits):
            done(each._replace(steps=(Step(RECORD, f"release {each.wish.release} stands"),)), None)


def _connect(
    host: Host,
    wishes: Wishes,
    done: Callable[[Plan, StackError | None], None],
    failed: Mapping[str, str],
) -> None:
    """A proxy that was made anew has to be connected to all stacks again."""
    from drover import finish

    proxy = wishes.stacks.get(PROXY)
    if not proxy:
        return
    try:
        containers = observe(host.run)
    except DroverError as error:
        if not failed:  # else those that failed have told of it
            done(Plan(proxy), StackError(str(error)))
        return
    for wish in wishes.stacks.values():
        try:
            finish.connect(host, [wish], containers)
        except DroverError as error:
            if wish.stack not in failed:
                done(Plan(wish), StackError(str(error)))


def _removed(host: Host, wish: Manifest, containers: Sequence[Container]) -> StackError | None:
    try:
        remove.remove(host, wish, containers)
    except TROUBLE as error:
        return StackError(str(error))
    return None
