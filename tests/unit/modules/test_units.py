"""Steps of units, from what systemd says."""

import os

import pytest
from ansible_collections.drover.platform.plugins.module_utils import systemd
from ansible_collections.drover.platform.plugins.module_utils.run import Answer
from ansible_collections.drover.platform.plugins.module_utils.systemd import bring_units
from ansible_collections.drover.platform.plugins.module_utils.units import (
    Wanted,
    declined,
    last_change,
    needs_daemon_reload,
    parse_shown,
    seconds,
    show_command,
    steps,
)

STARTED = "Thu 2025-11-20 22:12:11.500000 UTC"
AT = seconds(STARTED)


def unit(**differs):
    usual = {
        "LoadState": "loaded",
        "ActiveState": "active",
        "UnitFileState": "enabled",
        "NeedDaemonReload": "no",
        "ConditionResult": "yes",
        "ConditionTimestamp": STARTED,
        "ExecMainStartTimestamp": STARTED,
        "InactiveExitTimestamp": STARTED,
        "StateChangeTimestamp": STARTED,
    }
    return {**usual, **differs}


def verbs(wanted, shown, changed=0.0):
    return [step.verb for step in steps(wanted, shown, dict.fromkeys(wanted.follows, changed))]


RUNNING = Wanted("a.service", enabled=True, started=True, follows=("/etc/a",))


@pytest.mark.parametrize(
    ("shown", "changed", "expected"),
    [
        (unit(), AT - 1, []),
        (unit(), AT + 0.1, ["restart"]),
        (unit(ActiveState="activating"), AT - 1, []),
        (unit(ActiveState="inactive"), AT + 1, ["start"]),
        (unit(ActiveState="failed"), 0, ["start"]),
        (unit(UnitFileState="disabled"), 0, ["enable"]),
        (unit(UnitFileState="static"), 0, []),
        (unit(LoadState="masked", ActiveState="inactive"), 0, []),
        (unit(LoadState="not-found", ActiveState="inactive", UnitFileState=""), 0, ["enable", "start"]),
        (unit(ExecMainStartTimestamp=""), AT + 1, ["restart"]),
    ],
)
def test_steps_to_a_running_unit(shown, changed, expected):
    assert verbs(RUNNING, shown, changed) == expected


def test_a_timer_has_no_process():
    shown = unit()
    del shown["ExecMainStartTimestamp"]
    assert verbs(RUNNING, shown, AT + 1) == ["restart"]


def test_after_a_reload_the_file_has_been_read():
    wanted = Wanted("a.service", follows=("/etc/a",), on_change="reload")
    assert verbs(wanted, unit(), AT + 1) == ["reload"]
    assert verbs(wanted, unit(StateChangeTimestamp="Thu 2025-11-20 22:12:13.000000 UTC"), AT + 1) == []


def test_a_unit_that_is_not_ours_to_start_is_not_started():
    assert verbs(Wanted("a.service", follows=("/etc/a",)), unit(ActiveState="inactive"), AT + 1) == []
    assert verbs(Wanted("a.service"), unit(LoadState="not-found", ActiveState="inactive")) == []


def test_a_unit_that_shall_not_run_is_stopped_and_disabled():
    wanted = Wanted("a.service", enabled=False, started=False)
    assert verbs(wanted, unit()) == ["disable", "stop"]
    assert verbs(wanted, unit(ActiveState="inactive", UnitFileState="disabled")) == []


def test_a_condition_counts_only_once_it_was_asked():
    assert declined(unit(ConditionResult="no"))
    assert not declined(unit(ConditionResult="no", ConditionTimestamp=""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Thu 1970-01-01 00:00:01 UTC", 1.0),
        ("Thu 1970-01-01 00:00:01.250000 UTC", 1.25),
        ("", 0.0),
        ("n/a", 0.0),
    ],
)
def test_timestamps(text, expected):
    assert seconds(text) == expected


def test_blocks_are_matched_with_the_units_asked_for():
    shown = parse_shown("LoadState=loaded\nA=b=c\n\nLoadState=not-found\n", ["a", "b"])
    assert shown == {"a": {"LoadState": "loaded", "A": "b=c"}, "b": {"LoadState": "not-found"}}
    with pytest.raises(ValueError):
        parse_shown("LoadState=loaded\n", ["a", "b"])


def test_a_name_cannot_be_an_option():
    assert show_command(["-H", "x"])[-3:] == ["--", "-H", "x"]


def test_what_makes_systemd_look_again():
    assert needs_daemon_reload({"a": unit(NeedDaemonReload="yes")})
    assert needs_daemon_reload({"a": unit(LoadState="not-found")})
    assert not needs_daemon_reload({"a": unit()})


def test_a_folder_changes_with_what_is_in_it(tmp_path):
    (tmp_path / "file").write_text("x")
    future = tmp_path.stat().st_ctime + 100
    os.utime(tmp_path / "file", (future, future))
    assert last_change(tmp_path) == future
    assert last_change(tmp_path / "missing") == 0


class Systemctl:
    """Answers `systemctl show` in turn, everything else with success."""

    def __init__(self, *shown):
        self.shown, self.commands = list(shown), []

    def __call__(self, command):
        self.commands.append(command[1])
        if command[1] != "show":
            return Answer(0, "", "")
        text = self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]
        return Answer(0, "".join(f"{key}={value}\n" for key, value in text.items()), "")


def systemctl(monkeypatch, *shown):
    script = Systemctl(*shown)
    monkeypatch.setattr(systemd, "run", script)
    return script


MISSING = unit(LoadState="not-found", ActiveState="inactive", UnitFileState="")


def test_nothing_to_do_is_one_question(monkeypatch):
    script = systemctl(monkeypatch, unit())
    assert bring_units([Wanted("a.service", enabled=True, started=True)], dry=False) == []
    assert script.commands == ["show"]


def test_an_older_unit_file_is_read_again_first(monkeypatch):
    script = systemctl(monkeypatch, unit(NeedDaemonReload="yes", ActiveState="inactive"), unit())
    assert bring_units([Wanted("a.service", started=True)], dry=False) == []
    assert script.commands == ["show", "daemon-reload", "show"]


def test_a_dry_run_foretells_a_unit_of_a_missing_package(monkeypatch):
    script = systemctl(monkeypatch, MISSING)
    wanted = [Wanted("a.service", enabled=True, started=True)]
    assert bring_units(wanted, dry=True) == ["a.service: enable", "a.service: start (not-found)"]
    assert script.commands == ["show"]


def test_a_dry_run_foretells_what_follows_a_file_it_would_write(monkeypatch, tmp_path):
    script = systemctl(monkeypatch, unit())
    path = str(tmp_path / "missing")
    wanted = [Wanted("a.service", follows=(path,))]
    assert bring_units(wanted, dry=True) == []
    assert bring_units(wanted, dry=True, touched=[path]) == [
        f"a.service: restart ({path} changed after it read it)"
    ]
    assert set(script.commands) == {"show"}


def test_a_failed_unit_is_given_another_chance(monkeypatch):
    script = systemctl(monkeypatch, unit(ActiveState="failed"), unit())
    assert bring_units([Wanted("a.service", started=True)], dry=False) == ["a.service: start"]
    assert script.commands == ["show", "reset-failed", "start", "show"]
