"""Constant requests from outside the host, and the truth about each: nothing is tried again."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from .wire import Balancer, Kept

KEPT, FRESH, PAUSE = 3, 2, 0.01
BODY = b"x" * 1000
HOST = "plain.test.example"
ANYBODY = ssl.create_default_context()
ANYBODY.check_hostname, ANYBODY.verify_mode = False, ssl.CERT_NONE
WELL = {"200", "201"}


class Load:
    """While it is entered: GET and POST in turn on kept connections; GET on new ones, half with TLS."""

    def __init__(self, balancer: Balancer) -> None:
        self.balancer = balancer
        self.answers: list[str] = []
        self.done = threading.Event()
        self.threads: list[Future[None]] = []

    def __enter__(self) -> Load:
        self.pool = ThreadPoolExecutor(KEPT + FRESH)
        self.threads = [self.pool.submit(each) for each in [self.keeping] * KEPT + [self.opening] * FRESH]
        return self

    def __exit__(self, *_: Any) -> None:
        self.done.set()
        self.pool.shutdown()

    @property
    def failed(self) -> list[str]:
        """What was not answered well, or not at all."""
        for each in self.threads:
            each.result()
        return [each for each in self.answers if each not in WELL]

    def keeping(self) -> None:
        kept = Kept(self.balancer)
        while not self.done.wait(PAUSE):
            if not (self.noted(kept.ask) and self.noted(partial(kept.ask, BODY))):
                kept = Kept(self.balancer)

    def opening(self) -> None:
        while not self.done.wait(PAUSE):
            self.noted(partial(self.balancer.status, HOST, "/up"))
            self.noted(self.secure)

    def secure(self) -> int:
        with ANYBODY.wrap_socket(self.balancer.connect(443), server_hostname=HOST) as connection:
            connection.sendall(f"GET /up HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
            return int(connection.makefile("rb").readline().split()[1])

    def noted(self, ask: Callable[[], int]) -> bool:
        try:
            self.answers.append(str(ask()))
        except (OSError, ValueError, IndexError) as error:
            self.answers.append(repr(error))
        return self.answers[-1] in WELL
