"""compose/examples/chat: browsers talk over two containers, and a deploy loses no acknowledged message."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.scenario import Scenario, fetch, stack
from testinfra.host import Host

Client = Callable[..., Path]
Told = dict[str, dict[str, Any]]
NAME = "chat.test.example"
PROGRAM = "--network host drover/chat-backend:1.0.0 python3 /app"
CHAT = f"http://127.0.0.1 --host {NAME}"
HANDSHAKE = " ".join(
    f"-H '{header}'"
    for header in (
        f"Host: {NAME}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: ZHJvdmVyIHNheXMgaGkhIQ==",
    )
)


def visit(host: Host, cookie: str = "", times: int = 1) -> str:
    """Join for a second, several times at once; return what was said, without what makes frames of it."""
    joined = f"curl -siN --http1.1 -m 1 {HANDSHAKE} -H 'Cookie: {cookie}' http://127.0.0.1/ws?after=0"
    return str(host.check_output(f"({f'{joined} & ' * times} wait) | tr -dc '\\11\\12\\40-\\176'"))


def visited(said: str) -> list[str]:
    return re.findall(r'"container": "(\w+)"', said)


def history(host: Host) -> list[str]:
    """The id of every message that was kept, in their order."""
    return re.findall(r'"id": "([a-z]+-\d+)"', visit(host))


@contextmanager
def browsers(host: Host, *names: str) -> Iterator[Told]:
    """Browsers that talk meanwhile; afterwards what each of them tells."""
    told: Told = {}
    for name in names:
        host.check_output(f"docker run -d --name {name} {PROGRAM}/browser.py {CHAT} --name {name}")
    try:
        host.check_output("sleep 3")
        yield told
        host.check_output(f"sleep 1; docker stop -t 30 {' '.join(names)}")
        for name in names:
            told[name] = json.loads(host.check_output(f"docker logs {name} 2>/dev/null").splitlines()[-1])
    finally:
        host.check_output(f"docker rm -f {' '.join(names)}")


def test_page_comes_from_nginx(host: Host) -> None:
    assert "<title>Chat</title>" in fetch(host, NAME)[1]
    assert fetch(host, NAME, "/chat.js")[0] == 200


def test_browser_stays_with_its_container(host: Host) -> None:
    assert len(set(visited(visit(host, times=4)))) == 2
    first = visit(host)
    cookie = re.search(r"^set-cookie: ([^;]+)", first, re.M | re.I)
    assert cookie
    assert visited(visit(host, cookie[1], times=4)) == visited(first) * 4


def test_message_said_to_two_containers_at_once_is_kept_once(host: Host) -> None:
    acknowledged = json.loads(host.check_output(f"docker run --rm {PROGRAM}/twice.py {CHAT}"))
    names = [f"twice-{number}" for number in range(100)]
    assert acknowledged == [[name, name] for name in names]
    assert [each for each in history(host) if each in names] == names


def test_deploy_under_a_chat_loses_no_acknowledged_message(
    scenario: Scenario, host: Host, client: Client
) -> None:
    with browsers(host, "anna", "bert", "carla", "dora") as told:
        newer = client(lambda stacks: stack(stacks, "chat").update(version="1.1.0"))
        scenario.converge("--tags", "stacks", inventory=newer)
    kept = history(host)
    assert len(set(kept)) == len(kept), "each browser sent one again that was kept, when it came again"
    assert len({each["visits"][0]["container"] for each in told.values()}) == 2, told
    for name, each in told.items():
        assert len(each["acknowledged"]) > 20 and not each["open"], (name, each)
        assert set(each["acknowledged"]) <= set(each["heard"]), (name, each)
        assert each["heard"] == kept[: len(each["heard"])], (name, each)
        versions = [visit.get("version") for visit in each["visits"]]
        assert versions[0] == "1.0.0" and versions[-1] == "1.1.0", (name, each["visits"])
        assert all(visit["closed"] in (1001, 1012) for visit in each["visits"][:-1]), (name, each["visits"])
