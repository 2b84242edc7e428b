"""Journal and lock of a rebuild, against a Parameter Store of a few lines that can lose, repeat and lag."""

import contextlib
import itertools
import json
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from ansible_collections.drover.platform.plugins.action.journal import playbook
from ansible_collections.drover.platform.plugins.module_utils import journal, parameter
from ansible_collections.drover.platform.plugins.module_utils.errors import HostError
from ansible_collections.drover.platform.plugins.modules.journal import Here, gone, here, kept
from hypothesis import given, settings
from hypothesis import strategies as st

START = datetime(2026, 11, 30, 3, tzinfo=timezone.utc)
PATH = "/acme/production"
NAME = f"{PATH}/rebuild/web"


class AwsError(Exception):
    """As botocore's ClientError."""

    def __init__(self, code: str, now: datetime):
        super().__init__(f"An error occurred ({code})")
        date = {"date": format_datetime(now, usegmt=True)}
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPHeaders": date}}


@dataclass
class Store:
    """SSM: versions of parameters, by its own clock."""

    now: datetime = START
    versions: dict[str, list[tuple[str, datetime]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    late: list[dict[str, Any]] = field(default_factory=list)  # requests that are still on their way
    faults: list[str] = field(default_factory=list)  # what befalls the next writes
    lag: list[int] = field(default_factory=list)  # how many versions too old the next reads are
    turn: Callable[[], None] = int  # does nothing
    lock: Any = field(default_factory=threading.Lock)

    def error(self, code: str) -> AwsError:
        return AwsError(code, self.now)

    # What boto3 offers

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803
        self.turn()
        self.calls.append("get")
        name, _, number = Name.partition(":")
        found = self.versions.get(name, [])
        found = found[: len(found) - (self.lag.pop(0) if self.lag else 0)]
        if not found:
            raise self.error("ParameterNotFound")
        version = int(number or len(found))
        if version > len(found):
            raise self.error("ParameterVersionNotFound")
        value, at = found[version - 1]
        told = {"Name": name, "Value": value, "Version": version, "LastModifiedDate": at}
        date = {"date": format_datetime(self.now, usegmt=True)}
        return {"Parameter": told, "ResponseMetadata": {"HTTPHeaders": date}}

    def put_parameter(self, **request: Any) -> dict[str, Any]:
        self.turn()
        fault = self.faults.pop(0) if self.faults else ""
        self.calls.append("put")
        if fault == "throttled":
            raise self.error("ThrottlingException")
        if fault == "busy":
            raise self.error("TooManyUpdates")
        if fault == "late":  # botocore asks again after its timeout
            self.late.append(request)
        if fault == "repeated":
            self.written(request)
        if fault == "never":
            raise ConnectionError("no answer")
        version = self.written(request)
        if fault == "lost":
            raise ConnectionError("no answer")
        return {"Version": version, "Tier": "Standard"}

    def written(self, request: dict[str, Any]) -> int:
        assert request["Type"] == "String" and request["Tier"] == "Standard"
        assert len(request["Value"].encode()) <= 4096 and "{{" not in request["Value"]
        with self.lock:
            found = self.versions.setdefault(request["Name"], [])
            if found and not request["Overwrite"]:
                raise self.error("ParameterAlreadyExists")
            found.append((request["Value"], self.now))
            return len(found)

    # What tests see

    def value(self) -> dict[str, Any]:
        """What counts, found as a reader would."""
        found = parameter.read(self, NAME, lambda _: None)
        assert found.value is not None
        return found.value


@dataclass
class Operator:
    """One run of a playbook."""

    store: Store
    who: str = "sam@laptop"
    machine: str = "m1"
    pid: int = 100
    dead: tuple[int, ...] = ()
    token: str = ""
    ticks: float = 5000.0
    pause: Callable[[float], None] = lambda _: None

    def do(self, action: str, check: bool = False, **more: Any) -> dict[str, Any]:
        params = {
            **{"action": action, "foundation": PATH, "name": "web", "token": self.token, "take_over": False},
            **{"verb": "rebuild", "generation": 2, "old": None, "new": None, "lost": None, "facts": {}},
            **{"step": None, "phase": "began", "note": "", "outcome": "done"},
            **more,
        }
        place = Here(
            self.who, self.machine, self.pid, lambda pid: pid in self.dead, lambda: self.ticks, self.pause
        )
        return kept(self.store, params, place, check=check)

    def begin(self, **more: Any) -> dict[str, Any]:
        done = self.do("begin", **more)
        self.token = done["token"]
        return done

    def step(self, name: str, phase: str = "began", **more: Any) -> dict[str, Any]:
        return self.do("step", step=name, phase=phase, **more)

    def whole(self, name: str, seconds: float = 1.0, **more: Any) -> None:
        self.step(name)
        self.ticks += seconds
        self.store.now += timedelta(seconds=seconds)
        self.step(name, "finished", **more)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def sam(store: Store) -> Operator:
    return Operator(store)


@pytest.fixture
def kim(store: Store) -> Operator:
    return Operator(store, "kim@desk", "m2", 200)


# One operator


def test_a_rebuild_from_begin_to_end(store: Store, sam: Operator):
    begun = sam.begin(old="i-old")
    assert (
        begun["changed"] and not begun["continued"] and begun["open"] and begun["journal"]["old"] == "i-old"
    )
    assert store.versions.keys() == {NAME}
    sam.whole("launch", 41.26, note="i-new")
    sam.do("note", new="i-new", facts={"snapshot": "6c7e", "bytes": 5})
    sam.whole("restore", 20)
    done = sam.do("end")
    value = store.value()
    assert done["changed"] and not done["open"]
    assert value["steps"] == [["launch", 0, 41.3, "i-new"], ["restore", 41, 20.0, ""]]
    assert (value["new"], value["facts"]) == ("i-new", {"snapshot": "6c7e", "bytes": 5})
    assert (value["at"], value["ended"], value["outcome"]) == (
        "2026-11-30T03:00:00Z",
        "2026-11-30T03:01:01Z",
        "done",
    )
    assert sam.do("read")["said"] == (
        "rebuild of web by sam@laptop, begun 2026-11-30 03:00 UTC, ended 2026-11-30 03:01 UTC: done"
    )


def test_a_step_that_has_finished_is_done_and_writes_nothing(store: Store, sam: Operator):
    sam.begin()
    assert not sam.step("launch")["done"]
    assert sam.step("launch", "finished")["done"]
    writes = store.calls.count("put")
    for phase in ("began", "finished"):
        again = sam.step("launch", phase)
        assert again["done"] and not again["changed"]
    assert store.calls.count("put") == writes


def test_a_step_that_failed_is_run_again(store: Store, sam: Operator):
    sam.begin()
    sam.step("restore")
    assert not sam.step("restore", "failed", note="verification\nfailed")["done"]
    assert store.value()["steps"] == [["restore", 0, None, "verification failed"]]
    assert not sam.step("restore", "failed", note="verification\nfailed")["changed"]
    sam.whole("undo")
    assert not sam.step("restore")["done"]
    assert [each[0] for each in store.value()["steps"]] == ["undo", "restore"]
    assert store.value()["steps"][1][3] == ""


def test_a_step_that_did_not_begin_cannot_end(sam: Operator):
    sam.begin()
    with pytest.raises(HostError, match="launch did not begin in the journal of web"):
        sam.step("launch", "finished")


def test_an_ended_journal_takes_nothing_more_and_the_next_one_begins(store: Store, sam: Operator):
    sam.begin()
    sam.do("end", outcome="failed")
    assert not sam.do("end", outcome="failed")["changed"]
    for refused in (lambda: sam.step("x"), lambda: sam.do("note", new="i-1"), lambda: sam.do("end")):
        with pytest.raises(HostError, match=r"the rebuild has ended \(failed, 2026-11-30 03:00 UTC\)"):
            refused()
    first = store.value()["id"]
    assert not sam.begin(generation=3)["continued"]
    assert store.value()["id"] != first and store.value()["steps"] == []


def test_facts_are_merged_go_and_are_limited(store: Store, sam: Operator):
    sam.begin()
    sam.do("note", facts={"a": 1, "b": "x"})
    assert not sam.do("note", facts={"a": 1})["changed"]
    sam.do("note", facts={"b": None, "c": True})
    assert store.value()["facts"] == {"a": 1, "c": True}
    with pytest.raises(HostError, match="c: write a text, a number or a boolean"):
        sam.do("note", facts={"c": [1]})
    with pytest.raises(HostError, match=r"facts: 2\d\d\d bytes together; the journal has room for 1200"):
        sam.do("note", facts={"c": "x" * 2000})


def test_the_old_host_may_die_meanwhile(store: Store, sam: Operator):
    sam.begin()
    assert sam.do("note", lost=True)["journal"]["lost"] is True


# Whose it is


def test_somebody_elses_journal_is_refused_and_says_all_that_one_has_to_know(
    store: Store, sam: Operator, kim: Operator
):
    sam.begin()
    sam.whole("launch")
    sam.step("restore")
    store.now = START + timedelta(minutes=10)
    with pytest.raises(HostError) as refused:
        kim.begin()
    assert str(refused.value) == (
        "web: sam@laptop (process 100) has a rebuild under way, begun 2026-11-30 03:00 UTC, 10 min ago; "
        "in step restore, last written 9 min ago. -e take_over=true continues it; should the other run live, "
        "it stops before its next step"
    )
    store.now += timedelta(minutes=10)
    assert kim.do("read")["stale"] and kim.do("read")["age"] == 1199
    with pytest.raises(HostError, match=r"last written 19 min ago, which is stale .*take_over"):
        kim.begin()
    assert sam.step("restore", "finished")["done"]


def test_taken_over_the_old_run_stops_before_its_next_step(store: Store, sam: Operator, kim: Operator):
    sam.begin(old="i-old")
    sam.whole("launch")
    sam.step("restore")
    taken = kim.begin(take_over=True, old="i-other")
    assert taken["continued"] and taken["journal"]["old"] == "i-old" and taken["journal"]["continued"] == 1
    for late in (
        lambda: sam.step("restore", "finished"),
        lambda: sam.step("switch"),
        lambda: sam.step("launch"),
        lambda: sam.do("note", new="x"),
        lambda: sam.do("end"),
    ):
        with pytest.raises(HostError, match=r"somebody has taken over, so this run stops here .*kim@desk"):
            late()
    assert kim.step("launch")["done"] and not kim.step("restore")["done"]
    kim.do("end")
    with pytest.raises(HostError, match=r"somebody has taken over.*ended"):
        sam.step("switch")


def test_a_run_of_ones_own_that_died_is_gone_on_with(store: Store, sam: Operator):
    sam.begin()
    sam.whole("launch")
    sam.step("restore")
    again = Operator(store, pid=101)
    with pytest.raises(HostError, match="process 100"):
        again.begin()
    again.dead = (100,)
    assert again.begin()["continued"]
    assert again.step("launch")["done"] and not again.step("restore")["done"]


@pytest.mark.parametrize("other", [{"who": "kim@laptop"}, {"machine": "m2"}])
def test_only_ones_own_process_on_the_same_machine_can_be_known_to_be_dead(
    store: Store, sam: Operator, other: dict[str, str]
):
    sam.begin()
    with pytest.raises(HostError, match="take_over"):
        replace(sam, pid=101, dead=(100,), **other).begin()


def test_the_same_playbook_goes_on_with_its_own(store: Store, sam: Operator):
    sam.begin()
    first = sam.token
    assert sam.begin()["continued"] and sam.token != first


@pytest.mark.parametrize(
    ("more", "said"),
    [({"verb": "retire"}, "has verb rebuild, not retire"), ({"generation": 3}, "has generation 2, not 3")],
)
def test_what_is_unfinished_is_not_made_something_else(sam: Operator, more: dict[str, Any], said: str):
    sam.begin()
    with pytest.raises(HostError, match=f"{said}; finish or abandon it first"):
        sam.begin(take_over=True, **more)
    assert sam.begin(generation=0)["continued"]


def test_without_a_journal_no_step_begins(sam: Operator):
    with pytest.raises(HostError, match="web: it has no journal; begin one"):
        sam.step("launch")


def test_two_who_begin_at_once(store: Store, sam: Operator, kim: Operator):
    """In threads: one has it, the other is told who."""
    for number in range(20):
        store.versions.clear()
        gate, told = threading.Barrier(2), {}

        def run(one: Operator, gate: Any = gate, told: dict[str, Any] = told) -> None:
            gate.wait()
            try:
                told[one.who] = one.begin()
            except HostError as problem:
                told[one.who] = str(problem)

        threads = [threading.Thread(target=run, args=(each,)) for each in (sam, kim)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        won = [who for who, each in told.items() if isinstance(each, dict)]
        assert len(won) == 1, number
        (lost,) = [each for each in told.values() if isinstance(each, str)]
        assert lost.startswith(f"web: {won[0]} (process"), lost


# Clocks


def test_a_controller_whose_clock_is_off_changes_no_time(store: Store, sam: Operator):
    """Only AWS's clock is in the journal; START is some time in the past or future of whoever runs this."""
    sam.begin()
    store.now += timedelta(seconds=30)
    assert sam.do("read")["age"] == 30
    sam.step("launch")
    assert store.value()["steps"] == [["launch", 30, None, ""]]


def test_a_clock_that_went_back_leaves_awss_to_measure_by(store: Store, sam: Operator):
    sam.begin()
    sam.step("launch")
    sam.ticks, store.now = 10.0, store.now + timedelta(seconds=7)
    sam.step("launch", "finished")
    assert store.value()["steps"][0][2] == 7.0


def test_another_machines_clock_does_not_measure_a_step(store: Store, sam: Operator, kim: Operator):
    sam.begin()
    sam.step("launch")
    kim.ticks = 900000.0
    kim.begin(take_over=True)
    store.now += timedelta(seconds=50)
    kim.step("launch", "finished")
    assert store.value()["steps"][0][2] == 50.0


# What SSM does to its callers


@pytest.mark.parametrize("fault", ["lost", "repeated", "busy", "late"])
def test_a_write_is_known_as_ones_own_whatever_became_of_its_answer(store: Store, sam: Operator, fault: str):
    def next_one() -> None:
        store.faults = [fault]

    next_one()
    begun = sam.begin()
    assert begun["changed"] and not begun["continued"]
    for action in (
        lambda: sam.step("launch"),
        lambda: sam.step("launch", "finished"),
        lambda: sam.do("note", new="i-new"),
        lambda: sam.do("end"),
    ):
        next_one()
        assert action()["changed"]
        for request in store.late:
            store.written({**request, "Overwrite": True})
        store.late.clear()
    value = store.value()
    assert (value["new"], value["outcome"], value["continued"]) == ("i-new", "done", 0)
    assert [each[0] for each in value["steps"]] == ["launch"]


def test_what_was_never_written_is_told(store: Store, sam: Operator):
    store.faults = ["never"]
    with pytest.raises(ConnectionError, match="no answer"):
        sam.begin()
    assert not store.versions
    sam.begin()
    store.faults = ["throttled"]  # as often as botocore asked
    with pytest.raises(AwsError, match="ThrottlingException"):
        sam.step("launch")
    assert store.value()["steps"] == [] and not sam.step("launch")["done"]


def test_a_late_request_does_not_undo_what_came_after_it(store: Store, sam: Operator):
    sam.begin()
    store.faults = ["late"]
    sam.step("launch")
    sam.whole("restore")
    (request,) = store.late
    store.written(request)
    assert [each[0] for each in store.value()["steps"]] == ["launch", "restore"]
    sam.whole("switch")
    assert [each[0] for each in store.value()["steps"]] == ["launch", "restore", "switch"]


def test_a_read_that_is_too_old_takes_nothing_from_its_owner(store: Store, sam: Operator, kim: Operator):
    sam.begin()
    kim.begin(take_over=True)
    store.lag = [1]  # shows sam's still
    assert not kim.step("launch")["done"]
    store.lag = [3]  # shows nothing at all
    kim.step("launch", "finished")
    store.lag = [1]
    with pytest.raises(HostError, match="somebody has taken over"):
        sam.step("restore")
    store.lag = [4]
    with pytest.raises(HostError, match="kim@desk"):
        sam.begin()


def test_what_a_person_writes_by_hand_does_not_count(store: Store, sam: Operator):
    sam.begin()
    for text in ("", "{}", store.versions[NAME][0][0].replace("sam@", "eve@")):
        store.versions[NAME].append((text, store.now))
    assert store.value()["owner"]["who"] == "sam@laptop"
    sam.whole("launch")
    assert sam.step("launch")["done"]


def test_a_deleted_journal_stops_its_run_and_is_no_lock(store: Store, sam: Operator, kim: Operator):
    sam.begin()
    store.faults = ["late"]
    sam.step("launch")
    store.versions.clear()
    with pytest.raises(HostError, match="it has no journal"):
        sam.step("restore")
    store.written(store.late[0])
    assert not kim.begin()["continued"]


def test_a_parameter_of_somebody_else_is_left_alone(store: Store, sam: Operator):
    store.versions[NAME] = [("vpc-1", START)]
    for lag in (0, 1):  # 1: it does not show yet
        store.lag = [lag]
        with pytest.raises(HostError, match="this parameter is not Drover's"):
            sam.begin()
    assert len(store.versions[NAME]) == 1


def test_a_journal_of_a_newer_drover_is_left_alone(store: Store, sam: Operator):
    store.versions[NAME] = [(json.dumps({"format": 2, "after": 0}), START)]
    with pytest.raises(HostError, match="format 2, this Drover reads 1"):
        sam.begin()


def test_somebody_who_never_stops_writing_is_told(store: Store, sam: Operator):
    sam.begin()
    store.faults = ["busy"] * 20
    with pytest.raises(HostError, match="others kept writing it"):
        sam.step("launch")


# Size


def test_forty_steps_fit_and_the_oldest_notes_go_first(store: Store, sam: Operator):
    sam.begin(old="i-0123456789abcdef0")
    sam.do("note", new="i-0123456789abcdef1", facts={"text": "ü" * 590})
    for number in range(40):
        sam.whole(f"step-of-thirty-two-characters-{number:02}", note=f"{number} " + "€" * 200)
    steps = store.value()["steps"]
    assert len(steps) == 40 and all(each[2] == 1.0 for each in steps)
    notes = [bool(each[3]) for each in steps]
    assert notes[-1] and notes == sorted(notes)
    assert len(store.versions[NAME][-1][0].encode()) > 3300


def test_a_journal_that_is_full_says_so(sam: Operator):
    sam.begin()
    with pytest.raises(HostError, match=r"no room for \d+ steps"):
        for number in range(200):
            sam.whole(f"step-of-thirty-two-characters-{number}")


def test_what_ssm_refuses_in_a_text_is_written_otherwise(store: Store, sam: Operator):
    sam.begin()
    sam.step("launch")
    sam.step("launch", "failed", note='{{ x }} "quoted" \\ {{{')
    assert store.value()["steps"][0][3] == '{{ x }} "quoted" \\ {{{'


# Dry run


def test_a_dry_run_changes_nothing_and_says_what_would_be(store: Store, sam: Operator, kim: Operator):
    begun = sam.begin(check=True)
    assert begun["changed"] and begun["token"] == "" and begun["open"] and not begun["continued"]
    for action in (
        lambda: sam.step("launch", check=True),
        lambda: sam.step("launch", "finished", check=True),
    ):
        assert action()["changed"] and not action()["done"]
    assert sam.do("end", check=True)["changed"]
    assert not store.versions
    kim.begin()
    kim.whole("launch")
    versions = len(store.versions[NAME])
    with pytest.raises(HostError, match="kim@desk"):
        sam.begin(check=True)
    taken = sam.begin(check=True, take_over=True)
    assert taken["continued"] and taken["said"].startswith("rebuild of web by sam@laptop")
    done = sam.step("launch", check=True)
    assert done["done"] and not done["changed"]
    assert sam.do("note", check=True, new="i-1")["changed"]
    assert len(store.versions[NAME]) == versions


def test_reading_changes_nothing(store: Store, sam: Operator):
    none = sam.do("read")
    assert none == {
        **{"changed": False, "there": False, "open": False, "age": 0, "stale": False},
        **{"said": "web has no journal", "now": "2026-11-30T03:00:00Z", "journal": {}},
    }
    sam.begin()
    assert sam.do("read")["said"].endswith("begun 2026-11-30 03:00 UTC, before its first step")
    assert "put" not in store.calls[-1:]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"foundation": "acme/production"}, "write the path as in drover_aws.foundation"),
        ({"foundation": "/acme/"}, "write the path"),
        ({"name": "web/last"}, "write the host's name"),
        ({"name": "web:3"}, "write the host's name"),
    ],
)
def test_names_that_would_be_other_parameters_are_refused(
    store: Store, sam: Operator, more: dict[str, str], said: str
):
    with pytest.raises(HostError, match=said):
        sam.begin(**more)
    assert not store.calls


