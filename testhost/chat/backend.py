"""The backend of compose/examples/chat: what one browser says, all get, whichever container they are at.

GET /ws?after=N joins: first a line about this container, then every message after the Nth, and those to come.
A message {"id", "text"}, both strings, is numbered, kept in MongoDB (MONGODB_URI, or a file by
MONGODB_URI_FILE) and only then acknowledged by {"ack": id}; one that is sent again because no acknowledgement
came is kept once. What is no message is answered by {"error": why}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pymongo  # type: ignore[import-not-found, unused-ignore]
from aiohttp import WSMsgType, web
from pymongo.errors import DuplicateKeyError, PyMongoError  # type: ignore[import-not-found, unused-ignore]

POLL = 0.1  # seconds between two looks at what the other containers kept
VERSION = os.environ.get("VERSION", "unknown")


class Room:
    """Messages in the order of their numbers: the Nth is at N - 1. The database decides who is which."""

    def __init__(self, uri: str) -> None:
        self.client: Any = pymongo.MongoClient(uri, serverSelectionTimeoutMS=5000)
        self.kept: Any = self.client.get_default_database()["messages"]
        self.messages: list[dict[str, Any]] = []
        self.news = asyncio.Condition()
        self.open: set[web.WebSocketResponse] = set()

    def keep(self, name: str, text: str) -> None:
        """Once, also if another container is told the same at the same time."""
        while True:
            # The last number first, the name after it: whatever is kept from here on takes the number that
            # follows. Either the name is found, or our own insert is refused and we look again.
            last = self.kept.find_one(sort=[("_id", -1)])
            if self.kept.find_one({"id": name}):
                return
            number = (last["_id"] if last else 0) + 1
            with contextlib.suppress(DuplicateKeyError):
                self.kept.insert_one({"_id": number, "id": name, "text": text})
                return

    async def follow(self) -> None:
        while True:
            wish, order = {"_id": {"$gt": len(self.messages)}}, [("_id", 1)]
            try:
                rows = await asyncio.to_thread(lambda: list(self.kept.find(wish, sort=order)))  # noqa: B023
            except PyMongoError as error:
                print(f"the database: {error}", flush=True)
                rows = []
            if rows:
                self.messages += [{"number": each.pop("_id"), **each} for each in rows]
                async with self.news:
                    self.news.notify_all()
            await asyncio.sleep(POLL)

    async def tell(self, own: web.WebSocketResponse, position: int) -> None:
        while not own.closed:
            for each in self.messages[position:]:
                await own.send_json(each)
                position = each["number"]
            async with self.news:
                while len(self.messages) <= position:
                    await self.news.wait()


ROOM: web.AppKey[Room] = web.AppKey("room")


def read(said: str) -> tuple[str, str]:
    """A message's id and text; an error says what is wrong with it."""
    match json.loads(said):
        case {"id": str(name), "text": str(text)}:
            (name + text).encode()  # half a character cannot be kept
            return name, text
    raise ValueError('a message is {"id": "...", "text": "..."}')


async def answer(room: Room, said: str) -> dict[str, str]:
    try:
        name, text = read(said)
    except (ValueError, RecursionError) as error:
        return {"error": str(error)}
    await asyncio.to_thread(room.keep, name, text)
    return {"ack": name}


async def up(request: web.Request) -> web.Response:
    try:
        await asyncio.to_thread(request.app[ROOM].client.admin.command, "ping")
    except PyMongoError as error:
        return web.json_response({"database": str(error)}, status=503)
    return web.json_response({"version": VERSION})


async def join(request: web.Request) -> web.WebSocketResponse:
    room = request.app[ROOM]
    own = web.WebSocketResponse(heartbeat=20)
    await own.prepare(request)
    room.open.add(own)
    telling = None
    try:
        await own.send_json({"container": socket.gethostname(), "version": VERSION})
        telling = asyncio.create_task(room.tell(own, int(request.query.get("after", "0"))))
        async for said in own:
            if said.type == WSMsgType.TEXT:
                await own.send_json(await answer(room, said.data))
    finally:
        room.open.discard(own)
        if telling:
            telling.cancel()
    return own


async def life(app: web.Application) -> AsyncIterator[None]:
    file = os.environ.get("MONGODB_URI_FILE")
    app[ROOM] = Room(Path(file).read_text().strip() if file else os.environ["MONGODB_URI"])
    following = asyncio.create_task(app[ROOM].follow())
    yield
    following.cancel()


async def leave(app: web.Application) -> None:
    """Browsers come again, to a container that stays."""
    await asyncio.gather(*(each.close(code=1012, message=b"restart") for each in set(app[ROOM].open)))


def main() -> None:
    app = web.Application()
    app.cleanup_ctx.append(life)
    app.on_shutdown.append(leave)
    app.router.add_get("/up", up)
    app.router.add_get("/ws", join)
    web.run_app(app, port=8080, access_log=None, print=None, shutdown_timeout=10)


if __name__ == "__main__":
    main()
