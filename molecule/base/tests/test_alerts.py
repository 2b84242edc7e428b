"""An event reaches each channel once, by the real Apprise; a channel that is down holds up no other."""

from __future__ import annotations

import json

from shared.scenario import eventually
from testinfra.host import Host

FIRST, SECOND = 9901, 9902  # the channels of the inventory
SINK = """
import http.server, sys
class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        open("/run/sink-" + sys.argv[1], "a").write(body + "\\n")
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Sink).serve_forever()
"""
NOW = """
import sqlite3
with sqlite3.connect("/var/lib/drover/state.db") as db:
    db.execute("UPDATE events SET next = 0")
"""


def listen(host: Host, port: int) -> None:
    host.check_output(f"systemd-run --collect --unit=sink-{port} python3 -c '{SINK}' {port}")
    assert eventually(lambda: host.socket(f"tcp://127.0.0.1:{port}").is_listening)


def pause_is_over(host: Host) -> None:
    host.check_output(f"python3 -c '{NOW}'")


def heard(host: Host, port: int) -> list[str]:
    """The numbers that the channel was told, in order."""
    lines = host.run(f"cat /run/sink-{port}").stdout.splitlines()
    return [json.loads(line)["title"].split()[-1] for line in lines]


def test_each_channel_hears_each_event_once_and_in_order(host: Host) -> None:
    host.check_output("systemctl stop drover-send.timer")
    listen(host, FIRST)
    for number in (1, 2, 3):
        host.check_output(f"drover report --key k{number} --severity warning --title 'number {number}'")
    host.check_output("drover report --key k3 --severity warning --title 'number 3'")
    assert eventually(lambda: len(heard(host, FIRST)) == 3)
    host.check_output("drover send")  # the pause after a failure is not over: nobody hears anything
    pause_is_over(host)
    assert host.run("drover send").rc != 0, "the second channel is down"
    assert heard(host, FIRST) == ["1", "2", "3"]
    listen(host, SECOND)
    pause_is_over(host)
    host.check_output("drover send")
    assert (heard(host, FIRST), heard(host, SECOND)) == (["1", "2", "3"], ["1", "2", "3"])
    host.check_output("systemctl start drover-send.timer")
