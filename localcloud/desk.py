"""The verbs: bring the cloud up, take it down, show what is there."""

from __future__ import annotations

import shutil
import time

from localcloud import account, cloud, control, elb, machines, networks, reconcile
from localcloud.cloud import CACHE, ENDPOINT, LABEL, MINISTACK, MOTO, RUN, CloudError, client
from testhost import hosts, registry
from testhost.docker import CHECKOUT, NETWORK, TesthostError, docker, inspect, say, step


def up() -> None:
    """Start what is missing, adopt what runs. Nothing of another checkout is touched."""
    _alone()
    _not_orphaned()
    registry.ensure()
    hosts.ensure_key()
    with step("localcloud"):
        control.up()
        reconcile.start()
    account = f"{cloud.REGION}, account {cloud.ACCOUNT}"
    say(f"AWS answers at {ENDPOINT} ({account}); localcloud status shows what is there")


def _alone() -> None:
    """One cloud on a machine: its addresses are fixed."""
    for kind in ("container", "network"):
        for found in cloud.ours(kind):
            owner = (found.get("Labels") or found.get("Config", {}).get("Labels") or {}).get(LABEL)
            if owner != str(CHECKOUT):
                raise CloudError(
                    f"the cloud of {owner} is here: {owner}/localcloud/localcloud down removes it"
                )
    for name, address in cloud.ADDRESSES.items():
        for other in _holders(address):
            if other != name:
                raise CloudError(f"{address} is taken by the container {other}: docker rm --force {other}")


def _holders(address: str) -> list[str]:
    found = inspect("network", NETWORK)
    members = found[0]["Containers"].values() if found else []
    return [str(each["Name"]) for each in members if each["IPv4Address"].partition("/")[0] == address]


def _not_orphaned() -> None:
    """The account lives in the emulators' memory: hosts whose account is gone belong to nothing."""
    left = cloud.ours("container", machines.MARK)
    for name in (MOTO, MINISTACK) if left else ():
        found = inspect("container", name)
        if not (found and found[0]["State"]["Running"]):
            said = f"{name} was killed and the account with it; {len(left)} hosts of it are left"
            raise CloudError(f"{said}: localcloud down, then up")


def down() -> None:
    """Remove everything of this checkout's cloud; nothing there is no error."""
    _alone()
    reconcile.stop()
    until = time.monotonic() + machines.SHUTDOWN
    while left := cloud.ours("container"):
        for found in left:
            try:
                docker("rm", "--force", "--volumes", found["Id"])
            except TesthostError:  # the engine may just be finishing what the reconciler asked for
                if time.monotonic() > until:
                    raise
        time.sleep(0.2)
    for network in cloud.ours("network"):
        networks.remove(network["Name"])
    if CACHE.exists():
        shutil.rmtree(CACHE)
    say("nothing of the cloud is left")


def status() -> None:
    """Show parts, instances, balancers, and calls that had no effect."""
    if not cloud.running():
        raise CloudError("the cloud is not up: localcloud up")
    _alone()
    say(f"endpoint    {ENDPOINT}  account {cloud.ACCOUNT}  region {cloud.REGION}")
    for name in control.PARTS:
        found = inspect("container", name)
        say(f"part        {name:24} {found[0]['State']['Status'] if found else 'missing'}")
    say(f"part        {'reconciler':24} {'running' if reconcile.running() else 'not running: localcloud up'}")
    hosts = machines.found()
    for instance in account.instances().values():
        machine = hosts.get(instance.identity)
        text = "no machine" if machine is None else "on" if machine.running else "off"
        say(f"instance    {instance.identity:24} {instance.state:12} {instance.address:15} machine: {text}")
    for balancer in account.balancers():
        say(f"balancer    {balancer.name:24} {account.address_of(balancer.name):15} {balancer.dns}")
        if elb.weighs(balancer):
            say("  rule      weights are not carried out: the heaviest group has every request")
        for group in balancer.used():
            health = client("elbv2").describe_target_health(TargetGroupArn=group.arn)[
                "TargetHealthDescriptions"
            ]
            for each in health:
                target = f"{each['Target']['Id']}:{each['Target']['Port']}"
                say(f"  target    {target:24} {each['TargetHealth']['State']}")
    for kind, text in {"recorded": "recorded, without effect on hosts", "refused": "refused"}.items():
        for call, count in calls(kind).items():
            say(f"call        {call:40} {text} ({count})")


def calls(kind: str) -> dict[str, int]:
    """Return how often each call was only recorded, or refused, since the gateway started."""
    lines = cloud.ask(RUN / "gateway.sock", f"show table {kind}").splitlines()
    rows = [
        dict(part.split("=", 1) for part in line.split() if "=" in part) for line in lines if "key=" in line
    ]
    return {row["key"]: int(row["http_req_cnt"]) for row in rows}
