"""What is done with machines so that they are as EC2 says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localcloud.plan import REBOOTED, Found, Step, Wanted, steps, wanted

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
STATES = ["pending", "running", "stopping", "stopped", "shutting-down", "terminated"]


def at(seconds: int) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


INSTANCE = Wanted("i-1", "running", at(10))
MACHINES = {
    "none": None,
    "made": Found(running=False),
    "on": Found(running=True, started=at(10)),
    "on since before": Found(running=True, started=at(9)),
    "off since before": Found(running=False, started=at(5), ended=at(10)),
    "died": Found(running=False, started=at(10), ended=at(11)),
    "rebooted": Found(running=False, started=at(10), ended=at(11), code=REBOOTED),
    "stopped by us": Found(running=False, started=at(5), ended=at(11), told=True),
}
UP = {
    "none": "create",
    "made": "start",
    "on": "",
    "on since before": "restart",
    "off since before": "start",
    "died": "tell",
    "rebooted": "start",
    "stopped by us": "start",
}


def verbs(instance: Wanted, machine: Found | None) -> list[str]:
    found = steps({"i-1": instance}, {"i-1": machine} if machine else {})
    return [step.verb for step in found]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", MACHINES)
def test_every_state_with_every_machine(state: str, name: str):
    machine = MACHINES[name]
    expected = {"pending": UP[name], "running": UP[name]}.get(state)
    if expected is None and machine is None:
        expected = ""
    elif expected is None and state in ("stopping", "stopped"):
        expected = "stop" if machine and machine.running else ""
    elif expected is None:
        expected = "remove"
    assert verbs(replace(INSTANCE, state=state), machine) == [expected] * bool(expected)


def test_a_machine_without_an_instance_goes():
    assert list(steps({}, {"i-1": Found(running=True, started=at(1))})) == [Step("remove", "i-1")]


DESCRIBED = {
    "InstanceId": "i-1",
    "State": {"Name": "running"},
    "LaunchTime": at(10),
    "PrivateIpAddress": "10.0.0.9",
    "PrivateDnsName": "ip-10-0-0-9.eu-central-1.compute.internal",
    "VpcId": "vpc-1",
}


def test_an_instance_is_read_as_ec2_describes_it():
    assert wanted(DESCRIBED) == Wanted("i-1", "running", at(10), "10.0.0.9", "ip-10-0-0-9", "vpc-1")


def test_a_terminated_instance_has_no_address():
    bare = {key: DESCRIBED[key] for key in ("InstanceId", "State", "LaunchTime")}
    assert wanted(bare) == Wanted("i-1", "running", at(10))


def test_a_stop_and_start_between_two_looks_is_seen_by_the_launch_time():
    machine = Found(running=True, started=at(10))
    assert verbs(wanted({**DESCRIBED, "LaunchTime": at(10)}), machine) == []
    assert verbs(wanted({**DESCRIBED, "LaunchTime": at(11)}), machine) == ["restart"]


@pytest.mark.parametrize(
    ("reason", "since"),
    [
        ("", 10),
        ("User initiated (2026-01-01 00:00:30 UTC)", 10),
        ("Reboot (2026-01-01T00:00:30.900000+00:00)", 30.9),
        ("Reboot (2026-01-01T00:00:03.900000+00:00)", 10),
    ],
)
def test_a_reboot_is_seen_by_its_mark(reason: str, since: float):
    assert wanted({**DESCRIBED, "StateTransitionReason": reason}).since == at(since)


# --- properties


@dataclass
class World:
    """One instance, its machine, and a clock; a stop takes as long as `lag` says."""

    instance: Wanted = field(default_factory=lambda: replace(INSTANCE, since=at(0)))
    machine: Found | None = None
    now: int = 1
    until: int = 0  # a stop is under way so long
    died: bool = False  # by itself, since it started last

    def tick(self, lag: int = 0) -> list[str]:
        if self.now < self.until:
            return []
        if self.until:
            self.machine, self.until = self.off(self.until, told=True), 0
        found = list(steps({"i-1": self.instance}, {"i-1": self.machine} if self.machine else {}))
        assert len(found) <= 1
        for step in found:
            self.carry_out(step.verb, lag)
        return [step.verb for step in found]

    def off(self, when: int, told: bool = False, code: int = 0) -> Found | None:
        return self.machine and replace(self.machine, running=False, ended=at(when), told=told, code=code)

    def carry_out(self, verb: str, lag: int) -> None:
        if verb in ("create", "start", "restart"):
            self.machine, self.died = Found(running=True, started=at(self.now)), False
        elif verb == "stop" and lag:
            self.until = self.now + lag
        elif verb == "stop":
            self.machine = self.off(self.now, told=True)
        elif verb == "remove":
            self.machine = None
        else:
            assert verb == "tell"
            assert self.died, "a machine that we ended did not go off by itself"
            self.instance = replace(self.instance, state="stopped")

    def happen(self, event: str) -> None:
        if event == "wait":
            self.now += 1
        elif event == "die" and self.machine and self.machine.running and not self.until:
            self.machine, self.died = self.off(self.now), True
        elif event == "reboot inside" and self.machine and self.machine.running and not self.until:
            self.machine = self.off(self.now, code=REBOOTED)
        elif event in ("stop", "terminate") and self.instance.state != "terminated":
            self.instance = replace(self.instance, state="stopped" if event == "stop" else "terminated")
        elif (event == "start" and self.instance.state == "stopped") or (
            event == "reboot" and self.instance.state == "running"
        ):
            self.instance = replace(self.instance, state="running", since=at(self.now))


def moments(last: int) -> st.SearchStrategy[datetime]:
    return st.integers(0, last).map(at)


RUNNING = st.builds(Found, running=st.just(True), started=moments(20))
ENDED = st.builds(
    Found,
    running=st.just(False),
    started=moments(20),
    ended=moments(20),
    code=st.sampled_from([0, 1, REBOOTED, 137]),
    told=st.booleans(),
)
WANTED = st.builds(Wanted, st.just("i-1"), st.sampled_from(STATES), moments(20))


@given(WANTED, st.one_of(st.none(), st.just(Found(running=False)), RUNNING, ENDED))
def test_after_one_step_nothing_is_left_to_do(instance: Wanted, machine: Found | None):
    world = World(instance, machine, now=21, died=True)
    world.tick()
    assert world.tick() == []


EVENTS = st.sampled_from(["tick", "wait", "stop", "start", "reboot", "die", "reboot inside", "terminate"])


SLOW_STOP = [("tick", 0), ("stop", 0), ("tick", 3), ("wait", 0), ("start", 0)]


@example(SLOW_STOP)
@given(st.lists(st.tuples(EVENTS, st.integers(0, 4)), max_size=25))
@settings(max_examples=300)
def test_whatever_happens_the_machine_ends_as_the_account_says(events: list[tuple[str, int]]):
    world = World()
    for event, lag in events:
        if event == "tick":
            world.tick(lag)
        else:
            world.happen(event)
    for _ in range(10):
        world.now += 1
        world.tick()
    assert world.tick() == []
    assert bool(world.machine and world.machine.running) == (world.instance.state == "running")
