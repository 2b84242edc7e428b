"""What may go wrong in a rebuild: before the switch the old one serves on, and nothing is lost."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from shared.instances import INVENTORY, over_ssh
from shared.scenario import ROOT, Run, eventually, typed
from shared.traffic import diary, traffic, unharmed

from localcloud import cloud, faults

from .rebuilds import (
    begun,
    ended,
    instances,
    journal,
    killed,
    owner,
    reached,
    rebuild,
    running,
    serving,
    settled,
    start,
)
from .s3 import BUCKET, PREFIX, psql

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("bookings")]
BLOCK = (
    "nft 'add table inet cut; add chain inet cut in { type filter hook prerouting priority -400; };"
    ' add rule inet cut in iifname "eth0" tcp dport 80 drop\''
)


@contextmanager
def meanwhile(step: str, what: Callable[[], object]) -> Iterator[None]:
    """Do it as soon as the step has begun."""
    before = owner()

    def wait() -> None:
        assert eventually(lambda: begun(step, before), 400), f"{step} did not begin"
        what()

    with ThreadPoolExecutor() as pool:
        done = pool.submit(wait)
        yield
    done.result()


def packs() -> dict[str, bytes]:
    """Every pack of the host's repository, by its key."""
    s3 = cloud.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{PREFIX}data/")
    keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
    return {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def put(objects: dict[str, bytes]) -> None:
    for key, content in objects.items():
        cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content)


