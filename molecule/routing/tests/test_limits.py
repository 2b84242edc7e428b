"""How much is let through."""

from __future__ import annotations

import statistics
import time
from collections import Counter

from .wire import CLIENT, OTHER, Balancer


def test_rate_counts_clients_and_not_the_balancer(balancer: Balancer) -> None:
    found = Counter(balancer.status("rate.test.example", client=CLIENT) for _ in range(12))
    assert 5 <= found[200] <= 6 and found[429] == 12 - found[200], found
    assert balancer.status("rate.test.example", client=OTHER) == 200
    spoofed = [balancer.status("rate.test.example", client=f"6.6.6.{n}, {CLIENT}") for n in range(3)]
    assert set(spoofed) == {429}


def test_requests_are_bounded_in_size(balancer: Balancer) -> None:
    assert balancer.status("limits.test.example", "/messages", body=b"x" * 5_000) == 201
    assert balancer.status("limits.test.example", "/messages", body=b"x" * 50_000) == 413
    assert balancer.status("plain.test.example", "/messages", body=b"x" * 1_000_000) == 201


def test_answers_are_bounded_in_time(balancer: Balancer) -> None:
    assert balancer.status("limits.test.example", "/slow?seconds=0.1") == 200
    began = time.monotonic()
    assert balancer.status("limits.test.example", "/slow?seconds=9") == 504
    assert time.monotonic() - began < 4


def among_500_slow_ones(balancer: Balancer) -> list[float]:
    """Seconds that each request took; who is slow is sent away at the configured time."""
    began = time.monotonic()
    slow = [balancer.connect() for _ in range(500)]
    for each in slow:
        each.sendall(b"GET / HTTP/1.1\r\nHost: plain.test.example\r\nX-Slow: ")
    times = []
    for _ in range(150):
        start = time.monotonic()
        assert balancer.status("plain.test.example", "/up") == 200
        times.append(time.monotonic() - start)
    for each in slow:
        each.settimeout(max(began + 12 - time.monotonic(), 0.1))
        try:
            while each.recv(1000):
                pass
        except ConnectionResetError:
            pass
        each.close()
    assert 2 < time.monotonic() - began < 12
    return times


def test_half_open_connections_hold_up_nobody_and_are_closed(balancer: Balancer) -> None:
    """p99 of what was measured, three times: of one round alone it would be the second slowest answer."""
    times = [each for _ in range(3) for each in among_500_slow_ones(balancer)]
    assert statistics.quantiles(times, n=100, method="inclusive")[98] < 0.5, sorted(times)[-9:]
