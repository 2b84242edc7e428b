"""Where calls between services are led while old and new containers run side by side."""

from __future__ import annotations

import re
from typing import Any

import pytest
from drover import calls
from drover.calls import Calls
from drover.docker import Container
from drover.host import Host
from drover.run import Result


def container(name: str, address: str, *, status: str = "running", stack: str = "shop") -> Container:
    service, _, number = name.rpartition("-")
    empty: dict[str, Any] = {
        "identity": name, "name": f"{stack}-{name}", "stack": stack, "service": service,
        "number": int(number),
        "hash": "h", "image": "i", "image_id": "", "status": status, "code": 0, "health": "", "note": "",
        "created": 1.0, "started": 100.0, "finished": 0.0, "restarts": 0, "depends": (),
        "networks": {f"{stack}_default": address if status == "running" else ""},
        "subnets": {f"{stack}_default": "10.1.0.0/24"} if status == "running" else {},
        "pid": int(address.rpartition(".")[2]) if status == "running" else 0,
    }  # fmt: skip
    return Container(**empty)


OLD, CALLER = container("api-1", "10.1.0.2"), container("web-1", "10.1.0.3")
NEW = container("api-2", "10.1.0.9")
PROXY = container("traefik-1", "10.1.0.8", stack="proxy")._replace(networks={"shop_default": "10.1.0.8"})


class Kernel:
    """Remembers the last table of each caller."""

    def __init__(self) -> None:
        self.there: tuple[Container, ...] = ()
        self.tables: dict[str, str] = {}
        self.code = 0

    def look(self) -> tuple[Container, ...]:
        return self.there

    seen = look

    def __call__(self, command: list[str], *, stdin: str = "", **_: Any) -> Result:
        pid = re.fullmatch(r"--net=/proc/(\d+)/ns/net", command[1])
        assert command[0] == "nsenter" and command[2:] == ["nft", "-f", "-"] and pid
        self.tables[pid[1]] = stdin
        return Result(self.code, "", "no kernel")


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def made(kernel: Kernel, *there: Container, said: list[str] | None = None) -> Calls:
    host: Any = Host(None, kernel, None, (said if said is not None else []).append)  # type: ignore[arg-type]
    watch: Any = kernel
    return Calls(host, watch, "shop", there, 10)


def led(text: str) -> dict[str, str]:
    return dict(re.findall(r"([0-9.]+) timeout 70s : ([0-9.]+)", text))


def test_from_start_to_end(kernel: Kernel) -> None:
    """Each caller by its process: 2 the old one itself, 3 the caller, 9 the new one; never the proxy."""
    moving = made(kernel, OLD, CALLER)
    kernel.there = (OLD, CALLER, container("api-2", "", status="created"), PROXY)
    moving.starting("api")
    assert set(kernel.tables) == {"2", "3"}
    assert "dnat to 10.1.0.2" in kernel.tables["3"] and "10.1.0.0/24 timeout 60s" in kernel.tables["3"]
    assert "!= { 10.1.0.1, 10.1.0.2, 10.1.0.3, 10.1.0.8 }" in kernel.tables["3"]
    kernel.there = (OLD, CALLER, NEW, PROXY)
    moving.started()
    assert led(kernel.tables["3"]) == {"10.1.0.9": "10.1.0.2"} and "starting" not in kernel.tables["3"]
    assert led(kernel.tables["9"]) == {"10.1.0.2": "10.1.0.9"}, "who is new calls what is new"
    moving.lead(frozenset({"api-1"}))
    assert led(kernel.tables["3"]) == led(kernel.tables["9"]) == {"10.1.0.2": "10.1.0.9"}
    moving.back()
    assert led(kernel.tables["3"]) == {"10.1.0.9": "10.1.0.2"}
    kernel.there = (CALLER, NEW, PROXY)
    moving.end()
    assert kernel.tables["3"] == kernel.tables["9"] == "table ip drover_shop\ndelete table ip drover_shop\n"


def test_one_less_is_led_to_one_that_stays(kernel: Kernel) -> None:
    second = container("api-2", "10.1.0.4")
    kernel.there = (OLD, second, CALLER)
    made(kernel, OLD, second, CALLER).lead(frozenset({"api-2"}))
    assert led(kernel.tables["3"]) == {"10.1.0.4": "10.1.0.2"}


def test_nobody_is_led_to_one_that_was_stopped_first(kernel: Kernel) -> None:
    kernel.there = (OLD._replace(status="exited"), CALLER, NEW)
    made(kernel, OLD, CALLER).started()
    assert not led(kernel.tables.get("3", ""))


def test_first_deploy_and_one_without_successors_lead_nobody(kernel: Kernel) -> None:
    first = made(kernel)
    kernel.there = (CALLER,)
    first.starting("api")
    first.started()
    first.lead(frozenset())
    first.end()
    other = made(kernel, CALLER)
    other.starting("api")
    other.lead(frozenset())
    assert not kernel.tables


def test_a_kernel_without_nftables_is_told_of_and_holds_up_nothing(kernel: Kernel) -> None:
    said: list[str] = []
    kernel.code, kernel.there = 1, (OLD, CALLER, NEW)
    made(kernel, OLD, CALLER, said=said).started()
    assert "shop-web-1: its calls are not led: no kernel" in said


def test_rules_are_one_transaction_that_replaces_the_table() -> None:
    text = calls.rules("drover_shop", {}, {}, 10).splitlines()
    assert text[:2] == ["table ip drover_shop", "delete table ip drover_shop"]
    assert "elements" not in "".join(text)
