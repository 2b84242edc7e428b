# GPL-3.0-or-later
"""`drover rollback`: back to what ran well before, from what is on this host alone."""

from __future__ import annotations

import time
from collections.abc import Sequence

from drover import accept, images, wishes
from drover.apply import Answer, Options, apply
from drover.host import Host
from drover.layout import link
from drover.plan import RECORD, Step
from drover.record import record
from drover.release import Manifest
from drover.run import DroverError
from drover.state import Mark
from drover.table import stamp
from drover.wishes import Wishes, load

HISTORY = 1000  # lines in which the deploy of what is left is looked for


def rollback(host: Host, stack: str, to: str, options: Options) -> Answer:
    """Mark what is left as bad, and deploy what ran before with the same code as any other release.

    A release that was wanted and never served is left too: what runs then stays. Commands of the deploy are
    not run: they are for a step forward.
    """
    folder = host.layout.stack(stack)
    wanted, current = link(folder / "wanted"), link(folder / "current")
    if not current:
        raise DroverError(f"{stack}: nothing ran well on this host yet")
    marks = [each for each in host.state.marks() if each.stack == stack]
    begun = any(each.release == current for each in marks)  # a rollback that was killed on its way
    left = current if begun or wanted in ("", current) else wanted
    standing = wanted if begun and wanted != current else current if left != current else ""
    bad = _left(host, stack, left)
    wish = _target(host, stack, to or standing, bad, marks)
    kept = any(each.is_of(wish.release, wish.version) for each in marks)
    stands = wish.release == wanted == current and not kept
    if not stands:
        host.say(f"{stack}: from {_called(bad)} back to {_called(wish)}")
    if not stands and not options.check:
        # Where both are of one version, it is the configuration that was bad.
        version = bad.version if bad.version != wish.version else ""
        host.state.mark(Mark(stack, bad.release, version, time.time(), host.who))
        host.state.unmark(stack, wish.release, wish.version)
        accept.want(host.layout, wish)
    quick = wish._replace(deploy=wish.deploy._replace(soak=0, before=(), after=()))
    chosen = options._replace(action="rollback", only=frozenset([stack]))
    # The proxy has to know all stacks, if it is the one.
    everything = wishes.every(host.layout, wishes.wanted)
    saved = _saved(host, bad)
    answer = apply(host, Wishes({**everything.stacks, stack: quick}, {}), chosen)
    answer = answer._replace(warnings=(*answer.warnings, *saved))
    if stands or answer.changed or answer.errors:
        return answer
    return _left_only(host, answer, wish, bad, options)


def _saved(host: Host, bad: Manifest) -> list[str]:
    """Code goes back, data does not: the backup that was made before the version that is left came."""
    if not bad.deploy.backup:
        return []
    from drover.backups.before import last

    came = time.time()
    for row in host.state.history(bad.stack, HISTORY):
        if row.result == "ok" and row.release != bad.release:
            break
        came = row.at if row.result == "ok" else came
    return last(host, bad.stack, came)


def _left_only(host: Host, answer: Answer, wish: Manifest, bad: Manifest, options: Options) -> Answer:
    """What serves stays, and yet something changed: what is wanted, and what may come again."""
    left = f", leave {_called(bad)}" if bad.release != wish.release else ""
    done = answer.plans[wish.stack]._replace(steps=(Step(RECORD, f"stay with {_called(wish)}{left}"),))
    text = "" if options.check else record(host, done, None, "rollback", 0.0, options.asked.reason)
    return answer._replace(plans={**answer.plans, wish.stack: done}, errors=[text] if text else [])


def _target(host: Host, stack: str, to: str, bad: Manifest, marks: Sequence[Mark]) -> Manifest:
    """The release to go to: the one that was named, else the newest that ran before."""
    if to:
        return load(host.layout, stack, to)
    reasons = []
    for release in host.state.applied(stack):
        if release == bad.release:
            continue
        try:
            found = load(host.layout, stack, release)
        except DroverError:
            reasons.append(f"{release} is no longer on this host")
            continue
        mark = next((each for each in marks if each.is_of(release, found.version)), None)
        if mark:
            reasons.append(f"{_called(found)} was itself rolled back on {stamp(mark.at)}")
            continue
        wanted = sorted({each.image for each in found.services.values()})
        gone = [image for image in wanted if not images.find(host.run, image)]
        if gone:
            reasons.append(f"{_called(found)}: image {gone[0]} is no longer on this host")
            continue
        return found
    why = "; ".join(reasons) or "no other release ran here"
    raise DroverError(f"{stack}: there is nothing to go back to: {why}")


def _left(host: Host, stack: str, identity: str) -> Manifest:
    """What is left may be damaged: then that is one more reason to leave it."""
    try:
        return load(host.layout, stack, identity)
    except DroverError as error:
        host.say(str(error))
        return Manifest(stack, identity)


def _called(found: Manifest) -> str:
    return f"version {found.version}" if found.version else f"release {found.release}"
