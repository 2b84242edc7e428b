"""What a proxy's servers become in the file that the emulator answers health from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from localcloud import balancers
from localcloud.elb import Balancer, Group, Listener, Target

CHECK = {"Protocol": "HTTP", "HealthCheckProtocol": "HTTP"}
WEB = Group("arn:web", "web", CHECK, False, 60, 0, (Target("i-1", "10.0.0.9", 80),))
RULE = {"Actions": [{"Type": "forward", "TargetGroupArn": "arn:web"}]}
FRONT = Balancer("front", "front.example", "vpc", "subnet", 60, (Listener(80, False, (), (RULE,)),))
WELL = {"status": "UP", "check_status": "L7OK"}


class Proxy:
    """One that carries out what it is asked at once; its servers by group and server."""

    def __init__(self) -> None:
        self.rows = {("web", "i-1_80"): WELL}

    def servers(self, balancer: str) -> dict[tuple[str, str], dict[str, str]]:
        return dict(self.rows)

    def ask(self, balancer: str, command: str) -> str:
        if "del server" in command:
            self.rows.clear()
        return ""


def test_a_target_that_left_has_no_health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the emulator would never say that it is not registered, and nobody would register it again."""
    proxy, said = Proxy(), list[str]()
    monkeypatch.setattr(balancers, "HEALTH", tmp_path / "health.json")
    monkeypatch.setattr(balancers, "servers", proxy.servers)
    monkeypatch.setattr(balancers, "ask", proxy.ask)
    monkeypatch.setattr(balancers, "_ready", {"front"})

    def look(group: Group) -> dict[str, list[str]]:
        monkeypatch.setattr(balancers, "_known", [replace(FRONT, groups={group.arn: group})])
        balancers.look(lambda *told: said.append(str(told)))
        found: dict[str, dict[str, list[str]]] = json.loads(balancers.HEALTH.read_text())
        return found["arn:web"]

    assert look(WEB)["i-1:80"][0] == "healthy"
    empty = replace(WEB, targets=())
    assert look(empty)["i-1:80"][0] == "draining"
    assert look(empty) == {}
    assert not said
