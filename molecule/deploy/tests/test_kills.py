"""Killed at any moment and run again: nothing is left over, nothing was lost, Compose finds nothing to do.

DROVER_KILLS says how many moments are tried (10), DROVER_SEED which ones; with DROVER_EVIDENCE the outcome
goes to docs/evidence/kills.json.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import re
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from shared.scenario import ROOT, Scenario, Stacks, containers, stack, started
from testinfra.host import Host

KILLS = int(os.environ.get("DROVER_KILLS", "10"))
SEED = int(os.environ.get("DROVER_SEED") or random.randrange(10**6))
LONGEST = 6.0  # seconds that the deploy of this stack takes without soak and drain


@pytest.fixture
def versions(scenario: Scenario, client: Callable[..., Any], agent: Any) -> list[dict[str, Any]]:
    """Two releases of `pair` on the host: replicas, a caller, and a service that cannot run twice."""
    found = []
    for version in ("1.1.0", "1.0.0"):
        quick = {"version": version, "deploy": {"soak": 0, "drain": 0}}
        scenario.converge("--tags", "stacks", inventory=client(partial(change, quick)))
        found.append(agent.manifest("pair"))
    return found


def change(data: dict[str, Any], stacks: Stacks) -> None:
    stack(stacks, "pair").update(data)


def kill(host: Host, command: str, moment: float, *, everything: bool) -> bool:
    """Kill the agent at this moment, with what it started or without; tell whether it was still there."""
    agent = "pkill -KILL -f '^/usr/bin/python3 -IS /usr/local/bin/drover apply'; echo hit $?"
    others = "; ".join(f"pkill -KILL -x {each}" for each in ("docker", "docker-compose", "nft"))
    killed = f"{agent}; {others}" if everything else agent
    done = host.run(f"sh -c {json.dumps(command)} >/dev/null 2>&1 & sleep {moment:.3f}; {killed}")
    return "hit 0" in done.stdout


def check(host: Host, version: str) -> None:
    """Exactly the containers that the release has, by Compose's names and images; no table is left."""
    found = containers(host, "pair")
    services = sorted(each["Config"]["Labels"]["com.docker.compose.service"] for each in found.values())
    assert services == ["api", "api", "caller", "store"], sorted(found)
    for name, each in found.items():
        labels = each["Config"]["Labels"]
        number, service = (labels[f"com.docker.compose.{key}"] for key in ("container-number", "service"))
        assert name == f"pair-{service}-{number}" and each["State"]["Running"], name
        assert service == "caller" or each["Config"]["Image"].endswith(f":{version}"), name
    route = host.check_output("cat /srv/proxy/routes/pair.*")  # of whichever proxy
    assert set(re.findall(r"pair-api-\d+", route)) == {name for name in found if "-api-" in name}


def killed(host: Host, agent: Any, wish: dict[str, Any], moment: float, everything: bool) -> dict[str, Any]:
    """One deploy that is killed and run again."""
    hit = kill(host, agent.command(wish), moment, everything=everything)
    agent.apply(wish)
    check(host, wish["version"])
    before = started(host)
    host.check_output("cd /srv/stacks/pair/current && docker compose up -d")
    assert started(host) == before, moment
    again = agent.apply(wish)
    assert not again["changed"], (moment, again)
    return {"seconds": round(moment, 3), "everything": everything, "hit": hit}


def test_killed_anywhere(
    host: Host, agent: Any, versions: list[dict[str, Any]], load: Callable[..., Any]
) -> None:
    print(f"seed {SEED}, {KILLS} kills")
    chance = random.Random(SEED)
    with load("pair.test.example", "--pause", "0.05") as pair:
        moments = [
            killed(host, agent, versions[turn % 2], chance.uniform(0.1, LONGEST), bool(turn // 2 % 2))
            for turn in range(KILLS)
        ]
    assert pair.failed == 0, pair.data
    assert sum(each["hit"] for each in moments) > KILLS / 2, moments
    if os.environ.get("DROVER_EVIDENCE"):
        evidence(moments, pair.data)


def evidence(moments: list[dict[str, Any]], seen: dict[str, Any]) -> None:
    commit = ["git", "rev-parse", "--short", "HEAD"]
    found = {
        "commit": subprocess.run(commit, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip(),
        "date": datetime.date.today().isoformat(),
        "command": f"DROVER_KILLS={KILLS} DROVER_SEED={SEED} DROVER_EVIDENCE=1 tests/support/molecule deploy",
        "seed": SEED,
        "kills": moments,
        "requests": seen["requests"],
        "failed": seen["failed"],
        "substitutes": "images: stand-ins where no registry answered",
    }
    (ROOT / "docs" / "evidence" / "kills.json").write_text(json.dumps(found, indent=1) + "\n")
