"""What an instance reads of its own tags, and that nothing else hinders a boot."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from drover import cli, metadata
from drover.layout import Layout
from drover.lifecycle import TAG, of


class Service(HTTPServer):
    """Version 2 alone: without a token nothing is told."""

    status = 200

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_PUT(self) -> None:
        self.answer(200 if self.path == "/latest/api/token" else 404, "secret")

    def do_GET(self) -> None:
        value = {TAG: "retired"}.get(self.path.rpartition("/")[2])
        if self.headers["X-aws-ec2-metadata-token"] != "secret":
            self.answer(401, "")
        else:
            self.answer(self.server.status if value else 404, value or "")

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(metadata, "SECONDS", 0.5)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with Service(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield http
        http.shutdown()


def test_a_tag_is_read(service: Service) -> None:
    assert metadata.tag(TAG, service.address) == "retired"
    assert metadata.tag("drover:none", service.address) == ""


def test_who_answers_otherwise_says_nothing(service: Service) -> None:
    service.status = 500
    assert metadata.tag(TAG, service.address) == ""
    assert metadata.tag(TAG, "127.0.0.1:1") == ""


@pytest.mark.parametrize(("instance", "part"), [("i-1", "retired"), ("", "active")])
def test_only_an_instance_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: str, part: str
) -> None:
    layout = Layout(tmp_path)
    layout.host.parent.mkdir(parents=True)
    layout.host.write_text(json.dumps({"instance": instance}))
    monkeypatch.setattr(metadata, "tag", lambda key: "retired")
    monkeypatch.setattr("drover.outside.enforce", lambda host: None)
    monkeypatch.setattr(cli, "Layout", lambda *_: layout)
    assert cli.main(["lifecycle", "--enforce"]) == 0
    assert of(layout).name == part
