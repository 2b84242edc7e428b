"""A real proxy behind each load balancer of the account, and the health of its targets told back."""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from botocore.exceptions import ClientError

from localcloud import account, authority, cloud, networks, proxy
from localcloud.cloud import RUN, TROUBLE, CloudError, moto
from localcloud.elb import Balancer, Group
from testhost.docker import docker, inspect

MARK = "balancer"
FOLDER = RUN / "balancers"
HEALTH = RUN / "health.json"


def name_of(balancer: str) -> str:
    return f"drover-cloud-lb-{balancer}"


# --- the proxy


def ensure(balancer: Balancer) -> bool:
    """Make the proxy match: started, its structure reloaded.

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
    address = _address(balancer)
    (RUN / "names" / balancer.name).write_text(f"{address} {balancer.dns}\n")
    network = networks.ensure(balancer.vpc)
    folder = f"/run/localcloud/balancers/{balancer.name}"
    docker(
        "run", "--detach", "--name", name_of(balancer.name), *cloud.labels(balancer=balancer.name),
        "--network", network, "--ip", address, "--sysctl=net.ipv4.ip_unprivileged_port_start=0",
        f"--volume={RUN}:/run/localcloud", "--restart=unless-stopped", cloud.IMAGE,
        "haproxy", "-W", "-db", "-f", f"{folder}/haproxy.cfg",
    )  # fmt: skip


def _address(balancer: Balancer) -> str:
    """Return the address of the balancer's network interface, which is made first."""
    if not account.interfaces(balancer.name):
        about = account.about(balancer.name)
        moto("ec2").create_network_interface(SubnetId=balancer.subnet, Description=about)
    return account.address_of(balancer.name)


def ask(balancer: str, command: str) -> str:
    return cloud.ask(FOLDER / balancer / "admin.sock", command)


# --- targets come and go while the proxy runs

_leaving: dict[tuple[str, str, str], float] = {}  # (balancer, group, server) → when its last requests are cut


def servers(balancer: str) -> dict[tuple[str, str], dict[str, str]]:
    """Return what the proxy knows of each server, by group and server."""
    lines = ask(balancer, "show stat -1 4 -1").removeprefix("# ").splitlines()
    return {(row["pxname"], row["svname"]): row for row in csv.DictReader(lines)}


def _move(balancer: str, group: Group, known: Mapping[tuple[str, str], Mapping[str, str]]) -> None:
    """Add targets that are new; let those that left finish what they have for the group's time.

    `known`: the proxy's servers.
    """
    rows = {server: row for (name, server), row in known.items() if name == group.name}
    wished = {target.server: target for target in group.targets}
    for server in wished.keys() - rows.keys():
        where = proxy.address(wished[server])
        ask(balancer, f"add server {group.name}/{server} {where} {proxy.options(group)}")
        _let_in(balancer, f"{group.name}/{server}")
    for server in wished.keys() & rows.keys():
        _leaving.pop((balancer, group.name, server), None)
        if rows[server]["status"].startswith("MAINT"):  # it was leaving, or we ended before it was let in
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
    told: dict[str, dict[str, tuple[str, str, str]]] = {group.arn: {} for group in balancer.used()}
    arns = {group.name: group.arn for group in balancer.used()}
    for (name, server), row in servers(balancer.name).items():
        identity, _, port = server.rpartition("_")
        leaves = (balancer.name, name, server) in _leaving
        if name in arns:
            told[arns[name]][f"{identity}:{port}"] = proxy.state(row, leaves)
    return told


# --- all of them


_known: list[Balancer] = []  # as the account was last read
_ready: set[str] = set()  # the names of those whose proxy runs as it should


def tick(tell: Callable[[str, str], None]) -> tuple[set[str], bool]:
    """Make every proxy match the account, and look after its targets.

    Returns the VPCs that have a balancer, and whether every proxy runs as it should by now. `tell` takes a
    balancer's name and what is wrong with it; the others go on.
    """
    _known[:] = account.balancers()
    names = {each.name for each in _known}
    for found in cloud.ours("container", MARK):
        if cloud.mark_of(found, MARK) not in names:
            _remove(cloud.mark_of(found, MARK))
    _ready.clear()
    _ready.update(each.name for each in _known if _fits(each, tell))
    look(tell)
    return {each.vpc for each in _known}, _ready == names


def _fits(balancer: Balancer, tell: Callable[[str, str], None]) -> bool:
    try:
        return ensure(balancer)
    except TROUBLE as problem:
        tell(balancer.name, str(problem))
        return False


def look(tell: Callable[[str, str], None]) -> None:
    """Let targets come and go as the account was last read, and tell back what the proxies see of them."""
    before = json.loads(HEALTH.read_text()) if HEALTH.exists() else {}
    used = {group.arn for each in _known for group in each.used()}
    health = {arn: told for arn, told in before.items() if arn in used}
    for balancer in _known:
        if balancer.name not in _ready:
            continue
        try:
            known = servers(balancer.name)
            for group in balancer.used():
                _move(balancer.name, group, known)
            health |= _health(balancer)
        except TROUBLE as problem:
            tell(balancer.name, str(problem))
    _write(HEALTH, json.dumps(health))


def _write(file: Path, text: str) -> None:
    """Change a file as a whole, and only if it says something else."""
    if not file.exists() or file.read_text() != text:
        draft = file.with_suffix(".new")
        draft.write_text(text)
        draft.rename(file)


def _remove(name: str) -> None:
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    (RUN / "names" / name).unlink(missing_ok=True)
    for each in account.interfaces(name):
        with suppress(ClientError):  # the subnet may be gone already, and its interfaces with it
            moto("ec2").delete_network_interface(NetworkInterfaceId=each["NetworkInterfaceId"])
    # The last, since a container is what shows that a balancer was here.
    docker("rm", "--force", name_of(name))