def spoiled(objects: dict[str, bytes]) -> dict[str, bytes]:
    """The same with other bytes in the middle, where data is."""
    return {
        key: content[: len(content) // 3] + b"\0" * 64 + content[len(content) // 3 + 64 :]
        for key, content in objects.items()
    }


def page() -> list[Callable[[], Run]]:
    """The commands of docs/host-gone.md, one after the other, with the scenario's inventory."""
    text = (ROOT / "docs" / "host-gone.md").read_text()
    lines = [each.strip() for each in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
    commands = [shlex.split(each.replace("inventories/acme", str(INVENTORY))) for each in lines]
    return [partial(typed, command, 900) for command in commands]


def refused(*arguments: str, step: str = "", what: Callable[[], object] = bool) -> Run:
    """A rebuild that fails, after which the instance that served serves as if nothing had been."""
    identity, host = serving()
    with traffic("refused") as seen:
        if step:
            with meanwhile(step, what):
                run = rebuild(*arguments)
        else:
            run = rebuild(*arguments)
    assert run.status != 0, run.output
    unharmed(seen)
    assert journal()["outcome"] == "failed"
    settled(identity, host)
    return run


def test_the_new_one_does_not_converge() -> None:
    run = refused("-e", "backup_restic=/nowhere/restic")
    assert "did not converge: Put restic" in run.output, run.output


def test_a_smoke_test_fails() -> None:
    _, host = serving()
    psql(host, "TRUNCATE bookings;")
    run = refused()
    assert "SELECT count(*) FROM bookings" in run.output and "0, not 1 or more" in run.output, run.output


def test_what_is_restored_is_not_what_was_recorded() -> None:
    kept: dict[str, bytes] = {}

    def spoil() -> None:
        kept.update(packs())
        put(spoiled(kept))

    try:
        run = refused(step="restore", what=spoil)
    finally:
        put(kept)
    assert "drover restore --all" in run.output, run.output


def test_the_target_never_becomes_healthy() -> None:
    def cut() -> None:
        over_ssh(reached(journal()["new"])).check_output(BLOCK)

    run = refused("-e", "rebuild_healthy_seconds=20", step="serve", what=cut)
    assert "was not healthy in all of web within 20 s" in run.output, run.output


def test_one_that_cannot_get_well_is_given_up() -> None:
    """By a run that goes on, for which nobody knows any more whether it got requests."""
    identity, host = serving()

    def cut() -> None:
        over_ssh(reached(journal()["new"])).check_output(BLOCK)

    with traffic("abandon") as seen:
        with meanwhile("serve", cut):
            assert killed("switch", 10.0) is None
        run = rebuild("-e", "rebuild_healthy_seconds=10")
        assert run.status != 0 and "-e abandon=true gives it up" in run.output, run.output
        assert journal()["ended"] == ""
        run = rebuild("-e", "abandon=true")
        assert run.status != 0 and "Everything is as it was before" in run.output, run.output
    unharmed(seen)
    settled(identity, host)
    run = rebuild("-e", "abandon=true")
    assert run.status != 0 and "there is nothing to give up" in run.output, run.output


def test_one_that_was_thawed_by_hand_is_not_replaced() -> None:
    """What was written to it since its last backup would not be on the new one."""
    identity, host = serving()
    with traffic("thawed") as seen:
        assert killed("serve", 0.0) is None
        host.check_output("drover lifecycle active --wait=300")
        run = rebuild()
    assert run.status != 0 and "and is active again, by somebody's hand" in run.output, run.output
    unharmed(seen)
    settled(identity, host)


def test_the_api_errs_during_the_switch() -> None:
    """It is asked again; and the one that was there before is out of service."""
    identity, _ = serving()
    with (
        traffic("api") as seen,
        meanwhile("switch", lambda: faults.inject("error", "elasticloadbalancing", 40, 0)),
    ):
        run = rebuild()
    assert run.status == 0, run.output
    unharmed(seen)
    new, there = serving()
    assert new != identity
    settled(new, there)


@pytest.mark.parametrize("step", ["restore", "save"])
def test_the_old_one_dies_on_the_way(step: str) -> None:
    """Nothing is undone, and the same new instance goes on with what there is."""
    identity, _ = serving()
    known = diary()
    with meanwhile(step, lambda: faults.inject("power", identity, 0, 0)):
        run = rebuild()
    assert run.status != 0 and "with -e lost=true" in run.output, run.output
    new = journal()["new"]
    assert journal()["ended"] == "" and running() == {new}
    run = rebuild("-e", "lost=true")
    assert run.status == 0 and "Recovery point" in run.output, run.output
    found, there = serving()
    assert found == new
    settled(new, there)
    assert set(known) <= set(diary())


def test_a_lost_host_comes_back_from_what_is_whole() -> None:
    """Its newest backup is damaged, so of that job the newest verified one is taken, and told."""
    identity, host = serving()
    with traffic("verified") as seen:
        assert eventually(lambda: len(seen.kept) > 20)
    host.check_output("drover backup && drover verify")
    before = packs()
    with traffic("newest") as later:
        assert eventually(lambda: len(later.kept) > 200)
    host.check_output("drover backup diary")
    kept = {key: content for key, content in packs().items() if key not in before}
    put(spoiled(kept))
    faults.inject("power", identity, 0, 0)
    assert eventually(lambda: instances()[identity][0] == "stopped")
    run = rebuild()
    assert run.status != 0 and "No instance of web runs" in run.output and "-e lost=true" in run.output
    is_it_there, what_would_come, bring_it, is_it_well, in_the_morning = page()
    assert is_it_there().status != 0
    run = what_would_come()
    assert run.status == 0 and identity in run.output, run.output
    run = bring_it()
    assert run.status == 0 and "but for diary/data" in run.output, run.output
    for last in (is_it_well, in_the_morning):
        run = last()
        assert run.status == 0, run.output
    new, there = serving()
    settled(new, there)
    found = set(diary())
    assert set(seen.kept) <= found and not set(later.kept) & found
    put(kept)
    stays_away(identity)


def stays_away(identity: str) -> None:
    """Somebody starts the one that was lost: it reads that it was replaced, and neither serves nor saves."""
    cloud.client("ec2").start_instances(InstanceIds=[identity])
    host = over_ssh(reached(identity))
    assert eventually(lambda: host.run("systemctl is-active drover-boot.service").rc == 0, 120)
    assert "retired by its tag in EC2" in host.check_output("drover lifecycle")
    assert not re.findall("diary|notes", host.check_output("docker ps --format '{{.Names}}'"))
    done = host.run("drover backup")
    assert done.rc != 0 and "another one took over" in done.stderr, done
    cloud.client("ec2").stop_instances(InstanceIds=[identity])


def test_two_begin_at_once() -> None:
    first = start()
    assert eventually(lambda: journal()["ended"] == "", 60)
    second = rebuild()
    assert second.status != 0 and "has a rebuild under way" in second.output, second.output
    assert "-e take_over=true" in second.output
    run = ended(first)
    assert run.status == 0, run.output
    settled(*serving())


@pytest.fixture(scope="module", autouse=True)
def _nothing_ordered() -> Iterator[None]:
    """No fault stays."""
    yield
    faults.inject("error", "elasticloadbalancing", 0, 0)