@pytest.mark.parametrize("step", ["Launch", "", "a" * 33, "1st", "x y"])
def test_names_of_steps_are_short_words(sam: Operator, step: str):
    sam.begin()
    with pytest.raises(HostError, match="write at most 32"):
        sam.step(step)


# This machine


def test_a_process_that_lives_is_not_gone():
    assert not gone(os.getpid()) and not gone(1)
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert gone(ended.pid)


def test_the_machine_is_the_same_the_next_time():
    first, second = here(1), here(1)
    assert first[:3] == second[:3] and "@" in first.who and first.clock() <= second.clock()


def test_the_playbook_is_the_process_above_a_worker(monkeypatch: pytest.MonkeyPatch):
    class Parent:
        pid = 4711

    assert playbook() == os.getpid()
    monkeypatch.setattr("multiprocessing.parent_process", lambda: Parent)
    assert playbook() == 4711


# Every interleaving


class Turns:
    """Lets one of the threads make one call at a time, in the order of a schedule."""

    def __init__(self, schedule: list[bool]):
        self.schedule, self.condition = list(schedule), threading.Condition()
        self.waiting: set[int] = set()
        self.running = 2
        self.next: int | None = None

    def wait(self, number: int) -> None:
        with self.condition:
            self.waiting.add(number)
            self._choose()
            self.condition.wait_for(lambda: self.next == number)
            self.next = None
            self.waiting.discard(number)

    def leave(self) -> None:
        with self.condition:
            self.running -= 1
            self._choose()

    def _choose(self) -> None:
        """Once all that still run wait: the schedule's, else the other."""
        if self.waiting and len(self.waiting) == self.running and self.next is None:
            wish = int(self.schedule.pop(0)) if self.schedule else min(self.waiting)
            self.next = wish if wish in self.waiting else min(self.waiting)
            self.condition.notify_all()


