"""Backups of another host, restored and compared here: its repository stands beside this host's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from testinfra.host import Host

from .conftest import REPOSITORY, Agent, Jobs, ours, snapshots, told
from .engines import ENGINES, LEDGER, Engine

pytestmark = pytest.mark.usefixtures("filled")
OTHER = REPOSITORY.replace("test-backup", "other")
OWN_SECRET = 'test "$(cat /run/secrets/db_password)" != canary-ledger-51f0 && echo "of its own"'


@pytest.fixture(scope="module")
def other(host: Host) -> Iterator[None]:
    """A host whose repository this one can read: what it holds is this host's, which it cannot know."""
    host.check_output(f"rm -rf {OTHER} && cp -a {REPOSITORY} {OTHER}")
    with told(host, verifies={"other": OTHER}):
        yield
    host.check_output(f"rm -rf {OTHER}")


def verdicts(host: Host) -> list[str]:
    """What was written into the other host's repository about its snapshots."""
    found = [each["tags"] for each in snapshots(host, OTHER) if "verdict" in each["tags"]]
    return sorted(" ".join(sorted(tag for tag in tags if not tag.startswith("of="))) for tags in found)


def known(agent: Agent) -> Jobs:
    """What this host knows of its own backups, whatever the hour."""
    return {
        job: {key: value for key, value in row.items() if not key.endswith("_age_hours")}
        for job, row in agent.listed().items()
    }


@pytest.mark.usefixtures("other")
def test_backups_of_another_host_come_back_here(host: Host, agent: Agent) -> None:
    """Each by a server that its record describes, with a password that is neither host's."""
    before, mine = verdicts(host), known(agent)
    said = agent.run("verify", "--of", "other", *ENGINES)["jobs"]  # named: also those with a verdict
    assert {f"other: {job}" for job in ENGINES} <= said.keys()
    assert {each["result"] for each in said.values()} == {"verified"}, said
    assert len(verdicts(host)) == len(before) + len(said)
    assert known(agent) == mine, "they are none of this host's"
    again = agent.run("verify", "--of", "other")["jobs"]
    assert {each["text"] for each in again.values()} == {"it has this verdict already"}
    assert not ours(host)


@pytest.mark.usefixtures("other")
def test_one_altered_row_is_seen_there_too(host: Host, agent: Agent) -> None:
    spoil = f"{OWN_SECRET} && {LEDGER.spoil}"
    said = agent.run("verify", "--of", "other", LEDGER.job, "--spoil", spoil, fails=True)["jobs"]
    text = said[f"other: {LEDGER.job}"]["text"]
    assert "bookings" in text, said


@pytest.mark.usefixtures("other")
def test_who_may_be_verified_is_in_the_inventory(agent: Agent) -> None:
    assert "--of web: backup_verifies of this host names: other" in agent.refuses("verify", "--of", "web")
    refused = agent.refuses("verify", "--of", "other", "shop/nothing")
    assert "no backup job shop/nothing on other" in refused and "ledger/db" in refused


def test_verdicts_of_another_host_are_this_ones(host: Host, agent: Agent) -> None:
    """The newest snapshot is restored by nobody here, and what the other one says of it counts."""
    agent.backup(LEDGER.job)
    with told(host, verified_by="other"):
        assert agent.run("verify", LEDGER.job)["jobs"][LEDGER.job]["result"] in ("verified", "waits")
    with told(host, verifies={"self": REPOSITORY}):
        (said,) = agent.run("verify", "--of", "self", LEDGER.job)["jobs"].values()
        assert said["result"] == "verified"
    before = agent.listed()[LEDGER.job]
    assert before["verified"] != before["newest"]
    with told(host, verified_by="other"):
        (said,) = agent.run("verify", LEDGER.job)["jobs"].values()
        assert said["result"] == "verified" and "other restored" in said["text"]
    after = agent.listed()[LEDGER.job]
    assert after["verified"] == after["newest"]


@pytest.mark.long
@pytest.mark.usefixtures("other")
@pytest.mark.parametrize("engine", ENGINES.values(), ids=lambda engine: engine.job)
def test_every_engines_altered_copy_is_seen_there(agent: Agent, engine: Engine) -> None:
    said = agent.run("verify", "--of", "other", engine.job, "--spoil", engine.spoil, fails=True)["jobs"]
    assert [each["result"] for each in said.values()] == ["failed"]
