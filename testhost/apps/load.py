"""Constant load on one address, and the truth about every request: load URL [--host NAME] [--seconds N] …

Workers keep their connections, send GET and POST in turn, and never try again; others open a connection for
each request. WebSockets say something and expect it back; one that is closed in words (1001, 1012) comes
again, as a browser does, and counts as failed when it cannot. Ends after its time, or at SIGTERM, with one
line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

GOING_AWAY = {1000, 1001, 1012}


@dataclass
class Result:
    sent: Counter[str] = field(default_factory=Counter)
    failed: list[dict[str, object]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)

    def fail(self, kind: str, reason: object) -> None:
        self.failed.append({"at": round(time.time(), 3), "kind": kind, "reason": str(reason)[:200]})

    def data(self) -> dict[str, object]:
        times = sorted(self.seconds) or [0.0]
        return {
            "requests": sum(self.sent.values()),
            "kinds": dict(self.sent),
            "failed": len(self.failed),
            "failures": self.failed[:20],
            "versions": dict(self.versions),
            "p50_ms": round(times[len(times) // 2] * 1000, 2),
            "p99_ms": round(times[int(len(times) * 0.99)] * 1000, 2),
        }


class Load:
    def __init__(self, wish: argparse.Namespace) -> None:
        self.wish = wish
        self.url: str = wish.url.rstrip("/")
        self.headers = {"Host": wish.host} if wish.host else {}
        self.result = Result()
        self.until = time.monotonic() + wish.seconds

    def on(self) -> bool:
        return time.monotonic() < self.until

    def end(self) -> None:
        self.until = 0.0

    async def pause(self) -> None:
        await asyncio.sleep(self.wish.pause)

    async def ask(self, session: aiohttp.ClientSession, kind: str) -> None:
        began = time.monotonic()
        self.result.sent[kind] += 1
        method, path, body = (
            ("POST", "/messages", b"x" * 1000) if kind == "post" else ("GET", "/whoami", None)
        )
        try:
            async with session.request(method, self.url + path, data=body, headers=self.headers) as answer:
                text = await answer.read()
                if answer.status >= 300:
                    self.result.fail(kind, f"status {answer.status}")
                else:
                    self.result.versions[json.loads(text)["version"]] += 1
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError, KeyError) as error:
            self.result.fail(kind, repr(error))
        self.result.seconds.append(time.monotonic() - began)

    async def keeping(self) -> None:
        """One connection for all requests, as long as the other side keeps it."""
        async with self.session(limit=1) as session:
            while self.on():
                await self.ask(session, "get")
                await self.ask(session, "post")
                await self.pause()

    async def opening(self) -> None:
        async with self.session(force_close=True) as session:
            while self.on():
                await self.ask(session, "fresh")
                await self.pause()

    async def talking(self) -> None:
        async with self.session(limit=1) as session:
            while self.on():
                self.result.sent["websocket"] += 1
                try:
                    async with session.ws_connect(f"{self.url}/ws", headers=self.headers) as socket:
                        await self.talk(socket)
                except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
                    self.result.fail("websocket", repr(error))

    async def talk(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        number = 0
        while self.on():
            number += 1
            text = f"{id(socket)} {number}"
            try:
                await socket.send_str(text)
                self.result.sent["message"] += 1
            except aiohttp.ClientConnectionError:
                text = ""  # it was closed while we paused: what it said last is still to be read
            if not await self.heard(socket, text):
                return
            await asyncio.sleep(self.wish.pause * 5)

    async def heard(self, socket: aiohttp.ClientWebSocketResponse, text: str) -> bool:
        """Whether the text came back; a close in words is no failure."""
        while True:
            said = await socket.receive(timeout=15)
            if said.type == aiohttp.WSMsgType.TEXT and text and json.loads(said.data)["text"] == text:
                return True
            if said.type != aiohttp.WSMsgType.TEXT:
                code = said.data if said.type == aiohttp.WSMsgType.CLOSE else socket.close_code
                if code not in GOING_AWAY:
                    self.result.fail("message", f"{said.type!r}, closed with {code}")
                return False

    def session(self, limit: int = 100, *, force_close: bool = False) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=limit, force_close=force_close, use_dns_cache=False)
        timeout = aiohttp.ClientTimeout(total=self.wish.timeout)
        made = aiohttp.ClientSession(connector=connector, timeout=timeout)
        made._retry_connection = False  # it would send a GET again, and hide what failed
        return made

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, self.end)
        print("begun", file=sys.stderr, flush=True)
        workers = [self.keeping] * self.wish.keep + [self.opening] * self.wish.fresh
        await asyncio.gather(*(each() for each in [*workers, *[self.talking] * self.wish.websockets]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--host", default="")
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--keep", type=int, default=4)
    parser.add_argument("--fresh", type=int, default=2)
    parser.add_argument("--websockets", type=int, default=2)
    parser.add_argument("--pause", type=float, default=0.02)
    parser.add_argument("--timeout", type=float, default=30)
    load = Load(parser.parse_args())
    asyncio.run(load.run())
    print(json.dumps(load.result.data()))


if __name__ == "__main__":
    main()
