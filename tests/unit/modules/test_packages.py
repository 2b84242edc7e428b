"""What dpkg says, and what follows from it."""

import pytest
from ansible_collections.drover.platform.plugins.module_utils import apt, run
from ansible_collections.drover.platform.plugins.module_utils.disk import HostError
from ansible_collections.drover.platform.plugins.module_utils.packages import (
    Source,
    chosen,
    distribution,
    environment,
    install_command,
    is_half_done,
    missing,
    not_held,
    parse_list,
)

LISTED = "docker.io hi \nrunc ii \ntini ii \nold rc \nunpacked iU \n"


def test_packages_that_are_there_held_and_missing():
    known = parse_list(LISTED)
    assert missing(["docker.io", "runc", "old", "unpacked", "never"], known) == ["old", "unpacked", "never"]
    assert not_held(["docker*", "runc", "old"], known) == ["runc"]


def test_an_interrupted_run_of_dpkg_is_seen():
    assert is_half_done(parse_list(LISTED))
    assert not is_half_done(parse_list("a ii \nb rc \nc hi \n"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ID=debian\nVERSION_ID="13"\nNAME="Debian GNU/Linux"\n', "debian-13"),
        ('VERSION_ID="24.04"\nID=ubuntu\n', "ubuntu-24.04"),
        ("ID=debian\n", "debian-"),
    ],
)
def test_the_distribution_has_a_short_name(text, expected):
    assert distribution(text) == expected


def test_an_unknown_distribution_is_told_which_there_are():
    assert chosen({}, "debian-11") == {}
    with pytest.raises(HostError, match=r"debian-11 is not .*: debian-13"):
        chosen({"debian-13": {}}, "debian-11")


def test_services_wait_only_where_asked():
    assert "SYSTEMD_OFFLINE" in environment(start=False)
    assert "SYSTEMD_OFFLINE" not in environment(start=True)


def test_a_source_trusts_its_own_key_only():
    source = Source("docker", "https://x/linux", "trixie", "stable", "https://x/gpg", "00")
    assert f"Signed-By: {source.key_path}\n" in source.text


class Scripted:
    """Commands and their answers, in order."""

    def __init__(self, *answers):
        self.answers, self.commands = list(answers), []

    def __call__(self, command, environment=None):
        self.commands.append(list(command))
        return self.answers.pop(0)


GOOD = run.Answer(0, "", "")
LOCKED = run.Answer(100, "", "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1")
WRONG = run.Answer(100, "", "E: Unable to fetch some archives")
OPTIONS = {"present": ["new"], "hold": [], "by_distribution": {}, "start": True}


def scripted(monkeypatch, *answers, age=10.0):
    script = Scripted(*answers)
    monkeypatch.setattr(apt, "run", script)
    monkeypatch.setattr(apt, "_lists_age", lambda: age)
    monkeypatch.setattr(apt.time, "sleep", lambda _: None)
    return script


def test_nothing_missing_is_one_question_to_dpkg(monkeypatch):
    script = scripted(monkeypatch, run.Answer(0, "new ii \n", ""))
    assert apt.bring_packages(OPTIONS, dry=False) == []
    assert len(script.commands) == 1


def test_a_dry_run_installs_nothing(monkeypatch):
    script = scripted(monkeypatch, run.Answer(0, "old ii \n", ""))
    assert apt.bring_packages(OPTIONS, dry=True) == ["install new"]
    assert len(script.commands) == 1


def test_a_lock_is_waited_for(monkeypatch):
    empty = run.Answer(0, "", "")
    script = scripted(monkeypatch, empty, LOCKED, LOCKED, GOOD, GOOD, empty, age=float("inf"))
    apt.bring_packages(OPTIONS, dry=False)
    assert [command[3:] for command in script.commands[1:4]] == [["-oDPkg::Lock::Timeout=300", "update"]] * 3


def test_lists_that_are_too_old_are_fetched_once(monkeypatch):
    empty = run.Answer(0, "", "")
    script = scripted(monkeypatch, empty, WRONG, GOOD, GOOD, empty)
    apt.bring_packages(OPTIONS, dry=False)
    assert [command[-1] for command in script.commands[1:4]] == ["new", "update", "new"]
    scripted(monkeypatch, empty, WRONG, GOOD, WRONG)
    with pytest.raises(HostError, match="Unable to fetch"):
        apt.bring_packages(OPTIONS, dry=False)


def test_dpkg_is_completed_before_anything_else(monkeypatch):
    half = run.Answer(0, "new iU \n", "")
    script = scripted(monkeypatch, half, WRONG, GOOD, run.Answer(0, "new ii \n", ""))
    assert apt.bring_packages(OPTIONS, dry=False) == ["complete an interrupted run of dpkg"]
    assert script.commands[1][:3] == ["dpkg", "--configure", "-a"]
    assert script.commands[2][-2:] == ["--fix-broken", "install"]


def test_recommended_packages_stay_away():
    assert "--no-install-recommends" in install_command(["a"])
