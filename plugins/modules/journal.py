#!/usr/bin/python
# GPL-3.0-or-later
"""Journal and lock of a host's rebuild."""

from __future__ import annotations

DOCUMENTATION = r"""
module: journal
short_description: Keep the journal and the lock of a host's rebuild in the Parameter Store
description:
  - The SSM parameter C(FOUNDATION/rebuild/NAME) says whose rebuild of a host is under way and which of its
    steps are finished, so that a run that died is continued, from this laptop or another, and two never run
    at once.
  - It stays when the rebuild has ended, as a record and for the next one. Do not delete it.
  - Runs on the controller. Your credentials may do C(ssm:GetParameter) and C(ssm:PutParameter).
options:
  action:
    description:
      - "C(begin): begin a journal, or go on with an unfinished one. Somebody else's is refused unless
        O(take_over) says so; your own is gone on with once its playbook has ended, on the machine where it
        ran."
      - "C(step): O(step) begins, has finished or has failed. One that is RV(done) already is to be left out."
      - "C(note): set O(old), O(new), O(lost) and O(facts)."
      - "C(end): it is no lock any more."
      - "C(read): change nothing."
      - C(step), C(note) and C(end) fail once somebody else has taken over. In check mode nothing is written
        and O(token) is not looked at.
    type: str
    required: true
    choices: [begin, step, note, end, read]
  foundation:
    description: The path of the client's parameters, as C(drover_aws.foundation).
    type: str
    required: true
  name:
    description: The host's name, as in C(drover_aws.hosts).
    type: str
    required: true
  token:
    description: What C(begin) returned. Whoever has it has the journal; it is no secret.
    type: str
  take_over:
    description: Whether C(begin) goes on with somebody else's journal. Their run stops before its next step.
    type: bool
    default: false
  verb:
    description: What begins.
    type: str
    choices: [rebuild, failback, retire]
    default: rebuild
  old:
    description: Id of the instance that is replaced. Empty where there is none.
    type: str
  new:
    description: Id of the instance that replaces it.
    type: str
  generation:
    description: The new instance's, for C(begin). An unfinished journal of another one is refused.
    type: int
    default: 0
  lost:
    description: Whether the old instance, or its disk, is gone.
    type: bool
  facts:
    description:
      - What later steps and the report have to know, such as the snapshot. Texts, numbers and booleans by
        name, 1,200 bytes together.
      - They are added to those that the journal has. One without a value goes.
    type: dict
    default: {}
  step:
    description: Name of a step, at most 32 of C(a-z), C(0-9) and C(-).
    type: str
  phase:
    description: What became of the step.
    type: str
    choices: [began, finished, failed]
    default: began
  note:
    description: What there is to say of the step, a line of at most 160 characters.
    type: str
    default: ""
  outcome:
    description: How it ended.
    type: str
    choices: [done, failed, abandoned]
    default: done
  pid:
    description: The playbook's process. Drover fills it in.
    type: int
extends_documentation_fragment: [drover.platform.aws]
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
author: The Drover developers
"""

EXAMPLES = r"""
- name: Begin to rebuild, or go on
  drover.platform.journal:
    action: begin
    foundation: /acme/production
    name: web
    generation: 2
    old: i-0123456789abcdef0
    take_over: "{{ take_over | default(false) | bool }}"
  register: rebuild

- name: Begin to restore
  drover.platform.journal:
    action: step
    step: restore
    foundation: /acme/production
    name: web
    token: "{{ rebuild.token }}"
  register: restore

- name: Restore
  ansible.builtin.command: drover restore --all
  when: not restore.done

- name: Say that everything is restored
  drover.platform.journal:
    action: step
    step: restore
    phase: finished
    note: snapshot 6c7e1f09
    foundation: /acme/production
    name: web
    token: "{{ rebuild.token }}"
"""

