"""A real proxy behind each load balancer of the account, and the health of its targets told back."""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from localcloud import authority, cloud, networks, proxy
from localcloud.cloud import RUN, TROUBLE, CloudError, client
from localcloud.proxy import Balancer, Group, Listener, Target
from testhost.docker import docker, inspect

MARK = "balancer"
FOLDER = RUN / "balancers"
HEALTH = RUN / "health.json"


def name_of(balancer: str) -> str:
    return f"drover-cloud-lb-{balancer}"


# --- what the account says


def wanted() -> list[Balancer]:
    """Return every application load balancer with all that its proxy needs to know.

    Groups of functions, and targets that have no address, are left out: nothing here can reach them.
    """
    elb = client("elbv2")
    found = elb.describe_load_balancers()["LoadBalancers"]
    if not found:
        return []
    groups = {one.arn: one for one in _groups()}
    return [_balancer(each, groups) for each in found if each.get("Type", "application") == "application"]


def _balancer(found: Mapping[str, Any], groups: Mapping[str, Group]) -> Balancer:
    listeners = client("elbv2").describe_listeners(LoadBalancerArn=found["LoadBalancerArn"])["Listeners"]
    return Balancer(
        name=found["LoadBalancerName"],
        dns=found["DNSName"].lower(),
        vpc=found["VpcId"],
        subnet=found["AvailabilityZones"][0]["SubnetId"],
        idle=int(
            _attributes("load_balancer", found["LoadBalancerArn"]).get("idle_timeout.timeout_seconds", 60)
        ),
        listeners=tuple(_listener(each) for each in listeners),
        groups=groups,
    )


def _listener(found: Mapping[str, Any]) -> Listener:
    rules = client("elbv2").describe_rules(ListenerArn=found["ListenerArn"])["Rules"]
    return Listener(
        port=found["Port"],
        secure=found["Protocol"] == "HTTPS",
        certificates=tuple(
            tuple(_certificate(each["CertificateArn"])) for each in found.get("Certificates", [])
        ),
        rules=tuple(sorted(rules, key=_priority)),
    )


def _priority(rule: Mapping[str, Any]) -> int:
    return 10**6 if rule["IsDefault"] else int(rule["Priority"])


def _certificate(arn: str) -> list[str]:
    """Return the names that a certificate of the account stands for."""
    found = client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
    return list(dict.fromkeys([found["DomainName"], *found.get("SubjectAlternativeNames", [])]))


def _groups() -> Iterator[Group]:
    for found in client("elbv2").describe_target_groups()["TargetGroups"]:
        if found.get("TargetType") == "lambda":
            continue
        arn = found["TargetGroupArn"]
        # moto lists who is registered, no matter what we told it of their health
        health = client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        attributes = _attributes("target_group", arn)
        yield Group(
            arn=arn,
            name=found["TargetGroupName"],
            check=found,
            sticky=attributes.get("stickiness.enabled") == "true",
            sticky_seconds=int(attributes.get("stickiness.lb_cookie.duration_seconds", 86400)),
            drain_seconds=int(attributes.get("deregistration_delay.timeout_seconds", 300)),
            targets=tuple(target for each in health if (target := _target(each["Target"])).address),
        )


def _attributes(kind: str, arn: str) -> dict[str, str]:
    parameter = "".join(word.title() for word in kind.split("_")) + "Arn"
    answer = getattr(client("elbv2"), f"describe_{kind}_attributes")(**{parameter: arn})
    return {each["Key"]: each["Value"] for each in answer["Attributes"]}


def _target(found: Mapping[str, Any]) -> Target:
    identity, port = str(found["Id"]), int(found["Port"])
    return Target(identity, _address(identity), port)


def _address(identity: str) -> str:
    if not identity.startswith("i-"):
        return identity
    try:
        groups = client("ec2").describe_instances(InstanceIds=[identity])["Reservations"]
    except ClientError:
        return ""  # there is no such instance: AWS would have refused the target
    return str(groups[0]["Instances"][0].get("PrivateIpAddress", "")) if groups else ""


# --- its address, which the network interface of a balancer has, as in AWS


def address_of(balancer: Balancer) -> str:
    """Return the balancer's address; its network interface is made if there is none."""
    ec2, about = client("ec2"), _about(balancer.name)
    filters = [{"Name": "description", "Values": [about]}]
    found = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    if not found:
        made = ec2.create_network_interface(SubnetId=balancer.subnet, Description=about)
        found = [made["NetworkInterface"]]
    return str(found[0]["PrivateIpAddress"])


def _about(name: str) -> str:
    return f"ELB app/{name}"


# --- the proxy


def ensure(balancer: Balancer) -> bool:
    """Make the proxy match: started, its structure reloaded, its targets changed while it runs.

    Tells whether it runs as it should already; what was just started or reloaded is asked the next time.
    """
    folder = FOLDER / balancer.name
    folder.mkdir(parents=True, exist_ok=True)
    for names in {names for listener in balancer.listeners for names in listener.certificates}:
        authority.issue(list(names), folder / proxy.certificate_file(names))
    text = proxy.configuration(balancer)
    _write(folder / "haproxy.cfg", text)
    found = inspect("container", name_of(balancer.name))
    if not found or not found[0]["State"]["Running"]:
        _start(balancer)
        return False
    if f"description: {proxy.structure(text)}" not in ask(balancer.name, "show info").splitlines():
        _reload(balancer.name, proxy.structure(text))
        return False  # the new process has its targets from the file
    _asked.pop(balancer.name, None)
    for group in balancer.used():
        _move(balancer.name, group)
    return True


