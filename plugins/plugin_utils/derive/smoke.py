# GPL-3.0-or-later
"""The stack's smoke tests as the agent reads them."""

from __future__ import annotations

from ..stack import Data, Stack
from . import backups

SQL = ("postgres", "mariadb")
"""Engines that take a query; MySQL is asked as MariaDB is."""


def tests(stack: Stack) -> list[Data]:
    """Each test with its kind, in the order of the data."""
    return [_test(stack, asked(entry)) for entry in stack.data["smoke"]]


def asked(entry: Data) -> Data:
    """What the entry says."""
    return {key: value for key, value in entry.items() if value is not None}


def _test(stack: Stack, entry: Data) -> Data:
    if "host" in entry:
        return {"kind": "http", "path": "/", "status": 200, **entry, "host": entry["host"].lower()}
    if "service" in entry:
        return {"kind": "tcp", **entry}
    service = entry.pop("database")
    return {"kind": "sql", "service": service, "engine": backups.engine(stack, service), **entry}
