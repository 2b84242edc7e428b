"""The machine below Docker: journald, updates, SSH, kernel settings."""

from __future__ import annotations

from testinfra.host import Host


def test_journal_is_capped(host: Host) -> None:
    assert "SystemMaxUse=" in host.check_output("systemd-analyze cat-config systemd/journald.conf")


def test_docker_is_held_out_of_unattended_upgrades(host: Host) -> None:
    """Held by dpkg, and blacklisted: each alone suffices, a hold can be taken away by hand."""
    assert {"docker.io", "containerd", "runc"} <= set(host.check_output("apt-mark showhold").split())
    settings = host.check_output("apt-config dump Unattended-Upgrade")
    for name in ("docker", "containerd", "runc"):
        assert name in settings
    assert host.check_output("apt-config dump APT::Periodic::Unattended-Upgrade").split('"')[1] == "1"


def test_unattended_upgrades_passes_its_own_dry_run(host: Host) -> None:
    done = host.run("unattended-upgrade --dry-run --debug")
    assert done.rc == 0, done.stderr
    assert (
        "Packages that will be upgraded:" in done.stdout + done.stderr
        or "No packages found" in done.stdout + done.stderr
    )


def test_ssh_takes_no_passwords(host: Host) -> None:
    settings = host.check_output("sshd -T").lower()
    assert "passwordauthentication no" in settings
    assert "permitrootlogin without-password" in settings or "permitrootlogin prohibit-password" in settings


def test_no_stack_needs_no_container(host: Host) -> None:
    """An empty client has the proxy and nothing else."""
    names = host.check_output("docker ps --format '{{.Names}}'").split()
    assert names == ["proxy-traefik-1"]
