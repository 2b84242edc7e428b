"""The demo's API: items in PostgreSQL, sessions in a cache.

Commands: `serve` (the default) and `migrate`, which creates the table and ends. Settings:
DATABASE_URL, or DATABASE_HOST, _PORT, _NAME, _USER and _PASSWORD; CACHE_HOST, _PORT and _PASSWORD.
Each can be given as a file by `<name>_FILE`; files are read once, at the start.
"""

from __future__ import annotations

import json
import sys
import uuid
from http.cookies import SimpleCookie
from typing import Any

import psycopg  # type: ignore[import-not-found, unused-ignore]
import redis  # type: ignore[import-not-found, import-untyped, unused-ignore]
from web import Answer, Request, Route, end_on_sigterm, serve, setting


def database_address() -> str:
    url = setting("DATABASE_URL")
    if url:
        return url
    made: str = psycopg.conninfo.make_conninfo(
        host=setting("DATABASE_HOST", "db"),
        port=setting("DATABASE_PORT", "5432"),
        dbname=setting("DATABASE_NAME", "app"),
        user=setting("DATABASE_USER", "app"),
        password=setting("DATABASE_PASSWORD"),
    )
    return made


def cache_client() -> Any:
    return redis.Redis(
        host=setting("CACHE_HOST", "cache"),
        port=int(setting("CACHE_PORT", "6379")),
        password=setting("CACHE_PASSWORD") or None,
        socket_timeout=3,
        decode_responses=True,
    )


def query(database: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(database, connect_timeout=3) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def migrate(database: str) -> None:
    query(
        database,
        "CREATE TABLE IF NOT EXISTS items (id bigserial PRIMARY KEY, name text NOT NULL,"
        " added timestamptz NOT NULL DEFAULT now())",
    )


def works(check: Any) -> bool:
    try:
        check()
    except Exception as error:
        print(f"not up: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    return True


def routes(database: str, cache: Any) -> dict[str, Route]:
    def up(_: Request) -> Answer:
        state = {"database": works(lambda: query(database, "SELECT 1")), "cache": works(cache.ping)}
        return Answer(state, 200 if all(state.values()) else 503)

    def list_items(_: Request) -> Answer:
        rows = query(database, "SELECT id, name FROM items ORDER BY id")
        return Answer([{"id": number, "name": name} for number, name in rows])

    def add_item(request: Request) -> Answer:
        try:
            name = str(json.loads(request.body)["name"])
        except (ValueError, KeyError, TypeError):
            return Answer({"error": 'send {"name": …}'}, 400)
        [(number,)] = query(database, "INSERT INTO items (name) VALUES (%s) RETURNING id", name)
        return Answer({"id": number, "name": name}, 201)

    def session(request: Request) -> Answer:
        cookie = SimpleCookie(request.headers.get("Cookie", "")).get("session")
        name = cookie.value if cookie else uuid.uuid4().hex
        count = cache.incr(f"session:{name}")
        return Answer({"session": name, "count": count}, headers={"Set-Cookie": f"session={name}; Path=/"})

    return {
        "GET /": list_items,
        "GET /up": up,
        "GET /items": list_items,
        "POST /items": add_item,
        "GET /session": session,
    }


def main(command: str) -> None:
    if command == "serve":
        serve(routes(database_address(), cache_client()))
    elif command == "migrate":
        end_on_sigterm()
        migrate(database_address())
        print("the table exists")
    else:
        sys.exit(f"unknown command {command}: serve or migrate")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "serve")
