"""The demo's page: the items, asked from the backend (BACKEND_URL) on the server's side."""

from __future__ import annotations

import html
import json
import os
import sys
import urllib.request
from typing import Any

from web import Answer, Request, serve

BACKEND = os.environ.get("BACKEND_URL", "http://backend:8080").rstrip("/")


def ask_backend(path: str) -> Any:
    with urllib.request.urlopen(BACKEND + path, timeout=5) as answer:  # noqa: S310  the operator's address
        return json.load(answer)


def page(_: Request) -> Answer:
    try:
        items = ask_backend("/items")
    except OSError as error:
        reason = html.escape(str(error))
        return Answer(f"<!doctype html><title>Items</title><p>No answer: {reason}</p>\n", 502)
    lines = "".join(f"<li>{html.escape(item['name'])}</li>" for item in items)
    return Answer(f"<!doctype html><title>Items</title><h1>Items</h1><ul>{lines}</ul>\n")


def up(_: Request) -> Answer:
    """Up means that this program answers; the backend has a check of its own."""
    return Answer({"up": True})


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["serve"]):
        sys.exit("the only command is serve")
    serve({"GET /": page, "GET /up": up})
