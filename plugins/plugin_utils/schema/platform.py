# GPL-3.0-or-later
"""`drover_platform`: settings of the whole host."""

from __future__ import annotations

from ..key import choice, many, number, optional, parts, text, unquoted
from .backup import BACKUP
from .service import MOST_PROCESSES

TLS = parts(
    "Left out, TLS ends at the load balancer. With one of these the proxy listens on 443 too.",
    acme=parts(
        "An issuer, who is asked for a certificate for each host name that none of `certificates` covers.",
        email=text("Whom the issuer writes to.", "email", required=True, example="ops@acme.example"),
        challenge=choice("How it sees that a name is ours: over port 80, or by Route 53.", "http", "dns"),
        server=text(
            "Its directory.",
            "acme directory",
            default="https://acme-v02.api.letsencrypt.org/directory",
            example="https://acme-v02.api.letsencrypt.org/directory",
        ),
    ),
    certificates=many(
        "Certificates of your own.",
        items=parts(
            "One of them, for the names in it.",
            certificate=text("PEM: itself, then those between it and the root.", required=True, secret=True),
            key=text("PEM: its key, from a lookup or a vault.", required=True, secret=True),
        ),
        default=(),
    ),
)

PLATFORM = parts(
    "Settings of the whole host.",
    client=text("Whose host it is; alerts name it.", "group", example="acme"),
    environment=choice("What it is for.", "production", "staging"),
    proxy=parts(
        "The proxy that leads host names to services.",
        kind=choice("Which one.", "traefik", "nginx"),
        image=text("Its image; left out, the one of that name.", "image", in_sample=False),
        version=text(
            "Its image's tag; left out, the one that Drover is tested with.", "version", in_sample=False
        ),
        http_port=number("The port of the host it listens on.", "port", default=80, example=80),
        trusted=many(
            "Address ranges of load balancers, whose X-Forwarded-For and X-Forwarded-Proto are believed.",
            items=text("A range.", "range"),
            default=(),
            example=["10.20.0.0/24"],
        ),
        request_timeout=number(
            "Seconds in which a request must have come; slower connections are closed.",
            most=3600,
            default=60,
            example=60,
        ),
        idle_timeout=number(
            "Seconds that a connection without requests stays open: longer than the load balancer's.",
            least=65,
            most=3600,
            default=75,
            example=75,
        ),
        tls=optional(TLS),
    ),
    deploy=parts(
        "When stacks that run may change, and what is kept for a rollback.",
        windows=many(
            "Spans of the week; outside them a change needs a `reason`. Staging is always open. "
            "An empty list is no bound.",
            items=text("Days, or days and hours.", "window"),
            default=("mon-thu", "fri 00:00-12:00"),
            example=["mon-thu", "fri 00:00-12:00"],
        ),
        timezone=text("Where the client's clock stands.", "timezone", default="UTC", example="Europe/Berlin"),
        keep=number(
            "Releases of each stack that stay for a rollback, beside the one that runs.",
            most=50,
            default=5,
            example=5,
        ),
    ),
    backup=BACKUP,
    limits=parts(
        "Limits of a service that has none of its own.",
        memory=text("Memory.", "memory", default="512m", example="512m"),
        pids=number("Processes and threads.", default=512, most=MOST_PROCESSES, example=512),
    ),
    logs=parts(
        "What each container's log may take.",
        max_size=text("Size of one file.", "size", default="10m", example="10m"),
        max_files=number("Files kept.", default=3, most=1000, example=3),
    ),
    alerts=unquoted(
        parts(
            "Where alerts go.",
            channels=many(
                "Apprise URLs; secret, so from a lookup or a vault.",
                items=text("An Apprise URL.", secret=True),
                secret=True,
                default=(),
                example=["{{ lookup('ansible.builtin.env', 'ALERT_URL') }}"],
            ),
        )
    ),
)
