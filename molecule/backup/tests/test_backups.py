"""Every database, volume and data folder is backed up, and nothing on the way is open to anybody."""

from __future__ import annotations

import json
from typing import Any

import pytest
from shared.scenario import containers, eventually, service, started
from testinfra.host import Host

from .conftest import PASSWORD, Agent, Jobs, begin, ours, snapshots, stuck, waits
from .engines import ENGINES


def networks(host: Host) -> str:
    return str(host.check_output("docker network ls --format '{{.ID}} {{.Name}}' | sort -k 2"))


pytestmark = pytest.mark.usefixtures("filled")


def test_every_database_volume_and_folder_is_backed_up(host: Host, filled: Jobs, agent: Agent) -> None:
    assert set(filled) == set(ENGINES)
    known = {each["id"] for each in snapshots(host)}
    for job, each in filled.items():
        assert each["bytes"] > 0 and each["snapshot"] in known, (job, each)
        assert each["newest_age_hours"] < 1 and not each["problem"], (job, each)


def test_only_what_was_asked_for_is_backed_up(agent: Agent) -> None:
    assert set(agent.backup("files")) == {"files/uploads", "files/media"}
    assert set(agent.backup("files/uploads")) == {"files/uploads"}
    assert "caches/cache" in agent.refuses("backup", "caches/cache")


def test_a_verified_backup_is_told_by_every_list(host: Host, agent: Agent) -> None:
    """In the order of an evening: all are verified, so that nothing is wrong."""
    host.check_output("systemctl start drover-verify.service")
    for job, each in agent.listed().items():
        assert not each["problem"] and each["verified_age_hours"] < 1, (job, each)
    status = host.run("drover status")
    assert status.rc == 0, status.stdout


def test_a_backup_touches_no_container_and_leaves_none(host: Host, agent: Agent) -> None:
    before = started(host), networks(host)
    agent.backup("ledger", "files/media")
    assert (started(host), networks(host)) == before
    assert not ours(host)


def test_a_dump_has_no_network_port_or_secret_of_its_own(host: Host, agent: Agent) -> None:
    """It is looked at while it waits for a table."""
    before, connected = containers(host), networks(host)
    server = before[service(host, "ledger", "db")]
    with stuck(host):
        running = begin(host, "backup", "ledger/db", "--json")
        assert eventually(lambda: waits(host))
        added = [each for name, each in containers(host).items() if name not in before]
        assert networks(host) == connected
        told = host.check_output("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert running.end()[0] == 0
    (dump,) = added
    assert dump["Image"] == server["Image"]
    assert dump["HostConfig"]["NetworkMode"] in ("none", f"container:{server['Id']}"), dump["HostConfig"]
    assert not dump["HostConfig"]["PortBindings"] and not dump["HostConfig"]["PublishAllPorts"]
    assert not dump["HostConfig"]["Privileged"]
    # Nothing that `docker inspect` of the database would not show as well.
    own = set(server["Config"]["Env"])
    secrets = host.check_output("cat /srv/stacks/*/secrets/*/*").split()
    for text in (told, json.dumps(dump)):
        assert not [each for each in (PASSWORD, *secrets) if each in text and not any(each in s for s in own)]


def test_nobody_but_root_reads_the_repositorys_password(host: Host) -> None:
    places = "/etc /opt /srv /var/lib/drover /run /root"
    found = host.check_output(f"grep -rlsF {PASSWORD} {places} || true").split()
    assert found, "the agent has to have it from somewhere"
    for path in found:
        assert (host.file(path).mode, host.file(path).user) == (0o600, "root"), path


def test_each_snapshot_names_its_job(host: Host, agent: Agent) -> None:
    """By tags, so that another host finds them without this one's state."""
    newest: dict[str, Any] = {each["id"]: each for each in snapshots(host)}
    for job, each in agent.listed().items():
        assert job in " ".join(newest[each["snapshot"]]["tags"]), newest[each["snapshot"]]
