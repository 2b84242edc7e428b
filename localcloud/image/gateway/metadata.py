"""The instance metadata service, version 2 only: who may ask, and how far the answer goes."""

from __future__ import annotations

import secrets
import socket
import socketserver
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from .instance import Cloud, Leaf, read, tree

ADDRESS = ("169.254.169.254", 80)
VERSIONS = (
    "1.0",
    "2009-04-04",
    "2016-09-02",
    "2018-09-24",
    "2020-10-27",
    "2021-01-03",
    "2021-03-23",
    "latest",
)
LONGEST = 21600  # seconds that a token may live


def say(text: str) -> None:
    """Write to the container's log."""
    print(f"metadata: {text}", flush=True)


class Handler(BaseHTTPRequestHandler):
    """One request of one instance; the address that asks says which."""

    protocol_version = "HTTP/1.1"
    timeout = 20
    cloud: ClassVar[Cloud]
    tokens: ClassVar[dict[str, tuple[str, float]]] = {}
    seen: ClassVar[set[str]] = set()  # addresses that have asked

    def setup(self) -> None:
        """Limit how far answers travel, before any is sent."""
        super().setup()
        self.instance, self.ready = None, True
        try:
            self.instance = self.cloud.instance(self.client_address[0])
        except (BotoCoreError, ClientError) as problem:
            self.ready = False
            say(f"{self.client_address[0]} has no answer: {problem}")
        if self.client_address[0] not in self.seen:
            self.seen.add(self.client_address[0])
            say(
                f"{self.client_address[0]} asks for the first time: {(self.instance or {}).get('InstanceId')}"
            )
        options = (self.instance or {}).get("MetadataOptions", {})
        self.enabled = options.get("HttpEndpoint", "enabled") == "enabled"
        self.connection.setsockopt(
            socket.IPPROTO_IP, socket.IP_TTL, int(options.get("HttpPutResponseHopLimit", 1))
        )

    def do_PUT(self) -> None:
        """Give out a token, but to nobody who was asked by somebody else."""
        if not self.ready:
            self.answer(503)
        elif self.path != "/latest/api/token":
            self.answer(404)
        elif self.instance is None or not self.enabled or "X-Forwarded-For" in self.headers:
            self.answer(403)
        else:
            seconds = self.headers["X-aws-ec2-metadata-token-ttl-seconds"] or ""
            if not seconds.isdecimal() or not 1 <= int(seconds) <= LONGEST:
                self.answer(400)
                return
            token = self.new_token(self.instance["InstanceId"], int(seconds))
            self.answer(200, token, {"X-aws-ec2-metadata-token-ttl-seconds": seconds})

    def new_token(self, identity: str, seconds: int) -> str:
        """Keep a new token, and no longer those that have ended."""
        for known, (_, until) in list(self.tokens.items()):
            if until < time.time():
                self.tokens.pop(known, None)
        token = secrets.token_urlsafe(40)
        self.tokens[token] = (identity, time.time() + seconds)
        return token

    def do_GET(self) -> None:
        """Answer who has a token of the very instance that asks."""
        owner, until = self.tokens.get(self.headers["X-aws-ec2-metadata-token"] or "", ("", 0.0))
        if not self.ready:
            self.answer(503)
        elif self.instance is None or not self.enabled:
            self.answer(403)
        elif owner != self.instance["InstanceId"] or until < time.time():
            self.answer(401)
        else:
            self.give(self.instance)

    def give(self, instance: Mapping[str, Any]) -> None:
        version, _, path = self.path.partition("?")[0].strip("/").partition("/")
        if not version:
            self.answer(200, "\n".join(VERSIONS))
        elif version not in VERSIONS:
            self.answer(404)
        else:
            try:
                found = read(tree(instance, self.cloud), path)
            except (BotoCoreError, ClientError) as problem:
                say(f"{self.client_address[0]} has no {path}: {problem}")
                self.answer(503)
            else:
                self.answer(404) if found in (None, b"") else self.answer(200, found or "")

    def answer(self, status: int, body: Leaf = "", headers: Mapping[str, str] | None = None) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: what is asked here is asked all day."""


class Server(ThreadingHTTPServer):
    """Many instances at once, each with several connections."""

    request_queue_size = 128

    def server_bind(self) -> None:
        """Bind, and ask no DNS for the address's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS


if __name__ == "__main__":
    Handler.cloud = Cloud()
    Server(ADDRESS, Handler).serve_forever()
