"""Says each of a hundred messages to two containers at about the same time: twice URL --host NAME

Before that it says what is no message, and goes on once it was told so. Ends with one line of JSON: for each
message what the two acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import AsyncExitStack

import aiohttp

Socket = aiohttp.ClientWebSocketResponse
MESSAGES = 100
ENOUGH = 60  # seconds for all of it
NONSENSE = ("hello", "[]", '{"id": "twice-0"}', '{"id": 0, "text": "the id is a number"}')


async def both(wish: argparse.Namespace, kept: AsyncExitStack) -> list[Socket]:
    """A connection to each of two containers: without its cookie the proxy leads to any."""
    session = await kept.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
    found: dict[str, Socket] = {}
    while len(found) < 2:
        visit = session.ws_connect(f"{wish.url}/ws", headers={"Host": wish.host})
        socket = await kept.enter_async_context(visit)
        found[await answer(socket, "container")] = socket
    return list(found.values())


async def answer(socket: Socket, key: str) -> str:
    """The next one of its kind; between them comes what everybody hears."""
    while key not in (heard := await socket.receive_json()):
        pass
    return str(heard[key])


async def say(socket: Socket, said: str, key: str, later: float = 0) -> str:
    await asyncio.sleep(later)
    await socket.send_str(said)
    return await answer(socket, key)


async def run(wish: argparse.Namespace) -> list[list[str]]:
    told = []
    async with asyncio.timeout(ENOUGH), AsyncExitStack() as kept:
        one, other = await both(wish, kept)
        for said in NONSENSE:
            await asyncio.gather(say(one, said, "error"), say(other, said, "error"))
        for number in range(MESSAGES):
            said = json.dumps({"id": f"twice-{number}", "text": "said twice"})
            later = number % 4 / 1000  # so that different steps of the two meet
            told.append(list(await asyncio.gather(say(one, said, "ack"), say(other, said, "ack", later))))
    return told


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--host", required=True)
    print(json.dumps(asyncio.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