_asked: dict[str, str] = {}  # balancer → the structure that its proxy was last told to load


def _reload(balancer: str, structure: str) -> None:
    """Have the proxy read its file, once: one that refuses it goes on with what it has."""
    if _asked.get(balancer) == structure:
        raise CloudError(f"the proxy does not take its configuration: docker logs {name_of(balancer)}")
    _asked[balancer] = structure
    docker("kill", "--signal", "USR2", name_of(balancer))


def _start(balancer: Balancer) -> None:
    if inspect("container", name_of(balancer.name)):
        docker("rm", "--force", name_of(balancer.name))
    address = address_of(balancer)
    (RUN / "names" / balancer.name).write_text(f"{address} {balancer.dns}\n")
    network = networks.ensure(balancer.vpc)
    folder = f"/run/localcloud/balancers/{balancer.name}"
    docker(
        "run", "--detach", "--name", name_of(balancer.name), *cloud.labels(balancer=balancer.name),
        "--network", network, "--ip", address, "--sysctl=net.ipv4.ip_unprivileged_port_start=0",
        f"--volume={RUN}:/run/localcloud", "--restart=unless-stopped", cloud.IMAGE,
        "haproxy", "-W", "-db", "-f", f"{folder}/haproxy.cfg",
    )  # fmt: skip


def ask(balancer: str, command: str) -> str:
    return cloud.ask(FOLDER / balancer / "admin.sock", command)


# --- targets come and go while the proxy runs

_leaving: dict[tuple[str, str, str], float] = {}  # (balancer, group, server) → when its last requests are cut


def _rows(balancer: str) -> dict[tuple[str, str], dict[str, str]]:
    """Return what the proxy knows of each server, by group and server."""
    lines = ask(balancer, "show stat -1 4 -1").removeprefix("# ").splitlines()
    return {(row["pxname"], row["svname"]): row for row in csv.DictReader(lines)}


def _move(balancer: str, group: Group) -> None:
    """Add targets that are new; let those that left finish what they have for the group's time."""
    rows = {server: row for (name, server), row in _rows(balancer).items() if name == group.name}
    wished = {target.server: target for target in group.targets}
    for server in wished.keys() - rows.keys():
        where = proxy.address(wished[server])
        ask(balancer, f"add server {group.name}/{server} {where} {proxy.options(group)}")
        _let_in(balancer, f"{group.name}/{server}")
    for server in wished.keys() & rows.keys():
        _leaving.pop((balancer, group.name, server), None)
        if rows[server]["status"].startswith(
            "MAINT"
        ):  # it was leaving, or we were ended before it was let in
            _let_in(balancer, f"{group.name}/{server}")
    for server in rows.keys() - wished.keys():
        _let_go(balancer, group, server)


def _let_in(balancer: str, path: str) -> None:
    """Let a server have requests once its checks succeed, as in AWS."""
    ask(balancer, f"enable health {path}; enable server {path}; set server {path} health down")


def _let_go(balancer: str, group: Group, server: str) -> None:
    key, path = (balancer, group.name, server), f"{group.name}/{server}"
    if key not in _leaving:
        _leaving[key] = time.monotonic() + group.drain_seconds
        ask(balancer, f"set server {path} state maint")
    elif time.monotonic() > _leaving[key]:
        ask(balancer, f"shutdown sessions server {path}; del server {path}")
        _leaving.pop(key)


def _health(balancer: Balancer) -> dict[str, dict[str, tuple[str, str, str]]]:
    """Return AWS's words for each target, by group and by <instance>:<port>."""
    told: dict[str, dict[str, tuple[str, str, str]]] = {}
    arns = {group.name: group.arn for group in balancer.used()}
    for (name, server), row in _rows(balancer.name).items():
        identity, _, port = server.rpartition("_")
        leaves = (balancer.name, name, server) in _leaving
        told.setdefault(arns.get(name, ""), {})[f"{identity}:{port}"] = proxy.state(row, leaves)
    return told


# --- all of them


def tick(tell: Callable[[str, str], None]) -> set[str]:
    """Make every proxy match, tell back what they see; return the VPCs that have a balancer.

    `tell` takes a balancer's name and what is wrong with it; the others go on.
    """
    balancers = wanted()
    names = {each.name for each in balancers}
    for found in cloud.ours("container", MARK):
        if cloud.mark_of(found, MARK) not in names:
            _remove(cloud.mark_of(found, MARK))
    before = json.loads(HEALTH.read_text()) if HEALTH.exists() else {}
    health: dict[str, dict[str, tuple[str, str, str]]] = {}
    for balancer in balancers:
        known = {group.arn: before[group.arn] for group in balancer.used() if group.arn in before}
        try:
            health |= _health(balancer) if ensure(balancer) else known
        except TROUBLE as problem:
            health |= known
            tell(balancer.name, str(problem))
    _write(HEALTH, json.dumps(health))
    return {each.vpc for each in balancers}


def _write(file: Path, text: str) -> None:
    """Change a file as a whole, and only if it says something else."""
    if not file.exists() or file.read_text() != text:
        draft = file.with_suffix(".new")
        draft.write_text(text)
        draft.rename(file)


def _remove(name: str) -> None:
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    (RUN / "names" / name).unlink(missing_ok=True)
    ec2 = client("ec2")
    filters = [{"Name": "description", "Values": [_about(name)]}]
    for each in ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]:
        with suppress(ClientError):  # the subnet may be gone already, and its interfaces with it
            ec2.delete_network_interface(NetworkInterfaceId=each["NetworkInterfaceId"])
    # The last, since a container is what shows that a balancer was here.
    docker("rm", "--force", name_of(name))