RETURN = r"""
token:
  description: For the steps that follow. Empty in check mode.
  returned: action is begin
  type: str
continued:
  description: Whether an unfinished journal is gone on with.
  returned: action is begin
  type: bool
done:
  description: Whether the step has finished, now or before.
  returned: action is step
  type: bool
there:
  description: Whether there is a journal, unfinished or ended.
  returned: success
  type: bool
open:
  description: Whether a rebuild is under way, so that the journal is a lock.
  returned: success
  type: bool
age:
  description: For how many seconds nobody has written it, by AWS's clock.
  returned: success
  type: int
stale:
  description: Whether it is open and that is more than 15 minutes.
  returned: success
  type: bool
now:
  description: The time by AWS's clock, in UTC.
  returned: success
  type: str
said:
  description: In words, whose it is and how far it is.
  returned: success
  type: str
journal:
  description: All that it says; empty where there is none.
  returned: success
  type: dict
  contains:
    id: {description: A random name of it., type: str}
    verb: {description: "C(rebuild), C(failback) or C(retire).", type: str}
    host: {description: The host's name., type: str}
    old: {description: Id of the instance that is replaced., type: str}
    new: {description: Id of the instance that replaces it., type: str}
    generation: {description: The new instance's., type: int}
    lost: {description: Whether the old instance or its disk is gone., type: bool}
    owner:
      description: C(who) it is (C(user@hostname)), with which C(pid), C(machine) and C(token).
      type: dict
    at: {description: When it began; in UTC by AWS's clock., type: str}
    seen: {description: When it was last written., type: str}
    ended: {description: When it ended; empty while it is open., type: str}
    outcome: {description: C(done) C(failed) or C(abandoned); empty while it is open., type: str}
    continued: {description: How often it was gone on with., type: int}
    facts: {description: What was noted., type: dict}
    steps:
      description: For each step C([name, began, seconds, note]), in the order in which they began. C(began)
        is in whole seconds after the journal's beginning; C(seconds) is how long it took, null if it has not
        finished.
      type: list
      elements: list
"""

import contextlib
import functools
import getpass
import hashlib
import os
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import aws, journal, parameter

TEXT = {"type": "str"}
NEEDED = {"type": "str", "required": True}


class Here(NamedTuple):
    """What the journal has to know of where it is written."""

    who: str
    machine: str
    pid: int
    gone: Callable[[int], bool]
    clock: Callable[[], float]  # seconds, monotonic
    pause: Callable[[float], None]


def main() -> None:
    module = AnsibleModule(
        {
            "action": {**NEEDED, "choices": ["begin", "step", "note", "end", "read"]},
            **dict.fromkeys(("foundation", "name"), NEEDED),
            **dict.fromkeys(("old", "new", "step"), TEXT),
            "token": {"type": "str", "no_log": False},
            "take_over": {"type": "bool", "default": False},
            "verb": {"type": "str", "choices": list(journal.VERBS), "default": "rebuild"},
            "generation": {"type": "int", "default": 0},
            "lost": {"type": "bool"},
            "facts": {"type": "dict", "default": {}},
            "phase": {"type": "str", "choices": ["began", "finished", "failed"], "default": "began"},
            "note": {"type": "str", "default": ""},
            "outcome": {"type": "str", "choices": list(journal.OUTCOMES), "default": "done"},
            "pid": {"type": "int"},
            **aws.arguments(),
        },
        required_if=[
            ("action", "begin", ["pid"]),
            ("action", "step", ["token", "step"]),
            ("action", "note", ["token"]),
            ("action", "end", ["token"]),
        ],
        supports_check_mode=True,
    )
    try:
        result = kept(
            client(module.params), module.params, here(module.params["pid"]), check=module.check_mode
        )
    except aws.ERRORS as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


def client(params: dict[str, Any]) -> Any:
    """SSM, which is given less time to answer than is usual."""
    return aws.client("ssm", params, connect_timeout=10, read_timeout=20)


# This machine


