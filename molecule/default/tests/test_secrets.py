"""No secret in any output; files that only their reader can read (S1, S2, S3, S4)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import yaml
from shared.scenario import Scenario, Stacks, service, stack, started
from testinfra.host import Host

CANARIES = [f"canary{n:02d}x7Qw{n * 7919:06d}" for n in range(20)]


def forms(canary: str) -> list[str]:
    return [canary, base64.b64encode(canary.encode()).decode().rstrip("=")[:-1]]


IN_ENVIRONMENT = CANARIES[18]  # its stack asked for it; only `docker inspect` shows it
IN_LINES = CANARIES[19]
SHORT = "k4n7Qw"  # too short to be searched for in a result, so it must not get there at all
PRINTS_ITS_SECRET = """
services:
  tattler:
    image: drover/demo-notes:1.0.0
    entrypoint: [sh, -c, "cat /run/secrets/told; exit 3"]
    secrets: [told]
secrets:
  told: {file: ./told}
"""


def seed(stacks: Stacks) -> None:
    """Canaries as files of the one-image stack, which gets every secret; one also as a variable."""
    notes = stack(stacks, "notes")
    notes["secrets"] = {f"canary_{n}": canary for n, canary in enumerate(CANARIES[1:19], start=1)}
    notes["secrets"]["key"] = f"-----BEGIN-----\n{IN_LINES}\n-----END-----\n"
    notes["secrets"]["pin"] = SHORT
    notes["env"] = {"TOKEN": {"secret": "canary_18"}}


def seed_channel(folder: Path) -> Path:
    """A channel of alerts with a canary as its password; nothing listens there."""
    channels = [f"json://anna:{CANARIES[0]}@127.0.0.1:9/"]
    platform = {"environment": "staging", "alerts": {"channels": channels}}
    path = folder / "group_vars" / "all" / "zz.yml"
    path.write_text(yaml.safe_dump({"drover_platform": platform}))
    return folder


def break_it(stacks: Stacks) -> None:
    seed(stacks)
    stack(stacks, "notes")["version"] = "9.9.9"  # no such image


def tattle(stacks: Stacks) -> None:
    reason = {"tattler": {"no_health_check": "it only prints and ends"}}
    stacks.append({"name": "tattle", "compose": "tattle", "secrets": {"told": CANARIES[3]}, "allow": reason})


def watch(host: Host, look: str) -> None:
    """Take the look again and again, as fast as it goes, and keep what it prints."""
    script = f"while :; do {look}; done > /tmp/watched 2>/dev/null"
    host.run("systemctl stop watch")  # of a test that failed
    host.check_output(f'systemd-run --collect --property=RuntimeMaxSec=1200 --unit=watch sh -c "{script}"')


def watched(host: Host) -> str:
    """Stop looking, and return what was seen."""
    host.check_output("systemctl stop watch")
    return str(host.check_output("cat /tmp/watched; rm /tmp/watched"))


def test_no_canary_anywhere(scenario: Scenario, host: Host, client: Callable[..., Path]) -> None:
    since = host.check_output("date +%s")
    watch(host, "cat /proc/[0-9]*/cmdline | tr '\\\\0' ' ' | grep -ao 'canary[0-9][^ ]*'; sleep 0.02")
    host.check_output("sh -c 'sleep 1; : canary99'")
    seeded = seed_channel(client(seed))
    outputs = [
        scenario.site("--check", "--diff", "-vvvv", inventory=seeded).output,
        scenario.converge("--diff", "-vvvv", inventory=seeded).output,
        host.check_output(
            "drover report --key canary --severity info --title test; drover send 2>&1 || true"
        ),
        scenario.site("--tags", "stacks", "--check", "--diff", "-vvvv", inventory=seeded).output,
    ]
    assert (
        host.check_output(f"docker exec {service(host, 'notes', 'app')} cat /run/secrets/canary_7")
        == CANARIES[7]
    )
    broken = client(break_it)
    failed = scenario.site("--tags", "stacks", "--diff", "-vvvv", inventory=broken)
    assert failed.status != 0
    telling = client(tattle)
    (telling / "compose" / "tattle").mkdir(parents=True)
    (telling / "compose" / "tattle" / "compose.yaml").write_text(PRINTS_ITS_SECRET)
    told = scenario.site("--tags", "stacks", "-vvvv", inventory=telling)
    assert told.status != 0 and "tattle/tattler" in told.output, told.output
    gone = client(lambda stacks: stacks.append({"name": "tattle", "state": "absent"}))
    wrong = client(lambda stacks: stack(stacks, "notes").update(secrets=CANARIES))
    refused = scenario.site("-vvvv", inventory=wrong)
    assert refused.status != 0
    looks = {
        "output": "\n".join([*outputs, failed.output, told.output, refused.output]),
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
        shown = {IN_ENVIRONMENT} if place == "docker inspect" else set()
        sought = [each for each in (*CANARIES, SHORT) if each not in shown]
        hits = [each for each in sought for form in forms(each) if form in text]
        assert not hits, f"{place} shows {hits[:3]}"
    scenario.converge("--tags", "stacks", inventory=gone)


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
    """Watch the folder while secrets are written anew: nothing is ever open to others but our own probe."""
    probe = "/srv/stacks/notes/secrets/probe"
    watch(host, "find /srv/stacks/notes -path '*secrets*' -perm /077")
    host.check_output(f"touch {probe} && chmod 0644 {probe} && sleep 0.5 && rm {probe}")
    scenario.converge("--tags", "stacks", inventory=client(seed))
    assert set(watched(host).split()) == {probe}


def test_secrets_are_files_by_default(host: Host) -> None:
    environment = host.check_output("docker inspect -f '{{.Config.Env}}' $(docker ps -aq)")
    assert host.check_output("docker exec shop-backend-1 ls /run/secrets") == "db_password"
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
