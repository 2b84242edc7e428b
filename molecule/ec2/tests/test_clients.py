"""Two clients in one account: their rebuilds go on side by side and do not meet."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from shared.instances import INVENTORY
from shared.scenario import ROOT, typed
from shared.traffic import traffic, unharmed

from localcloud import cloud, foundation

from .rebuilds import ended, instances, serving, settled, start

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("bookings")]
OTHER = "bolt"


@pytest.fixture
def other() -> Iterator[Path]:
    """The inventory of another client, with an instance that has no stacks."""
    with tempfile.TemporaryDirectory(dir=ROOT / "molecule") as scratch:  # as deep as the scenario's own
        folder = Path(scratch) / "inventory"
        shutil.copytree(INVENTORY, folder, ignore=shutil.ignore_patterns(".reports", "compose"))
        for file in (path for path in folder.rglob("*.yml")):
            file.write_text(file.read_text().replace("acme", OTHER))
        (folder / "group_vars" / "all" / "stacks.yml").write_text("drover_stacks: []\n")
        key = ROOT / ".cache" / "testhost" / "id_ed25519.pub"
        try:
            foundation.ensure(OTHER, "staging", ["bolt.example"], key)
            yield folder
        finally:
            foundation.remove(OTHER)


def theirs() -> dict[str, str]:
    """The part of each of the other client's instances that runs."""
    own = [
        {"Name": "tag:drover:client", "Values": [OTHER]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    groups = cloud.client("ec2").describe_instances(Filters=own)["Reservations"]
    return {
        each["InstanceId"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]}["drover:lifecycle"]
        for group in groups
        for each in group["Instances"]
    }


def test_two_clients_are_rebuilt_at_once(other: Path) -> None:
    for playbook in ("aws", "site"):
        run = typed(["ansible-playbook", "-i", str(other), str(ROOT / "playbooks" / f"{playbook}.yml")], 900)
        assert run.status == 0, run.output
    (before,) = theirs()
    identity, _ = serving()
    with traffic("clients") as seen:
        with ThreadPoolExecutor() as pool:  # each is read as it writes
            both = pool.map(partial(ended, seconds=900), [start(), start(inventory=other)])
        for run in both:
            assert run.status == 0, run.output
    unharmed(seen)
    new, there = serving()
    assert new != identity
    settled(new, there)
    (after,) = theirs()
    assert after != before and theirs() == {after: "active"}
    assert after not in instances()
