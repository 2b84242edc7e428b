# GPL-3.0-or-later
"""What a stack may say of one of its services."""

from __future__ import annotations

from ..key import choice, either, many, number, parts, text

MOST_PROCESSES = 4_194_304  # of a kernel of 64 bits

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
    pids=number("Processes and threads.", most=MOST_PROCESSES, example=256),
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

COMMAND = parts(
    "One command in a container of its own.",
    service=text(
        "The service whose image, environment and networks it has.",
        "service",
        required=True,
        example="backend",
    ),
    command=text(
        "The command, as `docker compose run SERVICE` takes it.",
        "command",
        required=True,
        example="./manage.py migrate",
    ),
)
