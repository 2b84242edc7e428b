"""The next generation of a host takes over with its data, whatever comes between, and nobody notices.

DROVER_KILLS says how often the playbook is killed on its way (5), DROVER_SEED where, DROVER_PROXY, of all the
scenario, beside which proxy; with DROVER_EVIDENCE the outcome is written to docs/evidence/rebuild-kills.json.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shared.instances import INVENTORY, found
from shared.scenario import ROOT
from shared.traffic import Seen, diary, traffic, unharmed
from testinfra.host import Host

from localcloud import faults, machines

from .leads import led
from .rebuilds import STEPS, instances, journal, killed, rebuild, serving, settled
from .s3 import SUM, drover, psql

KILLS = int(os.environ.get("DROVER_KILLS", "5"))
SEED = int(os.environ.get("DROVER_SEED", random.randrange(10**6)))
PROXY = os.environ.get("DROVER_PROXY", "traefik")
LONGEST = 6.0  # seconds into a step
MARK = {"stack": "diary", "version": "0.9", "release": "0" * 16, "at": 1764460800.0, "who": "ana"}

pytestmark = pytest.mark.usefixtures("rows")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A second checkout, of which the caches alone are the first one's."""
    folder = tmp_path_factory.mktemp("elsewhere") / "drover"
    shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(".cache", ".venv*", ".git"))
    for name in (".cache", ".venv"):
        (folder / name).symlink_to(ROOT / name)
    yield folder
    shutil.rmtree(folder)


def test_an_instance_that_never_boots_leaves_the_old_one_serving(identity: str, host: Host) -> None:
    before = instances()
    faults.inject("boot", "", 600, 0)
    try:
        with traffic("boot") as seen:
            run = rebuild("-e", "rebuild_boot_seconds=30")  # twice what one takes that is well
    finally:
        machines.BOOTLESS.unlink()
    assert run.status != 0 and "SSH does not answer" in run.output, run.output
    unharmed(seen)
    assert set(seen.written) == {201}
    (new,) = set(instances()) - set(before)
    assert instances()[new][0] in ("shutting-down", "terminated")
    assert journal()["outcome"] == "failed"
    settled(identity, host)


def test_what_is_no_rebuild_is_refused(identity: str) -> None:
    run = rebuild("-e", "host=wbe")
    assert run.status != 0 and "drover_aws.hosts has no wbe; it has web." in run.output, run.output
    run = rebuild("--check")
    assert run.status == 0 and f"would take over from {identity}" in run.output, run.output
    assert len([each for each, _ in instances().values() if each == "running"]) == 1


def test_killed_anywhere_it_goes_on(host: Host, identity: str, elsewhere: Path) -> None:
    """Also from another checkout; every row that was acknowledged is there, and rollbacks are remembered."""
    print(f"seed {SEED}, {KILLS} kills")
    chance = random.Random(SEED)
    steps = [STEPS[number * len(STEPS) // KILLS] if len(STEPS) < KILLS else "" for number in range(KILLS)]
    steps = sorted((each or chance.choice(STEPS) for each in steps), key=STEPS.index)
    moments = [(step, round(chance.uniform(0, LONGEST), 1)) for step in steps]
    host.check_output(f"echo '{json.dumps([MARK])}' | drover marks --take -")
    psql(host, "INSERT INTO bookings SELECT n, 'late-' || n FROM generate_series(501, 600) AS n;")
    before = psql(host, SUM)
    with traffic("kills") as seen:
        for turn, (step, delay) in enumerate(moments):
            if turn and journal()["ended"]:
                break
            over = killed(step, delay, root=elsewhere if turn % 2 else ROOT)
            assert over is None or over.status == 0, over.output
        if journal()["ended"] == "":
            over = rebuild()
    assert over is None or over.status == 0, (moments, over)
    unharmed(seen)
    new, there = serving()
    assert new != identity and instances()[identity] == ("stopped", "retired")
    settled(new, there)
    assert led() == {new}
    assert psql(there, SUM) == before
    assert MARK["release"] in there.check_output("drover marks --json")
    assert drover(there, "backup")["result"] == "ok"
    assert found().site(playbook=ROOT / "playbooks" / "aws.yml").changed == 0
    if over:  # else it was killed after its end
        report(over.output)
    if os.environ.get("DROVER_EVIDENCE"):
        evidence(moments, seen)


def report(output: str) -> None:
    """It is shown, and kept beside the inventory."""
    assert "Recovery point" in output and "Compared" in output, output
    newest = max((INVENTORY / ".reports").glob("rebuild-web-*.json"), key=lambda file: file.stat().st_mtime)
    told = json.loads(newest.read_text())
    assert told["outcome"] == "done" and {each["what"] for each in told["compared"]} == {
        "ledger/db",
        "diary/data",
    }
    assert newest.with_suffix(".html").is_file()


def test_the_way_back_says_what_it_would_lose() -> None:
    new, _ = serving()
    kept = {text for text in diary() if text.startswith("boot-")}
    with traffic("back") as seen:
        refused = rebuild(playbook="failback")
        assert refused.status != 0 and "diary/data, ledger/db" in refused.output, refused.output
        assert "Nothing was changed" in refused.output
        run = rebuild("-e", "lose=true", playbook="failback")
    assert run.status == 0, run.output
    assert set(seen.read) == {200} and set(seen.written) <= {201, 503} and seen.targets >= 1, seen
    back, there = serving()
    assert back != new and instances()[new] == ("stopped", "retired")
    assert led() == {back}
    settled(back, there)
    assert kept and not kept - set(diary())


def evidence(moments: list[Any], seen: Seen) -> None:
    commit = ["git", "rev-parse", "--short", "HEAD"]
    path = ROOT / "docs" / "evidence" / "rebuild-kills.json"
    told = {
        "commit": subprocess.run(commit, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip(),
        "date": datetime.date.today().isoformat(),
        "command": f"DROVER_PROXY={PROXY} DROVER_KILLS={KILLS} DROVER_SEED={SEED} DROVER_EVIDENCE=1 "
        "tests/support/molecule ec2",
        "seed": SEED,
        "kills": [{"step": step, "seconds": delay} for step, delay in moments],
        "read": dict(seen.read),
        "written": dict(seen.written),
        "acknowledged": len(seen.kept),
        "lost": len(set(seen.kept) - set(diary())),
        "longest_seconds_without_a_write": round(seen.longest, 1),
        "fewest_targets": seen.targets,
        "substitutes": "localcloud: moto's EC2, HAProxy for a load balancer, ministack's S3 and SSM",
    }
    every = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**every, PROXY: told}, indent=1) + "\n")
