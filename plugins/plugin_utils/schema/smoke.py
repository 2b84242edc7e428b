# GPL-3.0-or-later
"""What a smoke test may say. Which keys stand together, checks/smoke.py knows."""

from __future__ import annotations

from ..key import number, parts, text

_MOST = 10**15

SMOKE = parts(
    "One test: of a host name, a service or a database.",
    host=text("A host name of the stack's routes, asked by one GET through the host's own proxy.", "host"),
    path=text("With `host`: the path to ask for; `/` unless said.", "probe"),
    status=number("With `host`: the answer's status; 200 unless said.", least=100, most=599),
    contains=text("With `host`: text that is in the answer."),
    service=text("A service that must take a TCP connection, in each container that runs.", "service"),
    port=number("With `service`: the port inside the container.", "port"),
    database=text(
        "A service with PostgreSQL, MariaDB or MySQL, asked by a query in a read-only session.", "service"
    ),
    name=text("With `database`: the database in the server; the one that its image makes unless said."),
    query=text("With `database`: SQL whose answer is one value."),
    at_least=number("With `database`: the answer is this number or a greater one.", most=_MOST),
    answer=text("With `database`: the answer is this text."),
)
