"""A chat over WebSockets, and the misbehaviours that tests of deploys ask for.

GET /ws joins; what one sends, all get. POST /messages echoes. BEHAVIOUR makes a bad version of it:
`crash` at once, `sick` (never healthy), `fall SECONDS` (well until then), `late SECONDS` (slow to open its
port), `port NUMBER` (listens elsewhere).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

from aiohttp import WSMsgType, web

VERSION = os.environ.get("DEMO_VERSION", "unknown")
ROOM: web.AppKey[set[web.WebSocketResponse]] = web.AppKey("room")


def behaviour() -> tuple[str, float]:
    kind, _, number = os.environ.get("BEHAVIOUR", "").partition(" ")
    return kind, float(number or 0)


async def up(_: web.Request) -> web.Response:
    return web.json_response({"up": True}, status=503 if behaviour()[0] == "sick" else 200)


async def whoami(request: web.Request) -> web.Response:
    shown = {
        "hostname": socket.gethostname(),
        "version": VERSION,
        "path": request.raw_path,
        "headers": dict(request.headers),
    }
    return web.json_response(shown, headers={"X-Powered-By": "aiohttp"})


async def slow(request: web.Request) -> web.Response:
    seconds = min(float(request.query.get("seconds", "1")), 120)
    await asyncio.sleep(seconds)
    return web.json_response({"slept": seconds})


async def message(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response({"version": VERSION, "bytes": len(body)}, status=201)


async def status(request: web.Request) -> web.Response:
    return web.Response(status=int(request.match_info["code"]), text="as asked\n")


async def secrets(_: web.Request) -> web.Response:
    """Which secrets are here, never what they are."""
    folder = Path("/run/secrets")
    return web.json_response(sorted(path.name for path in folder.glob("*")) if folder.is_dir() else [])


async def join(request: web.Request) -> web.WebSocketResponse:
    room = request.app[ROOM]
    own = web.WebSocketResponse(heartbeat=20)
    await own.prepare(request)
    room.add(own)
    try:
        async for said in own:
            if said.type == WSMsgType.TEXT:
                text = json.dumps({"from": VERSION, "text": said.data})
                await asyncio.gather(*(each.send_str(text) for each in room if not each.closed))
    finally:
        room.discard(own)
    return own


async def leave(app: web.Application) -> None:
    """Tell everybody to come again: the next container answers."""
    await asyncio.gather(*(each.close(code=1012, message=b"restart") for each in set(app[ROOM])))


def app() -> web.Application:
    made = web.Application(client_max_size=64 * 1024 * 1024)
    made[ROOM] = set()
    made.on_shutdown.append(leave)
    made.router.add_get("/up", up)
    made.router.add_get("/ws", join)
    made.router.add_get("/slow", slow)
    made.router.add_get("/secrets", secrets)
    made.router.add_get("/status/{code}", status)
    made.router.add_post("/messages", message)
    made.router.add_get("/{rest:.*}", whoami)
    return made


def main() -> None:
    kind, number = behaviour()
    if kind == "crash":
        sys.exit("crash: as asked")
    if kind == "late":
        time.sleep(number)
    if kind == "fall":
        signal.signal(signal.SIGALRM, lambda *_: os._exit(9))
        signal.setitimer(signal.ITIMER_REAL, number)
    port = int(number) if kind == "port" else 8080
    print(f"listening on {port}, version {VERSION}", flush=True)
    web.run_app(app(), port=port, access_log=None, print=None, shutdown_timeout=20)


if __name__ == "__main__":
    if sys.argv[1:] == ["migrate"]:
        sys.exit("migration: as asked" if os.environ.get("MIGRATION") == "fails" else 0)
    if sys.argv[1:] not in ([], ["serve"]):
        sys.exit("the commands are serve and migrate")
    main()
