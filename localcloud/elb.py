"""A load balancer as the account has it: listeners, rules, target groups and targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Target:
    """A registered target: an instance or an address, where it is, and its port."""

    identity: str
    address: str
    port: int

    @property
    def server(self) -> str:
        return f"{self.identity}_{self.port}"


@dataclass(frozen=True)
class Group:
    """A target group: DescribeTargetGroups' answer as `check`, attributes and targets."""

    arn: str
    name: str
    check: Mapping[str, Any]
    sticky: bool
    sticky_seconds: int
    drain_seconds: int
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Listener:
    """A listener with its rules in order, the default last."""

    port: int
    secure: bool
    certificates: tuple[tuple[str, ...], ...]  # names, one tuple for each certificate
    rules: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Balancer:
    """A load balancer and the groups of the account by ARN."""

    name: str
    dns: str
    vpc: str
    subnet: str
    idle: int  # seconds
    listeners: tuple[Listener, ...]
    groups: Mapping[str, Group] = field(default_factory=dict)

    def actions(self) -> list[Mapping[str, Any]]:
        """Return what the rules of all listeners do, in order."""
        rules = [rule for listener in self.listeners for rule in listener.rules]
        return [action for rule in rules for action in rule["Actions"]]

    def used(self) -> list[Group]:
        """Return the groups that a rule of this balancer forwards to, each once."""
        arns = map(group_of, self.actions())
        return [self.groups[arn] for arn in dict.fromkeys(arns) if arn in self.groups]


def group_of(action: Mapping[str, Any]) -> str:
    """Return the group that a forward goes to; of several with weights, the heaviest."""
    several: list[Mapping[str, Any]] = action.get("ForwardConfig", {}).get("TargetGroups", [])
    heaviest = max(several, key=lambda each: int(each.get("Weight", 1)), default={})
    return str(action.get("TargetGroupArn") or heaviest.get("TargetGroupArn", ""))


def weighs(balancer: Balancer) -> bool:
    """Tell whether a rule spreads over several groups, which is not carried out."""
    several = (action.get("ForwardConfig", {}).get("TargetGroups", []) for action in balancer.actions())
    return any(len(groups) > 1 for groups in several)