ACTIONS = st.lists(st.sampled_from(["begin", "take", "step", "end", "note"]), min_size=1, max_size=5)


@settings(max_examples=200)
@given(
    first=ACTIONS,
    second=ACTIONS,
    schedule=st.lists(st.booleans(), max_size=60),
    faults=st.lists(st.sampled_from(["", "", "", "lost", "late", "repeated", "busy", "never"]), max_size=12),
    lag=st.lists(st.sampled_from([0, 0, 0, 1, 2]), max_size=20),
)
def test_no_interleaving_lets_two_operators_have_it(
    first: list[str], second: list[str], schedule: list[bool], faults: list[str], lag: list[int]
):
    """Nor loses what one of them was told is written: steps are unique here, so each says who wrote it."""
    store, turns = Store(faults=faults, lag=lag), Turns(schedule)
    operators = [Operator(store, "sam@laptop", "m1", 100), Operator(store, "kim@desk", "m2", 200)]
    log: list[tuple[int, str, int]] = []  # who had it, which step was told to be written, how many versions
    own = threading.local()
    store.turn = lambda: turns.wait(own.number)

    def run(number: int, actions: list[str]) -> None:
        own.number = number
        try:
            for index, action in enumerate(actions):
                act(operators[number], number, action, f"s{number}-{index}")
        finally:
            turns.leave()

    def act(operator: Operator, number: int, action: str, step: str) -> None:
        before = len(store.versions.get(NAME, []))
        with contextlib.suppress(HostError, ConnectionError):
            if action in ("begin", "take"):
                operator.begin(take_over=action == "take")
            elif action == "step":
                operator.step(step)
            else:
                operator.do(action, new=step)
            log.append((number, step if action == "step" else "", before))

    threads = [threading.Thread(target=run, args=each) for each in enumerate((first, second))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    store.turn, store.faults, store.lag = (lambda: None), [], []
    for request in store.late:
        with contextlib.suppress(AwsError):
            store.written(request)
    judge(store, operators, log)


def judge(store: Store, operators: list[Operator], log: list[tuple[int, str, int]]) -> None:
    counted = [
        (json.loads(text), number)
        for number, (text, _) in enumerate(store.versions.get(NAME, []), 1)
        if json.loads(text)["after"] == number - 1
    ]
    for number, step, before in log:
        if step:
            ours = [each for each in counted if step in _names(each[0])]
            assert ours, f"{step} was told to be written"
            value, version = ours[0]
            assert value["owner"]["who"] == operators[number].who, "written by its owner"
            assert version > before
    for (older, _), (newer, _) in itertools.pairwise(counted):
        if older["id"] != newer["id"]:
            assert older["ended"], "only an ended one is followed by another"
            continue
        assert _names(older) <= _names(newer), "no step is lost"
        if older["owner"]["token"] != newer["owner"]["token"]:
            assert newer["continued"] == older["continued"] + 1, "nobody but begin changes the owner"
    still = [one for one in operators if one.token and _steps(one)]
    assert len(still) <= 1


def _names(value: dict[str, Any]) -> set[str]:
    return {each[0] for each in value["steps"]}


def _steps(one: Operator) -> bool:
    try:
        one.step("last")
    except HostError:
        return False
    return True


def test_the_words_of_the_journal():
    assert journal.line("x" * 500).endswith("x…") and len(journal.line("x" * 500)) == 160
    assert journal.line("a\n b\x1b[31m‮c") == "a b [31m c"
    assert [journal.age(each) for each in (-3, 119, 120, 5400, 200000)] == [
        *("0 s", "119 s", "2 min", "90 min", "55 h"),
    ]
