"""Requests through the load balancer and past it, and a WebSocket; no library mends what they say."""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from queue import SimpleQueue
from typing import Any

from testinfra.host import Host

CLIENT, OTHER = "203.0.113.9", "203.0.113.10"
PASSWORD = "canary-password-81c"
ANNA = {"Authorization": "Basic " + base64.b64encode(f"anna:{PASSWORD}".encode()).decode()}


@dataclass(frozen=True)
class Answer:
    """Status, headers and body."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def seen(self) -> dict[str, Any]:
        """What the service behind it saw: host name, version, path, headers."""
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(frozen=True)
class Balancer:
    """The machine that runs the tests, whose addresses the inventory trusts."""

    address: str

    def ask(
        self,
        host: str,
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        client: str = "",
    ) -> Answer:
        """One request on a connection of its own; `client` is what a load balancer says it came from."""
        connection = HTTPConnection(self.address, 80, timeout=20)
        told = {"X-Forwarded-For": client} if client else {}
        try:
            connection.putrequest("POST" if body else "GET", path, skip_host=True, skip_accept_encoding=True)
            length = {"Content-Length": str(len(body))} if body else {}
            for name, value in {"Host": host, **told, **length, **(headers or {})}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def status(self, host: str, path: str = "/", **more: Any) -> int:
        """The status alone."""
        return self.ask(host, path, **more).status

    def connect(self, port: int = 80) -> socket.socket:
        """A connection to the proxy."""
        return socket.create_connection((self.address, port), timeout=20)


def elsewhere(host: Host, name: str, path: str = "/", *arguments: str) -> tuple[int, str]:
    """Ask from the host itself, which is no load balancer; return status and body."""
    command = f"curl -sS -m 10 -o - -w '\\n%{{http_code}}' -H 'Host: {name}' {' '.join(arguments)} "
    body, _, status = host.check_output(command + f"'http://127.0.0.1{path}'").rpartition("\n")
    return int(status), str(body)


class Kept:
    """A connection that is kept between requests until the other side says that it ends, or closes it."""

    def __init__(self, balancer: Balancer) -> None:
        self.balancer = balancer
        self.connect()

    def connect(self) -> None:
        self.socket, self.ended = self.balancer.connect(), False
        self.stream = self.socket.makefile("rb")

    @property
    def closed(self) -> bool:
        """Whether the other side has closed it, as every client looks before it sends."""
        readable, _, _ = select.select([self.socket], [], [], 0)
        return bool(readable) and not self.socket.recv(1, socket.MSG_PEEK)

    def ask(self, body: bytes = b"") -> int:
        """One more request; return the status."""
        if self.ended or self.closed:
            self.connect()
        head = b"POST /messages" if body else b"GET /up"
        size = b"Content-Length: %d\r\n" % len(body) if body else b""
        self.socket.sendall(head + b" HTTP/1.1\r\nHost: plain.test.example\r\n" + size + b"\r\n" + body)
        status = int(self.stream.readline().split()[1])
        length = 0
        while line := self.stream.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            self.ended |= line == b"connection: close"
        self.stream.read(length)
        return status


class Talk:
    """A WebSocket that says something and hears it back; pings are answered all the time."""

    def __init__(self, balancer: Balancer, host: str = "plain.test.example") -> None:
        self.socket = balancer.connect()
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.stream = self.socket.makefile("rb")
        assert b" 101 " in self.stream.readline()
        while self.stream.readline().strip():
            pass
        self.socket.settimeout(None)
        self.heard: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self.listen, daemon=True).start()

    def say(self, text: str) -> None:
        """Send a text, and wait until it comes back."""
        self.send(1, text.encode())
        while self.heard.get(timeout=10) != text:
            pass

    def send(self, kind: int, content: bytes) -> None:
        """One frame, masked as a client's has to be."""
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(content))
        self.socket.sendall(struct.pack("!BB", 0x80 | kind, 0x80 | len(content)) + mask + masked)

    def listen(self) -> None:
        """Until the other side closes."""
        while head := self.stream.read(2):
            kind, length = head[0] & 0x0F, head[1]
            if length == 126:
                (length,) = struct.unpack("!H", self.stream.read(2))
            content = self.stream.read(length)
            if kind == 9:
                self.send(10, content)
            elif kind == 1:
                self.heard.put(str(json.loads(content)["text"]))
