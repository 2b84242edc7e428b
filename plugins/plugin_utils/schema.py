# GPL-3.0-or-later
"""Every key of `drover_stacks`, `drover_platform` and `drover_aws`: types, choices, defaults and texts.

Validation, the roles' argument specs, the reference page and the commented sample come from here.
"""

from __future__ import annotations

from .key import boolean, choice, either, many, named, number, parts, text, unquoted

_MOST_PROCESSES = 4_194_304  # of a kernel of 64 bits
_HIGHEST_UID = 2**32 - 2

ROUTE = parts(
    "One host name, or one path of it, and the service that answers.",
    host=text(
        "Each host and path belongs to one service.", "host", required=True, example="shop.acme.example"
    ),
    path=text("The path it begins with.", "path", default="/", example="/"),
    service=text("A service of the stack's file.", "service", required=True, example="frontend"),
    port=number("The port inside the service's container.", "port", required=True, example=8080),
    health=text("A path that answers 200 when the service can serve.", "probe", example="/up"),
)

PUBLISH = parts(
    "One port of the host that leads to a service without the proxy.",
    service=text("A service of the stack's file.", "service", required=True, example="cache"),
    port=number("The port inside the container.", "port", required=True, example=6379),
    host_port=number("The port of the host.", "port", required=True, example=6379),
    address=text("The host's address.", "address", default="0.0.0.0", example="127.0.0.1"),  # noqa: S104
    protocol=choice("The protocol.", "tcp", "udp"),
)

LIMITS = parts(
    "What one service may use at most; wins over the stack's file.",
    memory=text("Memory; beyond it the container is killed.", "memory", example="256m"),
    cpus=either("Processors.", options=(number("", "cpus"), text("", "cpus")), example=0.5),
    pids=number("Processes and threads.", most=_MOST_PROCESSES, example=256),
)

ALLOW = parts(
    "Rules that a service may break, each with the reason why, which `drover status` shows.",
    latest=text("An image without a fixed tag.", "reason", example="the vendor publishes no other tag"),
    no_health_check=text("No health check.", "reason", example="it only waits for a queue"),
    privileged=text(
        "Rights close to root's on the host: `privileged`, devices, SYS_ADMIN and the like.",
        "reason",
        example="it measures the host's hardware",
    ),
    host_path=text(
        "A mount of the host's own paths, other than those below /mnt, /media and /srv. What gives the host "
        "away, such as /etc or /var/lib, stays closed.",
        "reason",
        example="it reads the host's mail spool",
    ),
    docker_socket=text("A mount of Docker's socket: root on the host.", "reason", example="it builds images"),
)

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

EGRESS = either(
    "`https` (80, 443 and DNS to anywhere), or a destination.",
    options=(
        text("Anywhere.", choices=("https",)),
        parts(
            "One destination.",
            to=text("A host name, `*.` for all below it, or an address range.", required=True),
            ports=many("The ports.", items=number("A port.", "port")),
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
        "`name: false` leaves out a volume or database; all others are backed up.",
        names="service",
        items=boolean("Whether it is backed up."),
        supported=False,
    ),
    deploy=parts(
        "How a new version takes over.",
        supported=False,
        soak=number("Seconds a new container stays healthy before it serves."),
        drain=number("Seconds an old container may finish its requests."),
        before=many("Commands before the switch.", items=text("service: command.")),
        after=many("Commands after it.", items=text("service: command.")),
        singleton=many("Services that never run twice.", items=text("A service.", "service")),
    ),
)

STACKS = many("What runs on the host, stack by stack.", items=STACK)

PLATFORM = parts(
    "Settings of the whole host.",
    client=text("Whose host it is; alerts name it.", "group", example="acme"),
    environment=choice("What it is for.", "production", "staging"),
    proxy=parts(
        "The proxy that leads host names to services.",
        kind=choice("Which one; nginx is not supported yet.", "traefik", "nginx"),
        image=text("Its image.", "image", default="traefik", example="traefik"),
        version=text("Its image's tag.", "version", default="v3.7.15", example="v3.7.15"),
        http_port=number("The port of the host it listens on.", "port", default=80, example=80),
    ),
    limits=parts(
        "Limits of a service that has none of its own.",
        memory=text("Memory.", "memory", default="512m", example="512m"),
        pids=number("Processes and threads.", default=512, most=_MOST_PROCESSES, example=512),
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

INSTANCE = parts(
    "One instance, by its name and generation.",
    name=text("Its name across generations.", "group", required=True, example="web"),
    role=text("What it is for: a group of the inventory.", "group", required=True, example="app"),
    generation=number("Which instance of that name it is.", default=1, most=999_999, example=1),
    type=text("The instance type.", "instance type", default="t3.small", example="t3.small"),
    image=parts(
        "The machine image: the newest of that owner and name.",
        owner=text("The owner's account; Debian's, if left out.", "account", default="136693071363"),
        name=text("The name, `*` for any text.", default="debian-13-amd64-*"),
    ),
    disk_gigabytes=number("The size of its encrypted disk.", least=8, most=16_384, default=20, example=30),
    subnet=text("Its subnet; else the first of `private_subnets`.", "subnet"),
    target_groups=many(
        "Target groups that send it requests, by their names below `target_group/`.",
        items=text("A name.", "target group"),
        example=["web"],
    ),
    user_data=text("What cloud-init runs at its first boot.", secret=True),
)

AWS = parts(
    "What the client has in AWS; left out where hosts are no instances.",
    account=text(
        "Whose instances these may be; credentials of another account are refused.",
        "account",
        required=True,
        example="123456789012",
    ),
    region=text("The region.", "region", required=True, example="eu-central-1"),
    foundation=text(
        "A path of the Parameter Store. Below it your Terraform says `private_subnets` and `security_groups` "
        "(lists with commas), `instance_profile`, `key_name`, and `target_group/NAME` with an ARN. "
        "A launch needs it.",
        "parameters",
        example="/acme/production",
    ),
    connection=unquoted(
        parts(
            "An emulator, if it is none of AWS's own: there AWS_PROFILE or your SSO session counts, for "
            "modules, lookups and the inventory alike.",
            endpoint_url=text("Its address.", secret=True),
            access_key=text("A key.", secret=True),
            secret_key=text("Its secret.", secret=True),
        )
    ),
    wait=boolean(
        "Whether a launch waits for SSH at the private address; not over a tailnet or SSM.", default=True
    ),
    hosts=many("What `playbooks/aws.yml` launches.", items=INSTANCE),
)
