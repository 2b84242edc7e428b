"""Notes in an SQLite file, and some behaviours that tests ask for.

Commands: `serve` (the default), `chatter MEGABYTES` (that much output, then quiet),
`hog MEGABYTES` (that much memory, then quiet).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from web import Answer, Request, end_on_sigterm, serve

FILE = Path(os.environ.get("DATA", "/data")) / "notes.sqlite"
SECRETS = Path("/run/secrets")
MEGABYTE = 1024 * 1024


def query(statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(FILE, timeout=5)) as database, database:
        return database.execute(statement, values).fetchall()


def create_table() -> None:
    query("PRAGMA journal_mode=WAL")
    query("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")


def up(_: Request) -> Answer:
    query("SELECT count(*) FROM notes")
    return Answer({"up": True})


def list_notes(_: Request) -> Answer:
    rows = query("SELECT id, text FROM notes ORDER BY id")
    return Answer([{"id": number, "text": text} for number, text in rows])


def add_note(request: Request) -> Answer:
    try:
        text = str(json.loads(request.body)["text"])
    except (ValueError, KeyError, TypeError):
        return Answer({"error": 'send {"text": …}'}, 400)
    [(number,)] = query("INSERT INTO notes (text) VALUES (?) RETURNING id", text)
    return Answer({"id": number, "text": text}, 201)


def secret_hash(_: Request) -> Answer:
    """The SHA-256 of every secret that can be read, never a value."""
    files = sorted(SECRETS.glob("*")) if SECRETS.is_dir() else []
    readable = [file for file in files if file.is_file() and os.access(file, os.R_OK)]
    return Answer({file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in readable})


def env_names(_: Request) -> Answer:
    return Answer(sorted(os.environ))


def chatter(megabytes: int) -> None:
    line = "chatter " * 127 + "\n"
    for _ in range(megabytes * MEGABYTE // len(line)):
        sys.stdout.write(line)
    print(f"wrote {megabytes} MB")
    signal.pause()


def hog(megabytes: int) -> None:
    held = []
    for _ in range(megabytes):
        held.append(os.urandom(MEGABYTE))
    print(f"holding {len(held)} MB")
    signal.pause()


def main(command: str, *arguments: str) -> None:
    end_on_sigterm()
    if command == "serve":
        create_table()
        serve(
            {
                "GET /": list_notes,
                "GET /up": up,
                "GET /notes": list_notes,
                "POST /notes": add_note,
                "GET /secret-hash": secret_hash,
                "GET /env-names": env_names,
            }
        )
    elif command in ("chatter", "hog") and len(arguments) == 1:
        {"chatter": chatter, "hog": hog}[command](int(arguments[0]))
    else:
        sys.exit("usage: serve | chatter MEGABYTES | hog MEGABYTES")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["serve"]))