def here(pid: int | None) -> Here:
    """Where and for which playbook this runs."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's uid may have no name
        user = str(os.getuid())
    host = socket.gethostname()
    clock = functools.partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
    return Here(f"{user}@{host}", machine(host), pid or 0, gone, clock, time.sleep)


def machine(host: str) -> str:
    """Tells machines of one name apart, and containers, whose processes do not see each other."""
    try:
        known = Path("/etc/machine-id").read_text()
    except OSError:
        known = str(uuid.getnode())
    with contextlib.suppress(OSError):  # no Linux
        known += str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{host} {known}".encode()).hexdigest()[:12]


def gone(pid: int) -> bool:
    """Whether a process of this machine has ended; its number may be another's by now, which says no."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


# What is asked for


def kept(ssm: Any, params: dict[str, Any], here: Here, *, check: bool) -> dict[str, Any]:
    """Do it; what there is afterwards, or in check mode would be."""
    name = journal.name(params["foundation"], params["name"])
    if params["action"] == "read" or (check and params["action"] != "begin"):
        return _looked(parameter.read(ssm, name, here.pause), params)
    token = uuid.uuid4().hex[:16] if params["action"] == "begin" else params["token"]

    def decide(found: parameter.Found) -> parameter.Value | None:
        there = journal.load(found.value)
        if params["action"] == "begin":
            changed = _begun(there, found, params, here, token)
        else:
            changed = _changed(journal.held(there, params["name"], token), params, found, here)
        return journal.dump(changed) if changed else None

    found, changed = parameter.change(ssm, name, decide, here.pause, check=check)
    result = {"changed": changed, **_told(found, params["name"])}
    if params["action"] == "begin":
        told = {"token": "" if check else token, "continued": result["journal"]["continued"] > 0}
        return {**result, **told, "changed": True}
    if params["action"] == "step":
        result["done"] = params["phase"] == "finished" or (params["phase"] == "began" and not changed)
    return result


def _begun(
    there: journal.Journal | None,
    found: parameter.Found,
    params: dict[str, Any],
    here: Here,
    token: str,
) -> journal.Journal | None:
    now = journal.stamp(found.now)
    wished = journal.Journal(
        id=uuid.uuid4().hex[:8],
        verb=params["verb"],
        host=params["name"],
        owner=journal.Owner(here.who, here.machine, here.pid, token),
        at=now,
        seen=now,
        old=params["old"] or "",
        new=params["new"] or "",
        generation=params["generation"],
        lost=bool(params["lost"]),
    )
    return journal.begin(
        there, wished, now=found.now, written=found.written, gone=here.gone, take_over=params["take_over"]
    )


def _changed(
    there: journal.Journal, params: dict[str, Any], found: parameter.Found, here: Here
) -> journal.Journal | None:
    step, note, now = params["step"], params["note"], found.now
    if params["action"] == "end":
        return journal.ended(there, params["outcome"], now)
    if params["action"] == "note":
        fields = {key: params[key] for key in ("old", "new", "lost") if params[key] is not None}
        return journal.noted(there, fields, params["facts"], now)
    if params["phase"] == "began":
        return journal.began(there, step, now, here.clock())
    if params["phase"] == "finished":
        return journal.finished(there, step, note, now, here.clock())
    return journal.failed(there, step, note, now)


def _looked(found: parameter.Found, params: dict[str, Any]) -> dict[str, Any]:
    """What there is; in check mode also whether the step would be left out."""
    result = {"changed": params["action"] != "read", **_told(found, params["name"])}
    if params["action"] == "step":
        there = journal.load(found.value)
        result["done"] = bool(there and there.open and there.finished(params["step"]))
        result["changed"] = not result["done"]
    return result


def _told(found: parameter.Found, host: str) -> dict[str, Any]:
    there = journal.load(found.value)
    silent = max(0, int((found.now - found.written).total_seconds())) if there else 0
    is_open = bool(there and there.open)
    return {
        "there": there is not None,
        "open": is_open,
        "age": silent,
        "stale": is_open and silent > journal.STALE,
        "said": journal.said(there, host),
        "now": journal.stamp(found.now),
        "journal": journal.dump(there) if there else {},
    }


if __name__ == "__main__":
    main()
