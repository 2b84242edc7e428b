# GPL-3.0-or-later
"""What Drover knows of images that many stacks use, so that their files need not say it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DROPS_TO_USER = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")
BASELINE = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
"""Capabilities of an image nobody knows: enough to start as root and become another user."""


@dataclass(frozen=True)
class Known:
    """Capabilities it needs, the user that reads its secrets, and a command that tells its health."""

    kind: str
    caps: tuple[str, ...]
    uid: int | None = None
    uid_alpine: int | None = None
    health: tuple[str, ...] | None = None


def _shell(command: str) -> tuple[str, ...]:
    return "CMD-SHELL", command


# Over TCP, because the server that initialises a new database listens on its socket only.
_POSTGRES = _shell("pg_isready -q -h 127.0.0.1")
# A server with a password answers NOAUTH, which is a sign of life too.
_VALKEY = _shell("valkey-cli ping | grep -qE 'PONG|NOAUTH'")
_REDIS = _shell("redis-cli ping | grep -qE 'PONG|NOAUTH'")

_KNOWN = {
    "postgres": Known("postgres", _DROPS_TO_USER, 999, 70, _POSTGRES),
    "mariadb": Known(
        "mariadb", _DROPS_TO_USER, 999, None, ("CMD", "mariadb-admin", "ping", "-h", "127.0.0.1")
    ),
    "mysql": Known("mysql", _DROPS_TO_USER, 999, None, ("CMD", "mysqladmin", "ping", "-h", "127.0.0.1")),
    "mongo": Known(
        "mongodb", _DROPS_TO_USER, 999, None, ("CMD", "mongosh", "--quiet", "--eval", "db.hello().ok")
    ),
    "valkey/valkey": Known("valkey", _DROPS_TO_USER, 999, 999, _VALKEY),
    "redis": Known("redis", _DROPS_TO_USER, 999, 999, _REDIS),
    "rabbitmq": Known("rabbitmq", _DROPS_TO_USER, 999, 100, ("CMD", "rabbitmq-diagnostics", "-q", "ping")),
    "nginx": Known("nginx", ("CHOWN", "DAC_OVERRIDE", "NET_BIND_SERVICE", "SETGID", "SETUID")),
    "traefik": Known("traefik", ("NET_BIND_SERVICE",)),
}

DATA_PATHS = {
    "postgres": "/var/lib/postgresql",
    "mariadb": "/var/lib/mysql",
    "mongodb": "/data/db",
    "valkey": "/data",
}
"""Engines of databases, and where in its container each keeps its data."""

_ENGINES = {
    **dict.fromkeys(("postgres", "postgis", "pgvector", "timescaledb", "timescaledb-ha"), "postgres"),
    **dict.fromkeys(("mariadb", "mysql", "percona"), "mariadb"),
    "mongo": "mongodb",
    **dict.fromkeys(("valkey", "redis"), "valkey"),
}
_DATA_ELSEWHERE = {"timescaledb-ha": "/home/postgres/pgdata"}


def look_up(image: object) -> Known | None:
    """What is known of the image, whatever its tag."""
    return _KNOWN.get(repository(str(image or "")))


def repository(image: str) -> str:
    """The image's name without registry prefix of Docker Hub, tag and digest."""
    name = re.sub(r"(:[^/:@]+)?(@.*)?\Z", "", image)
    return re.sub(r"\A((docker\.io|index\.docker\.io)/)?(library/)?", "", name)


def engine(image: object) -> str | None:
    """The engine of a database's image, from whichever registry it comes; None for every other image."""
    return _ENGINES.get(_last_part(image))


def data_path(image: object, engine: str) -> str:
    """Where a server of that engine keeps its data, if nobody tells it another place."""
    return _DATA_ELSEWHERE.get(_last_part(image), DATA_PATHS[engine])


def _last_part(image: object) -> str:
    return repository(str(image or "")).rpartition("/")[2]


def secret_reader(image: object) -> int | None:
    """The numeric user that reads the image's secrets, where known."""
    known = look_up(image)
    if known is None:
        return None
    return known.uid_alpine if "alpine" in str(image) else known.uid
