"""No secret in any output; files that only their reader can read (S1, S2, S3, S4)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.scenario import Scenario, stack, started
from testinfra.host import Host

CANARIES = [f"canary{n:02d}x7Qw{n * 7919:06d}" for n in range(20)]


def forms(canary: str) -> list[str]:
    return [canary, base64.b64encode(canary.encode()).decode().rstrip("=")[:-1]]


def seed(stacks: list[dict[str, Any]]) -> None:
    """Twenty canaries as file secrets of the one-image stack, which gets every secret."""
    notes = stack(stacks, "notes")
    notes["secrets"] = {f"canary_{n}": canary for n, canary in enumerate(CANARIES)}


def break_it(stacks: list[dict[str, Any]]) -> None:
    seed(stacks)
    stack(stacks, "notes")["version"] = "9.9.9"  # no such image


def watch(host: Host, look: str) -> None:
    """Take the look again and again, as fast as it goes, and keep what it prints."""
    script = f"while :; do {look}; done > /tmp/watched 2>/dev/null"
    host.check_output(f'systemd-run --collect --property=RuntimeMaxSec=300 --unit=watch sh -c "{script}"')


def watched(host: Host) -> str:
    """Stop looking, and return what was seen."""
    host.check_output("systemctl stop watch")
    return str(host.check_output("cat /tmp/watched; rm /tmp/watched"))


def test_no_canary_anywhere(scenario: Scenario, host: Host, client: Callable[..., Path]) -> None:
    since = host.check_output("date +%s")
    watch(host, "cat /proc/[0-9]*/cmdline | tr '\\\\0' ' ' | grep -ao 'canary[0-9][^ ]*'")
    host.check_output("sh -c 'sleep 1; : canary99'")
    seeded = client(seed)
    outputs = [
        scenario.site("--check", "--diff", "-vvvv", inventory=seeded).output,
        scenario.site("--tags", "stacks", "--diff", "-vvvv", inventory=seeded).output,
        scenario.site("--tags", "stacks", "--check", "--diff", "-vvvv", inventory=seeded).output,
    ]
    assert host.check_output("docker exec notes-app-1 cat /run/secrets/canary_7") == CANARIES[7]
    broken = client(break_it)
    failed = scenario.site("--tags", "stacks", "--diff", "-vvvv", inventory=broken)
    assert failed.status != 0
    wrong = client(lambda stacks: stack(stacks, "notes").update(secrets=CANARIES))
    refused = scenario.site("-vvvv", inventory=wrong)
    assert refused.status != 0
    looks = {
        "output": "\n".join([*outputs, failed.output, refused.output]),
        "journal": host.check_output(f"journalctl --since @{since} -o cat --no-pager"),
        "docker inspect": host.check_output("docker inspect $(docker ps -aq)"),
        "process list": watched(host),
        "temporary files": host.check_output(
            "grep -rhs canary /tmp /var/tmp /root/.ansible /run/drover || true"
        ),
        "releases": host.check_output(
            "grep -rhs canary /srv/stacks/*/releases /srv/stacks/*/files /var/lib/drover /srv/proxy || true"
        ),
    }
    assert "canary99" in looks["process list"], "the watch itself must see"
    for place, text in looks.items():
        hits = [canary for canary in CANARIES for form in forms(canary) if form in text]
        assert not hits, f"{place} shows {hits[:3]}"


def test_secret_files_belong_to_their_reader(host: Host) -> None:
    files = host.check_output("find /srv/stacks/*/secrets -type f -printf '%m %U %p\\n'").splitlines()
    assert files
    for line in files:
        mode, _, path = line.split()
        assert mode == "600", path
        assert host.file(str(Path(path).parent)).mode == 0o700
    owner = {path.split("/")[-2]: int(uid) for _, uid, path in (line.split() for line in files)}
    assert owner["db"] == 999 and owner["backend"] == 1000, owner


def test_mode_is_never_wider(scenario: Scenario, host: Host, client: Callable[..., Path]) -> None:
    """Watch the folder while secrets are written anew: nothing in it is ever open to others."""
    watch(host, "find /srv/stacks/notes -path '*secrets*' -perm /077")
    scenario.converge("--tags", "stacks", inventory=client(seed))
    assert watched(host) == ""


def test_secrets_are_files_by_default(host: Host) -> None:
    environment = host.check_output("docker inspect -f '{{.Config.Env}}' $(docker ps -aq)")
    for value in host.check_output("cat /srv/stacks/shop/secrets/*/*").split():
        assert value not in environment


def test_missing_secret_changes_nothing(
    scenario: Scenario, host: Host, changed_copy: Callable[..., Path]
) -> None:
    before = started(host)
    for value in ("", "changeme", "{{ lookup('ansible.builtin.env', 'NOBODY_SET_THIS') }}"):
        wrong = changed_copy(
            lambda stacks, value=value: stack(stacks, "notes").update(secrets={"token": value})
        )
        run = scenario.site(inventory=wrong)
        assert run.status != 0 and "token" in run.output, run.output
    assert started(host) == before
