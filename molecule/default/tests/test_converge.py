"""A second run changes nothing, a dry run shows nothing, and the installed collection does the same."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from shared.scenario import ROOT, Scenario, started
from testinfra.host import Host

STATUS = ROOT / "playbooks" / "status.yml"


def test_second_run_touches_nothing(scenario: Scenario, host: Host) -> None:
    before = started(host)
    run = scenario.site()
    assert run.status == 0 and run.changed == 0, run.output
    assert started(host) == before


def test_dry_run_on_a_converged_host_shows_nothing(scenario: Scenario) -> None:
    run = scenario.site("--check", "--diff")
    assert run.status == 0 and run.changed == 0, run.output
    assert "+++" not in run.output


def test_looking_changes_nothing(scenario: Scenario, host: Host) -> None:
    """The playbook says that it changed nothing, and so it is: every file's content, time, mode and owner."""
    # The host's own timers look and send meanwhile, which touches their locks.
    units = "'drover-*.timer' 'drover-send.service' 'drover-certificates.service'"
    host.check_output(f"systemctl stop {units}")
    folders = "/srv /etc/drover /opt/drover /var/lib/drover"
    picture = f"find {folders} -printf '%p %y %s %T@ %m %U\\n' | sort; nft -s list ruleset | sha256sum"
    try:
        before = host.check_output(picture).splitlines(), started(host)
        run = scenario.site(playbook=STATUS)
        assert run.status == 0 and run.changed == 0, run.output
        assert (host.check_output(picture).splitlines(), started(host)) == before
    finally:
        host.check_output("systemctl start --all 'drover-*.timer'")


def test_installed_collection_converges_the_same_host(scenario: Scenario, tmp_path: Path) -> None:
    """Built, installed into an empty folder, and run from there, without the clone."""
    galaxy = ["ansible-galaxy", "collection"]
    (tmp_path / "ansible.cfg").write_text("[defaults]\n")
    elsewhere = {
        **os.environ,
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "installed"),
    }
    subprocess.run([*galaxy, "build", "--output-path", str(tmp_path), str(ROOT)], check=True, env=elsewhere)
    (archive,) = tmp_path.glob("drover-platform-*.tar.gz")
    subprocess.run(
        [*galaxy, "install", "-p", str(tmp_path / "installed"), str(archive)],
        check=True,
        env=elsewhere,
        cwd=tmp_path,
    )
    done = subprocess.run(
        ["ansible-playbook", "-i", str(scenario.inventory), "drover.platform.site"],
        check=False,
        env=elsewhere,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "changed=0" in done.stdout, done.stdout + done.stderr
