# GPL-3.0-or-later
"""`drover_stacks`: what runs on the host."""

from __future__ import annotations

from ..key import boolean, choice, either, many, named, number, optional, parts, text, unquoted
from .route import ROUTE
from .service import ALLOW, COMMAND, EGRESS, LIMITS, PUBLISH
from .smoke import SMOKE

_HIGHEST_UID = 2**32 - 2

SECRET = either(
    "A secret, or a mapping of its value and the user that reads it.",
    secret=True,
    options=(
        text("The secret itself, from a lookup or a vault.", secret=True),
        unquoted(
            parts(
                "A secret and its reader.",
                value=text("The secret itself, from a lookup or a vault.", secret=True, required=True),
                uid=number(
                    "The user inside the container that reads it. Left out: Drover finds out.",
                    least=0,
                    most=_HIGHEST_UID,
                    secret=True,
                ),
            )
        ),
    ),
)

ENV = either(
    "A plain value, or `{secret: name}` for programs that read only the environment.",
    options=(
        text("Text."),
        number("A number.", least=None),
        boolean("true or false."),
        unquoted(
            parts("A secret.", secret=text("Its name under `secrets`.", "secret", secret=True, required=True))
        ),
    ),
)

BACKED_UP = either(
    "Whether it is backed up, or how.",
    options=(
        boolean("true or false."),
        parts(
            "How.",
            point_in_time=boolean(
                "PostgreSQL: its log is kept too, so that any moment can be restored; docs/backups.md says "
                "what it costs.",
                default=False,
                example=True,
            ),
        ),
    ),
)

STACK = parts(
    "One stack.",
    name=text("Its name on the host, for good.", "name", required=True, example="shop"),
    state=choice("absent stops and removes it.", "present", "absent"),
    data=choice("With `state: absent`: what becomes of its volumes and data.", "keep", "delete"),
    compose=text(
        "The folder of its Compose file, in the inventory's `compose/` or else in the collection's. "
        "Left out: the stack's name; with `image` and no such folder, `app`.",
        "folder",
        example="examples/mvp",
    ),
    version=text("${VERSION} in its file, the one line a deploy changes.", "version", example="1.0.0"),
    image=text("Short form of a stack of one container: ${IMAGE} in its file.", "image"),
    host=text("Short form: the host name it answers to.", "host"),
    port=number("Short form: the port inside the container.", "port"),
    health=text("Short form: a path that answers 200 when it can serve.", "probe"),
    env=named(
        "Values of ${KEY} in its file, and variables of the services that name KEY.",
        names="env",
        items=ENV,
        secret=True,
        example={"PUBLIC_URL": "https://shop.acme.example"},
    ),
    secrets=named(
        "Secrets by name. A service that lists the name in its file reads /run/secrets/NAME.",
        names="secret",
        items=SECRET,
        secret=True,
        example={"db_password": "{{ lookup('ansible.builtin.env', 'SHOP_DB_PASSWORD') }}"},
    ),
    routes=many("Host names and the services that answer.", items=ROUTE),
    maintenance=boolean(
        "Every route answers 503 with the page of maintenance; the services run on.",
        default=False,
        in_sample=False,
    ),
    pages=optional(
        parts(
            "Pages of its own, files of the stack's folder.",
            maintenance=text("Shown during maintenance.", "page", example="maintenance.html"),
            down=text("Shown with 502, 503 and 504 when no container answers.", "page", example="down.html"),
        )
    ),
    publish=many("Ports opened without the proxy; `ports:` of the file alone opens none.", items=PUBLISH),
    limits=named("Limits by service.", names="service", items=LIMITS, sample_name="cache"),
    allow=named("Exceptions by service.", names="service", items=ALLOW, sample_name="cache", in_sample=False),
    profiles=many("Profiles of the file to start.", items=text("A profile.", "service")),
    egress=named(
        "What each service may reach outside; left out, nothing.",
        names="service",
        items=many("Destinations.", items=EGRESS),
        supported=False,
    ),
    links=named(
        "Services of other stacks that a service may call.",
        names="service",
        items=many("Services.", items=text("stack/service.")),
        supported=False,
    ),
    aws=parts(
        "What the stack's own role may use.",
        supported=False,
        bucket=text("A bucket."),
        queue=text("A queue."),
        topic=text("A topic."),
        parameters=text("A path of parameters."),
    ),
    backup=named(
        "`NAME: false` leaves out a database (its service), a volume (its key) or a folder of data (its "
        "path); all others are backed up.",
        names="job",
        items=BACKED_UP,
        in_sample=False,
        example={"cache": False},
    ),
    workers=named(
        "Whether a service acts without being asked, such as one that sends mails: of two generations of a "
        "host one alone runs its workers. Left out: so does every service that is no database and to which "
        "no route, no port and no `depends_on` leads.",
        names="service",
        items=boolean("true or false."),
        in_sample=False,
        example={"hub": False},
    ),
    trial=boolean(
        "Whether it is tried on the next generation of its host before that takes over, without a way out; "
        "false where it is not well without one.",
        default=True,
        in_sample=False,
    ),
    frozen=optional(
        choice(
            "What a stack that keeps data does while its host is frozen, since another one takes over. page: "
            "it rests and shows the page of maintenance; read: it runs on without its workers, GET, HEAD and "
            "OPTIONS reach it, all else gets the page, and its PostgreSQL, MariaDB and MySQL take no writes.",
            "page",
            "read",
        )
    ),
    smoke=many(
        "What `drover smoke` asks, to see that the stack works: each entry names a `host`, a `service` or a "
        "`database`.",
        items=SMOKE,
        example=[
            {"host": "shop.acme.example", "path": "/up"},
            {"service": "cache", "port": 6379},
            {"database": "db", "query": "SELECT count(*) FROM items", "at_least": 1},
        ],
    ),
    deploy=parts(
        "How a new version takes over.",
        timeout=number("Seconds in which new containers must be well.", most=3600, default=120, example=120),
        soak=number(
            "Seconds that new containers must stay well before they serve.",
            least=0,
            most=3600,
            default=5,
            example=5,
        ),
        drain=number(
            "Seconds that old containers may finish their requests.",
            least=0,
            most=3600,
            default=10,
            example=10,
        ),
        before=many(
            "Run with the new image before its first container starts.", items=COMMAND, in_sample=False
        ),
        after=many("Run when the new version serves.", items=COMMAND, in_sample=False),
        backup=choice(
            "before: its data is backed up as part of each deploy of a new version.", "never", "before"
        ),
        singleton=many(
            "Services that never run twice: the old container stops first.",
            items=text("A service.", "service"),
            in_sample=False,
            example=["worker"],
        ),
    ),
)

STACKS = many("What runs on the host, stack by stack.", items=STACK)
