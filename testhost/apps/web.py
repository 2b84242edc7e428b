"""What the demo programs share: a small web server that answers in JSON and ends at once on SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    body: bytes
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """`data` is sent as it is when it is text (a page), else as JSON."""

    data: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Route = Callable[[Request], Answer]


def setting(name: str, default: str = "") -> str:
    """The variable `name`, or the content of the file that `<name>_FILE` names."""
    path = os.environ.get(f"{name}_FILE")
    return Path(path).read_text().rstrip("\n") if path else os.environ.get(name, default)


def version(_: Request) -> Answer:
    return Answer({"version": os.environ.get("DEMO_VERSION", "unknown")})


def whoami(request: Request) -> Answer:
    return Answer({"hostname": socket.gethostname(), "headers": dict(request.headers)})


def slow(request: Request) -> Answer:
    """Answers late, as an upload or a report would."""
    seconds = min(float(request.query.get("seconds", "1")), 60)
    time.sleep(seconds)
    return Answer({"slept": seconds})


COMMON: dict[str, Route] = {"GET /version": version, "GET /whoami": whoami, "GET /slow": slow}


def handler(routes: Mapping[str, Route]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def answer(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            route = routes.get(f"{self.command} {address.path}")
            request = Request(body, query, dict(self.headers.items()))
            self.send(call(route, request) if route else Answer({"error": "no such page"}, 404))

        def send(self, answer: Answer) -> None:
            text = answer.data if isinstance(answer.data, str) else json.dumps(answer.data) + "\n"
            kind = "text/html; charset=utf-8" if isinstance(answer.data, str) else "application/json"
            payload = text.encode()
            self.send_response(answer.status)
            sent = {"Content-Type": kind, "Content-Length": str(len(payload)), **answer.headers}
            for name, value in sent.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

    return Handler


def call(route: Route, request: Request) -> Answer:
    """A program that fails says so and goes on."""
    try:
        return route(request)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return Answer({"error": type(error).__name__}, 500)


def end_on_sigterm() -> None:
    """As process 1 nothing would happen by default."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def serve(routes: Mapping[str, Route]) -> None:
    end_on_sigterm()
    port = int(os.environ.get("PORT", "8080"))
    server = ThreadingHTTPServer(("", port), handler({**COMMON, **routes}))
    print(f"listening on {port}, version {os.environ.get('DEMO_VERSION')}")
    server.serve_forever()
