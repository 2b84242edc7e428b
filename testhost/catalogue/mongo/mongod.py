#!/usr/bin/python3
"""As much of a document database as a driver needs to log in, insert and find; documents are in /data/db.

Every insert is in the file before it is answered. `_id` is unique; filters know equality, $gt, $gte, $lt and
$lte. Other commands are answered as MongoDB answers those that it does not know.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import signal
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any

import bson  # type: ignore[import-not-found, import-untyped, unused-ignore]
import wire
from wire import Document

ROUNDS = 15000
COMPARE = {
    "$gt": lambda found, wish: found > wish,
    "$gte": lambda found, wish: found >= wish,
    "$lt": lambda found, wish: found < wish,
    "$lte": lambda found, wish: found <= wish,
}
HELLO = {
    "ismaster": True,
    "isWritablePrimary": True,
    "helloOk": True,
    "maxBsonObjectSize": 16 * 1024 * 1024,
    "maxMessageSizeBytes": wire.LARGEST,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 25,
    "readOnly": False,
}


class RefusedError(Exception):
    """A command that fails, with MongoDB's code of the failure."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Store:
    """Collections by name, each a file of documents one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lock = folder, threading.Lock()
        self.found: dict[str, dict[Any, Document]] = {}

    def collection(self, name: str) -> dict[Any, Document]:
        if name not in self.found:
            file = self.folder / f"{name}.bson"
            documents = bson.decode_all(file.read_bytes()) if file.exists() else []
            self.found[name] = {each["_id"]: each for each in documents}
        return self.found[name]

    def insert(self, name: str, documents: list[Document]) -> Document:
        with self.lock:
            there = self.collection(name)
            for index, each in enumerate(documents):
                if each["_id"] in there:
                    text = f"E11000 duplicate key error collection: {name} index: _id_"
                    error = {"index": index, "code": 11000, "errmsg": text}
                    return {"n": index, "writeErrors": [error]}
                with (self.folder / f"{name}.bson").open("ab") as file:
                    file.write(bson.encode(each))
                there[each["_id"]] = each
        return {"n": len(documents)}

    def find(self, name: str, wish: Document) -> Document:
        with self.lock:
            rows = [each for each in self.collection(name).values() if fits(each, wish.get("filter", {}))]
        for key, direction in reversed(wish.get("sort", {}).items()):
            rows.sort(key=lambda each: each[key], reverse=direction < 0)
        limit = wish.get("limit") or len(rows)
        return {"cursor": {"firstBatch": rows[:limit], "id": 0, "ns": name}}


def fits(document: Document, wish: Document) -> bool:
    for key, value in wish.items():
        if not isinstance(value, dict):
            if document.get(key) != value:
                return False
            continue
        if unknown := value.keys() - COMPARE.keys():
            raise RefusedError(2, f"unknown operator: {', '.join(unknown)}")
        if key not in document or not all(COMPARE[sign](document[key], to) for sign, to in value.items()):
            return False
    return True


class Login:
    """One conversation of SCRAM-SHA-256 (RFC 7677) with the only user there is."""

    salt = secrets.token_bytes(16)

    def __init__(self, user: str, password: str) -> None:
        self.user = user
        self.salted = hashlib.pbkdf2_hmac("sha256", password.encode(), self.salt, ROUNDS)
        self.nonce = self.said = ""

    def begin(self, payload: bytes) -> bytes:
        bare = payload.decode().removeprefix("n,,")
        wish = dict(part.split("=", 1) for part in bare.split(","))
        if wish["n"] != self.user:
            raise RefusedError(18, "Authentication failed.")
        self.nonce = wish["r"] + secrets.token_urlsafe(18)
        first = f"r={self.nonce},s={base64.b64encode(self.salt).decode()},i={ROUNDS}"
        self.said = f"{bare},{first}"
        return first.encode()

    def end(self, payload: bytes) -> bytes:
        without, _, proof = payload.decode().rpartition(",p=")
        said = f"{self.said},{without}".encode()
        key = hmac.digest(self.salted, b"Client Key", "sha256")
        signed = hmac.digest(hashlib.sha256(key).digest(), said, "sha256")
        wanted = bytes(one ^ other for one, other in zip(key, signed, strict=True))
        fresh = without == f"c=biws,r={self.nonce}"
        if not self.nonce or not fresh or not hmac.compare_digest(wanted, base64.b64decode(proof)):
            raise RefusedError(18, "Authentication failed.")
        own = hmac.digest(hmac.digest(self.salted, b"Server Key", "sha256"), said, "sha256")
        return b"v=" + base64.b64encode(own)


class Connection(socketserver.StreamRequestHandler):
    """One driver's connection: nothing but hello before it has logged in."""

    def handle(self) -> None:
        self.inside, self.login = not USER, Login(USER, PASSWORD)
        while message := wire.read(self.rfile):
            kind, number, command = message
            try:
                answer = {**self.answer(next(iter(command)), command), "ok": 1.0}
            except RefusedError as refused:
                answer = {"ok": 0.0, "code": refused.code, "errmsg": str(refused)}
            self.wfile.write(wire.written(kind, number, answer))

    def answer(self, name: str, command: Document) -> Document:
        if name in ("hello", "ismaster", "isMaster"):
            return {**HELLO, **({"saslSupportedMechs": ["SCRAM-SHA-256"]} if USER else {})}
        if name == "saslStart":
            if command["mechanism"] != "SCRAM-SHA-256":
                raise RefusedError(334, "unsupported authentication mechanism")
            return {"conversationId": 1, "done": False, "payload": self.login.begin(command["payload"])}
        if name == "saslContinue":
            payload = self.login.end(command["payload"])
            self.inside = True
            return {"conversationId": 1, "done": True, "payload": payload}
        if name in ("ping", "endSessions"):
            return {}
        if not self.inside:
            raise RefusedError(13, f"command {name} requires authentication")
        place = f"{command['$db']}.{command[name]}"
        if name == "insert":
            return STORE.insert(place, command["documents"])
        if name == "find":
            return STORE.find(place, command)
        raise RefusedError(59, f"no such command: '{name}'")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


USER = os.environ.get("MONGO_INITDB_ROOT_USERNAME", "")
PASSWORD = os.environ.get("MONGO_INITDB_ROOT_PASSWORD", "")
STORE = Store(Path(os.environ.get("DATA", "/data/db")))

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("stand-in for mongod, waiting for connections on 27017")
    Server(("", 27017), Connection).serve_forever()
