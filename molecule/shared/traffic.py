"""What clients see through the load balancer while a host is replaced, and what they were told is kept."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from localcloud import account, authority, cloud

STATELESS, DIARY = "notes.acme.example", "diary.acme.example"
PAUSE = 0.05  # seconds


@dataclass
class Seen:
    """Counts of statuses (0: no answer), what was acknowledged, and the fewest registered targets."""

    read: Counter[int] = field(default_factory=Counter)
    written: Counter[int] = field(default_factory=Counter)
    kept: list[str] = field(default_factory=list)
    longest: float = 0.0  # seconds between two that were acknowledged
    targets: int = 99


def ask(method: str, name: str, path: str, body: str = "") -> tuple[int, str]:
    """Ask through the load balancer over HTTPS, its certificate checked; status 0 without an answer."""
    trust = ssl.create_default_context(cafile=str(authority.AUTHORITY))
    head = f"{method} {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    try:
        with (
            socket.create_connection((account.address_of("acme"), 443), timeout=20) as plain,
            trust.wrap_socket(plain, server_hostname=STATELESS) as connection,
        ):
            connection.sendall((head + body).encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return 0, ""
    status, _, rest = answer.decode(errors="replace").partition("\r\n\r\n")
    words = status.split(maxsplit=2)
    return (int(words[1]) if len(words) > 1 else 0), rest


def diary() -> list[str]:
    """All that is in the diary, in its order."""
    status, body = ask("GET", DIARY, "/notes")
    assert status == 200, (status, body)
    return [each["text"] for each in json.loads(body)]


def registered() -> int:
    """How many targets get requests, or would if they were well."""
    elb = cloud.moto("elbv2")  # whatever faults somebody ordered
    (group,) = elb.describe_target_groups(Names=["acme-web"])["TargetGroups"]
    found = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    return sum(each["TargetHealth"]["State"] in ("healthy", "unhealthy") for each in found)


@contextmanager
def traffic(run: str) -> Iterator[Seen]:
    """One reads every 50 ms, one writes as often, one looks at the targets; `run` names the texts."""
    seen, over = Seen(), threading.Event()

    def read() -> None:
        seen.read[ask("GET", STATELESS, "/")[0]] += 1

    def write() -> None:
        text, began = f"{run}-{sum(seen.written.values())}", time.monotonic()
        status, _ = ask("POST", DIARY, "/notes", json.dumps({"text": text}))
        seen.written[status] += 1
        if status == 201:
            seen.kept.append(text)
            seen.longest = max(seen.longest, began - last[0])
            last[0] = time.monotonic()

    def look() -> None:
        seen.targets = min(seen.targets, registered())
        over.wait(0.5)

    def repeated(what: Callable[[], None]) -> None:
        try:
            while not over.is_set():
                began = time.monotonic()
                what()
                over.wait(max(0.0, PAUSE - (time.monotonic() - began)))
        except Exception as error:  # a thread's own is nobody's
            wrong.append(error)

    last, wrong = [time.monotonic()], list[Exception]()
    threads = [threading.Thread(target=repeated, args=(what,)) for what in (read, write, look)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not wrong, wrong


def unharmed(seen: Seen) -> None:
    """Every request had its answer, or the page of maintenance; the balancer always had a target."""
    assert set(seen.read) == {200}, seen
    assert set(seen.written) <= {201, 503} and seen.targets >= 1, seen
    missing = set(seen.kept) - set(diary())
    assert not missing, f"{len(missing)} of {len(seen.kept)} that were acknowledged: {sorted(missing)[:5]}"
