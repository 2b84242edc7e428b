"""A host goes for good and comes back, and what a rebuild kept goes when its time is over."""

from __future__ import annotations

import pytest
from shared.instances import INVENTORY
from shared.scenario import ROOT, Run, typed
from shared.traffic import diary

from localcloud import cloud

from .leads import led
from .rebuilds import instances, killed, rebuild, serving, settled

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("bookings")]


def test_retired_it_comes_back_by_one_command() -> None:
    identity, _ = serving()
    known = diary()
    run = rebuild("--check", playbook="retire")
    assert run.status == 0 and "would get no more requests" in run.output, run.output
    assert instances()[identity] == ("running", "active")
    run = rebuild(playbook="retire")
    assert run.status == 0 and "Retirement of web: done" in run.output, run.output
    assert instances()[identity][0] in ("shutting-down", "terminated")
    assert "no record" in led()
    for step in ("serve", "activate", "retire"):  # nobody is there to be asked, and each goes on
        assert killed(step, 1.0, "-e", "lost=true") is None
    run = rebuild("-e", "lost=true")
    assert run.status == 0, run.output
    new, there = serving()
    settled(new, there)
    assert led() == {new}
    assert diary() == known


def test_what_was_kept_for_long_enough_is_removed() -> None:
    """And nothing else: neither what is kept still, nor what serves."""
    assert rebuild().status == 0
    new, there = serving()
    kept = sorted(each for each, found in instances().items() if found == ("stopped", "retired"))
    assert kept
    run = expire()
    assert run.changed == 0, run.output
    over = [{"Key": "drover:keep_until", "Value": "2020-01-01T00:00:00Z"}]
    cloud.client("ec2").create_tags(Resources=kept[:1], Tags=over)
    assert expire("--check").status == 0 and instances()[kept[0]][0] == "stopped"
    run = expire()
    assert run.changed == 1, run.output
    assert instances()[kept[0]][0] in ("shutting-down", "terminated")
    assert {instances()[each][0] for each in kept[1:]} <= {"stopped"}
    settled(new, there)


def expire(*arguments: str) -> Run:
    return typed(
        ["ansible-playbook", "-i", str(INVENTORY), str(ROOT / "playbooks" / "expire.yml"), *arguments]
    )
