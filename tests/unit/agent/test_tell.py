"""Events: told once, in order, not lost; and what a person reads."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from docker_model import Place, runs_by
from drover import channels, cli, disk, health, report, sender, status
from drover.host import Host
from drover.layout import Layout
from drover.report import Event, is_repeat
from drover.run import Result
from drover.state import State
from hypothesis import given
from hypothesis import strategies as st

EVENT = Event("disk:/srv", "warning", "disk is filling", "71 %")


class Channel:
    """apprise, which can be down: for all channels, or for one."""

    def __init__(self) -> None:
        self.down: bool | str = False
        self.got: list[tuple[list[str], str]] = []
        self.heard: list[tuple[str, str]] = []  # channel, title

    def __call__(self, command: Sequence[str], *, stdin: str = "", **_: Any) -> Result:
        if command[0] == "apprise":
            path = Path(command[1].partition("=")[2])
            assert path.stat().st_mode & 0o777 == 0o600
            (url,) = re.findall(r"\w+://\S+", path.read_text())
            if self.down is True or self.down == url:
                return Result(1, "", f"{url}: unreachable")
            self.got.append((list(command), stdin))
            self.heard.append((url, command[-1].rpartition("] ")[2]))
        return Result(0, "", "")


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture
def host(tmp_path: Path, channel: Channel) -> Host:
    (tmp_path / "etc/drover").mkdir(parents=True)
    (tmp_path / "etc/drover/apprise.yml").write_text("urls:\n  - json://example.com\n")
    (tmp_path / "etc/drover/host.json").write_text(
        '{"client": "acme", "environment": "staging", "host": "web1"}'
    )
    layout = Layout(tmp_path)
    return Host(layout, channel, State(layout.state), lambda text: None)


@pytest.mark.parametrize(
    ("told", "repeat"),
    [
        ([], False),
        ([999.0], True),
        ([1000.0], True),
        ([999.0 - 3600], False),
        ([5000.0], False),
        ([-9000.0, 990.0], True),
    ],
)
def test_repeat(told: list[float], repeat: bool) -> None:
    assert is_repeat(1000.0, told) == repeat


@given(st.lists(st.floats(0, 1e6), max_size=30))
def test_a_key_is_never_told_twice_within_the_time(moments: list[float]) -> None:
    told: list[float] = []
    for now in sorted(moments):
        if not is_repeat(now, told):
            told.append(now)
    assert all(later - earlier >= report.REPEAT for earlier, later in pairwise(told))


def test_same_key_waits_another_one_does_not(host: Host) -> None:
    assert report.report(host, EVENT, 1000.0)
    assert not report.report(host, EVENT, 2000.0)
    assert report.report(host, EVENT._replace(key="disk:/"), 2000.0)
    assert report.report(host, EVENT, 5000.0)


def test_delivered_once_in_order_after_the_channel_came_back(host: Host, channel: Channel) -> None:
    channel.down = True
    for number in range(5):
        report.report(host, Event(f"k{number}", "failure", f"title {number}"), 1000.0 + number)
    assert sender.send(host, 1010.0).errors and not sender.send(host, 1011.0).errors
    channel.down = False
    assert sender.send(host, 1012.0) == (0, ())  # too early: it waits longer after each failure
    assert sender.send(host, 1010.0 + sender.pause(1)) == (5, ())
    assert [command[-1] for command, _ in channel.got] == [
        f"--title=[acme staging web1] title {number}" for number in range(5)
    ]
    assert sender.send(host, 9999.0) == (0, ())


def test_body_is_not_an_argument(host: Host, channel: Channel) -> None:
    report.report(host, EVENT._replace(body="only for the reader"))
    sender.send(host)
    ((command, body),) = channel.got
    assert "only for the reader" in body and "only for the reader" not in " ".join(command)


@pytest.mark.parametrize("text", [None, "", "# - json://example.com\n", "urls: []\n"])
def test_without_a_channel_events_wait(host: Host, channel: Channel, text: str | None) -> None:
    host.layout.channels.unlink() if text is None else host.layout.channels.write_text(text)
    report.report(host, EVENT)
    assert sender.send(host) == (0, ())
    assert sender.head(host) is not None and not channel.got


def test_queue_is_bounded_and_the_newest_stay(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "WAITING", 10)
    for number in range(30):
        report.report(host, Event(str(number), "info", str(number)), float(number))
    titles = [title for (title,) in host.state.db.execute("SELECT title FROM events ORDER BY id")]
    assert titles == [str(number) for number in range(20, 30)]


def test_clock_that_was_set_back_does_not_stop_delivery(host: Host) -> None:
    report.report(host, EVENT, 100.0)
    waiting = sender.head(host)
    assert waiting and sender.is_due(waiting._replace(next=1e9), 100.0)
    assert not sender.is_due(waiting._replace(next=130.0), 100.0)


def test_full_disk_loses_no_event(host: Host, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(report, "queue", full)
        assert report.report(host, EVENT)
        assert not report.report(host, EVENT)
    assert sender.send(host).delivered == 1
    assert "disk is filling" in channel.got[0][0][-1]


def test_full_memory_leaves_the_journal_and_stops_nobody(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    told: list[Event] = []
    monkeypatch.setattr(report, "queue", full)
    monkeypatch.setattr(disk, "replace", full)
    monkeypatch.setattr(report, "journal", told.append)
    assert report.report(host, EVENT)
    assert told == [EVENT]


# Several channels

TWO = "urls:\n- json://one.example\n- slack://token-a/token-b\nversion: 1\n"


@pytest.mark.parametrize("down", ["json://one.example", "slack://token-a/token-b"])
def test_channel_that_is_down_makes_no_other_hear_an_event_again(
    host: Host, channel: Channel, down: str
) -> None:
    host.layout.channels.write_text(TWO)
    channel.down = down
    now, titles = 1000.0, [f"title {number}" for number in range(6)]
    for title in titles[:3]:
        report.report(host, Event(title, "failure", title), now)
    assert sender.send(host, now).delivered == 0
    while now < 1600.0:
        now += 20.0
        if 1290.0 < now < 1311.0:
            report.report(host, Event(titles[3], "failure", titles[3]), now)
        sender.send(host, now)
    channel.down = False
    for title in titles[4:]:
        report.report(host, Event(title, "failure", title), now)
    while now < 3600.0:
        now += 60.0
        sender.send(host, now)
    for url in ("json://one.example", "slack://token-a/token-b"):
        assert [title for by, title in channel.heard if by == url] == titles
    assert sender.head(host) is None and not (host.layout.run / "channel.yml").exists()


def test_channel_that_comes_back_within_a_run_hears_nothing_in_disorder(host: Host, channel: Channel) -> None:
    for title in ("first", "second"):
        report.report(host, Event(title, "info", title), 1000.0)
    calls: list[str] = []

    def run(command: Sequence[str], **more: Any) -> Result:
        calls.append(command[0])
        return channel(command, **more) if len(calls) > 1 else Result(1, "", "down for a moment")

    assert sender.send(host._replace(run=run), 1000.0) == (0, ("json: down for a moment",))
    assert sender.send(host, 2000.0).delivered == 2
    assert [title for _, title in channel.heard] == ["first", "second"]


def test_run_that_dies_between_two_channels_tells_the_first_no_second_time(
    host: Host, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.layout.channels.write_text(TWO)
    report.report(host, EVENT)

    def run(command: Sequence[str], **more: Any) -> Result:
        if channel.heard:
            raise KeyboardInterrupt
        return channel(command, **more)

    with pytest.raises(KeyboardInterrupt):
        sender.send(host._replace(run=run))
    assert sender.send(host).delivered == 1
    assert [url for url, _ in channel.heard] == ["json://one.example", "slack://token-a/token-b"]


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        (TWO, ["json://one.example", "slack://token-a/token-b"]),
        ("version: 1\nurls:\n  # mine\n  - json://a\n\n  - 'json://b?x=1'\n", ["json://a", "json://b?x=1"]),
        ("urls:\n- 'mailto://a?n=b\n    c: d'\n- json://b\nversion: 1\n", ["mailto://a?n=b", "json://b"]),
        ("urls:\n  - json://a:\n    - tag: one\n    - tag: two\n  - json://b\n", ["json://a", "json://b"]),
        ("urls: [json://a, json://b]\n", ["json://a"]),
        ("json://a\n", ["json://a"]),
        ("urls: []\n", []),
        ("urls:\n  # - json://a\n", []),
    ],
)
def test_configuration_is_taken_apart(host: Host, text: str, urls: list[str]) -> None:
    host.layout.channels.write_text(text)
    found = channels.channels(host.layout)
    assert all(url in each.config for each, url in zip(found, urls, strict=True))
    for each in found:
        assert ("version: 1\n" in each.config) == ("version: 1\n" in text)
    assert len({each.identity for each in found}) == len(found)
    lines = [line for line in text.splitlines() if line.strip() and "#" not in line]
    assert all(any(line in each.config for each in found) for line in lines if found)


def test_why_an_event_is_not_delivered_is_kept_and_hides_the_address(
    host: Host, channel: Channel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host.layout.channels.write_text(TWO)
    report.report(host, EVENT)
    channel.down = "slack://token-a/token-b"
    runs_by(monkeypatch, channel)
    assert cli.main(["--root", str(host.layout.root), "send"]) == 1
    said = capsys.readouterr().err
    waiting = sender.head(host)
    assert waiting and waiting.error == "slack: slack://***/***: unreachable"
    assert waiting.error in said and "token" not in said
    channel.down = False
    assert cli.main(["--root", str(host.layout.root), "send"]) == 0


@pytest.mark.parametrize(
    "text", ["{", "[]", '[1, "k", "loud", "t", "b"]', '["x", "k", "info", "t", "b"]', "\xff"]
)
def test_bad_file_in_memory_is_set_aside_and_told_of(host: Host, channel: Channel, text: str) -> None:
    folder = host.layout.run / "events"
    folder.mkdir(parents=True)
    (folder / "bad.json").write_bytes(text.encode("latin-1"))
    (folder / "good.json").write_text(json.dumps([1.0, *EVENT]))
    assert sender.send(host).delivered == 2
    assert sorted(path.name for path in folder.iterdir()) == ["bad.bad"]
    titles = {title for _, title in channel.heard}
    assert titles == {EVENT.title, f"{folder}/bad.json could not be read as an event"}


# Status


@pytest.fixture
def shop(here: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(health, "SETTLED", 0.0)
    route = {"host": "shop.example.com", "path": "/", "service": "web", "port": 80, "health": None}
    here.write("shop", {"web": {"image": "web:1", "public": True}}, routes=[route], version="1.8.2")
    here.apply()
    return here


def test_status_of_a_host_that_is_well(shop: Place) -> None:
    found = status.status(shop.host(write=False))
    assert found["fine"]
    (line,) = [line for line in found["stacks"] if line["name"] == "shop"]
    assert (line["version"], line["state"], line["urls"]) == ("1.8.2", "fine", ["http://shop.example.com/"])
    assert json.loads(json.dumps(found)) == found


def test_status_names_what_is_wrong(shop: Place) -> None:
    shop.docker.named("shop-web-1").status = "exited"
    found = status.status(shop.host(write=False))
    assert not found["fine"]
    text = status.table(found)
    assert "wrong" in text and "! start shop-web-1: it ended with 0" in text


def test_status_says_when_the_wish_was_not_reached(shop: Place) -> None:
    shop.write("shop", {"web": {"image": "web:2", "public": True}}, version="2")
    del shop.docker.images["web:2"]
    shop.apply()
    (line,) = [line for line in status.status(shop.host(write=False))["stacks"] if line["name"] == "shop"]
    assert (line["state"], line["version"]) == ("wrong", "1.8.2")
    assert "is wanted and not reached: shop: image web:2 is not here" in line["problems"][0]


def test_status_shows_why_a_service_may_break_a_rule(shop: Place) -> None:
    labels = {"drover.reason.latest": "moves\nwith us", "drover.reason.privileged": "a device", "else": "x"}
    shop.write("shop", {"web": {"image": "web:1", "labels": labels}, "db": {"image": "db:1"}})
    assert not shop.apply().errors
    found = status.status(shop.host(write=False), "shop")
    assert found["stacks"][0]["reasons"] == {"web": {"latest": "moves with us", "privileged": "a device"}}
    assert "\n    web: latest: moves with us\n    web: privileged: a device" in status.table(found)


@pytest.mark.parametrize(
    ("age", "listening", "fine"), [(60.0, True, True), (7200.0, True, False), (7200.0, False, True)]
)
def test_status_says_why_an_event_waits_for_long(
    shop: Place, channel: Channel, age: float, listening: bool, fine: bool
) -> None:
    host = shop.host()._replace(run=channel)
    host.state.db.execute("DELETE FROM events")
    shop.layout.channels.parent.mkdir(parents=True)
    shop.layout.channels.write_text("urls:\n- json://a.example\n" if listening else "urls: []\n")
    report.report(host, EVENT, time.time() - age)
    untried = status.status(shop.host(write=False))
    assert ("nothing was tried" in untried["events_problem"]) == (not fine)
    channel.down = True
    sender.send(host)
    found = status.status(shop.host(write=False))
    assert (found["fine"], found["events_waiting"]) == (fine, 1)
    assert ("json: json://***: unreachable" in status.table(found)) == (not fine)
    assert status.status(shop.host(write=False), "shop")["fine"]


# The command line


@pytest.mark.parametrize(
    ("given_name", "environment", "who"),
    [
        ("anna@laptop", {"SUDO_USER": "deploy"}, "anna@laptop"),
        ("a\n\x1bb" + "c" * 99, {}, "ab" + "c" * 62),
        ("", {"SUDO_USER": "deploy", "LOGNAME": "root"}, "deploy"),
        ("\n", {"LOGNAME": "anna", "USER": "root"}, "anna"),
        ("", {"DROVER_WHO": "nobody"}, "root"),
    ],
)
def test_history_says_who_asked(
    shop: Place, monkeypatch: pytest.MonkeyPatch, given_name: str, environment: dict[str, str], who: str
) -> None:
    for variable in ("SUDO_USER", "LOGNAME", "USER"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    runs_by(monkeypatch, shop.docker)
    shop.write("shop", {"web": {"image": "web:2", "public": True}}, version="2")
    assert cli.main(["--root", str(shop.layout.root), "apply", f"--who={given_name}"]) == 0
    assert shop.host().state.last()["shop"].who == who


def test_usage_and_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in (["nope"], [], ["apply", "--bogus"], ["report", "--key", "k"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(wrong)
        assert caught.value.code == 2
    monkeypatch.setenv("PATH", str(tmp_path))
    root = ["--root", str(tmp_path / "root")]
    assert cli.main([*root, "apply", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["errors"] == ["docker is not installed on this host"]
    assert cli.main([*root, "apply", "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] is False
    assert cli.main([*root, "version"]) == 0
