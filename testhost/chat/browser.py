"""What the chat's page does in a browser, as a program: browser URL --host NAME --name NAME

Says something five times a second until SIGTERM, comes again when it was sent away, with the proxy's cookie
and the number of the last message it has, and sends again what nobody acknowledged. It also sends again the
last one that was acknowledged, as if it had not heard of it. Ends with one line of JSON, once nothing of its
own is open any more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from typing import Any

import aiohttp

PAUSE = 0.2
ENOUGH = 15  # seconds for the last acknowledgement


class Browser:
    def __init__(self, wish: argparse.Namespace) -> None:
        self.wish = wish
        self.said = 0
        self.open: list[str] = []  # sent or about to be, and not acknowledged
        self.acknowledged: list[str] = []
        self.heard: list[dict[str, Any]] = []
        self.visits: list[dict[str, Any]] = []  # each connection: container, version, how it ended
        self.ended = asyncio.Event()

    async def run(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.ended.set)
        jar = aiohttp.CookieJar(unsafe=True)  # the host is an address
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            visiting = asyncio.create_task(self.visit(session))
            await self.ended.wait()
            for _ in range(ENOUGH * 10):
                if self.open:
                    await asyncio.sleep(0.1)
            await asyncio.sleep(1)  # what others said last
            visiting.cancel()

    async def visit(self, session: aiohttp.ClientSession) -> None:
        while True:
            url = f"{self.wish.url}/ws?after={self.heard[-1]['number'] if self.heard else 0}"
            visit: dict[str, Any] = {}
            self.visits.append(visit)
            try:
                async with session.ws_connect(url, headers={"Host": self.wish.host}) as socket:
                    saying = asyncio.create_task(self.say(socket))
                    async for said in socket:
                        self.hear(json.loads(said.data), visit)
                    saying.cancel()
                    visit["closed"] = socket.close_code
            except (aiohttp.ClientError, OSError) as error:
                visit["error"] = repr(error)
                await asyncio.sleep(PAUSE)

    async def say(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        for name in [*self.acknowledged[-1:], *self.open]:
            await socket.send_json({"id": name, "text": f"this is {name}"})
        while not self.ended.is_set():
            self.said += 1
            name = f"{self.wish.name}-{self.said}"
            self.open.append(name)
            await socket.send_json({"id": name, "text": f"this is {name}"})
            await asyncio.sleep(PAUSE)

    def hear(self, said: dict[str, Any], visit: dict[str, Any]) -> None:
        if "number" in said:
            self.heard.append(said)
        elif "ack" not in said:  # which container this is, or what is wrong with a message
            visit |= said
        elif said["ack"] in self.open:  # else it was sent again
            self.open.remove(said["ack"])
            self.acknowledged.append(said["ack"])

    def data(self) -> dict[str, Any]:
        return {
            "acknowledged": self.acknowledged,
            "open": sorted(self.open),
            "heard": [each["id"] for each in self.heard],
            "visits": self.visits,
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--host", required=True)
    parser.add_argument("--name", required=True)
    browser = Browser(parser.parse_args())
    asyncio.run(browser.run())
    print(json.dumps(browser.data()))


if __name__ == "__main__":
    main()
