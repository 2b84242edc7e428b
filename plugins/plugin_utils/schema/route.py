# GPL-3.0-or-later
"""What a route may say."""

from __future__ import annotations

from ..key import boolean, choice, many, named, number, optional, parts, text

HEADER = text("Its value; empty to take it away.", "header value")

ROUTE = parts(
    "One host name, or one path of it, and the service that answers.",
    host=text(
        "Each host and path belongs to one service.", "host", required=True, example="shop.acme.example"
    ),
    path=text("The path it begins with, as it is decoded.", "path", default="/", example="/"),
    service=text("A service of the stack's file.", "service", required=True, example="frontend"),
    port=number("The port inside the service's container.", "port", required=True, example=8080),
    health=text("A path that answers 200 when the service can serve.", "probe", example="/up"),
    priority=number(
        "Of two routes that fit a request the one with the higher priority counts, else the longer path.",
        least=-100,
        most=100,
        default=0,
        in_sample=False,
    ),
    redirect_from=many(
        "Other host names that lead here by a redirect.",
        items=text("A host name.", "host"),
        example=["www.shop.acme.example"],
        in_sample=False,
    ),
    https=boolean("Redirects what came without TLS.", default=False, in_sample=False),
    tls=boolean("false: the proxy has no certificate for it, if it ends TLS.", default=True, in_sample=False),
    headers=optional(
        parts(
            "Headers to set.",
            request=named("Those that the service gets.", names="header", items=HEADER),
            response=named("Those of its answers.", names="header", items=HEADER),
        )
    ),
    auth=text(
        "A secret of the stack with a line `user:password` for each who may enter, or htpasswd's lines.",
        "secret",
        in_sample=False,
        example="staff",
    ),
    allow=many(
        "Address ranges from which clients may come; left out, all.",
        items=text("A range.", "range"),
        in_sample=False,
        example=["203.0.113.0/24"],
    ),
    rate=optional(
        parts(
            "What one client address may send; more is answered with 429.",
            requests=number("Requests.", most=1_000_000, required=True, example=10),
            per=choice("In what time.", "second", "minute"),
            burst=number("How many at once; as many as `requests`, if left out.", most=1_000_000, example=20),
        )
    ),
    max_body=text("Size of a request, answered with 413 beyond it.", "size", in_sample=False, example="10m"),
    timeout=number(
        "Seconds in which the service must begin its answer, else 504.",
        most=86_400,
        in_sample=False,
        example=60,
    ),
    compress=boolean("Compresses answers of text.", default=False, in_sample=False),
    sticky=boolean("A client stays with its container, by a cookie.", default=False, in_sample=False),
    canary=optional(
        parts(
            "Another service of the stack that gets a share of the requests.",
            service=text("A service of the stack's file.", "service", required=True, example="frontend-next"),
            port=number("The port inside its container.", "port", required=True, example=8080),
            percent=number("Its share of a hundred.", most=99, required=True, example=5),
        )
    ),
)
