# GPL-3.0-or-later
"""What a route file is made of.

The second line of a file says it as data, and the rest has to follow from it letter by letter: what passes is
what we write, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from drover import route as routes
from drover import tls
from drover.fields import HOST, NAME, SERVICE, flag, get, number, text
from drover.layout import PROXY
from drover.release import Manifest, Proxy, read_proxy
from drover.route import Route
from drover.run import DroverError
from drover.tls import Certificate

NOTE = (
    "# Written by drover, which puts right what others change. The next line says what the rest is made of."
)
CERTIFICATES = "/srv/proxy/certificates"  # as the proxy sees them
CERTIFICATE = re.compile(rf"({tls.GIVEN}|{tls.ACME}/[0-9a-f]{{8}})/{tls.FILE.pattern}")
OLDEST, NEWEST = 0, 1 << 53  # of a file, in milliseconds


class Source(NamedTuple):
    """One stack's routes, or with the proxy's own stack what it knows besides."""

    stack: str
    proxy: Proxy
    routes: tuple[Route, ...] = ()
    servers: Mapping[str, tuple[str, ...]] = {}  # names of containers by service
    maintenance: bool = False
    down_page: bool = False
    secure: bool = False  # whether the proxy ends TLS itself
    challenged: bool = False  # whether an issuer asks for something under each host name
    reads_only: bool = False  # whether what may change something gets the page of maintenance

    def certificate(self, host: str) -> str:
        """The file with the host name's certificate and key, as the proxy sees it; empty without one."""
        found = self.proxy.certificates.get(host)
        return f"{CERTIFICATES}/{found.file}" if found else ""

    def forced(self, route: Route) -> bool:
        """Whether the route sends to TLS: not while there is nothing to answer with."""
        here = self.secure and not route.plain
        return route.https and bool(self.certificate(route.host) if here else self.proxy.trusted)


def of(manifest: Manifest, servers: Mapping[str, Any]) -> Source:
    """Only what the text depends on, so that nothing else makes it another."""
    proxy = manifest.proxy or Proxy()
    if manifest.stack == PROXY:
        own = proxy._replace(tls=None, users={}, certificates={})
        return Source(PROXY, own, secure=bool(proxy.tls), challenged=_challenged(proxy))
    asked = {each.auth for each in manifest.routes}
    return Source(
        manifest.stack,
        Proxy(
            proxy.kind,
            proxy.trusted,
            users={name: age for name, age in proxy.users.items() if name in asked},
            certificates=certified(proxy, manifest.routes),
        ),
        manifest.routes,
        {name: tuple(servers.get(name, ())) for name in sorted(led(manifest))},
        manifest.maintenance,
        manifest.down_page,
        bool(proxy.tls),
        _challenged(proxy),
        manifest.reads_only and not manifest.maintenance,
    )


def _challenged(proxy: Proxy) -> bool:
    return bool(proxy.tls and proxy.tls.acme and proxy.tls.acme.challenge == "http")


def led(of: Manifest | Source) -> set[str]:
    """The services that requests go to."""
    both = [(each.service, each.canary.service if each.canary else "") for each in of.routes]
    return set() if of.maintenance else {name for pair in both for name in pair if name}


def certified(proxy: Proxy, known: Iterable[Route]) -> dict[str, Certificate]:
    """The certificate of each host name that has one."""
    found = {name: tls.covering(proxy.certificates, name) for each in known for name in each.names}
    return {name: each for name, each in sorted(found.items()) if each}


def places(source: Source) -> frozenset[tuple[str, str]]:
    """Host and path of each route."""
    return frozenset((each.host, each.path.rstrip("/") or "/") for each in source.routes)


def written(source: Source, body: Callable[[str], str]) -> tuple[str, str]:
    """The file and its mark: a host name that the proxy answers with 418 once it goes by this very text.

    `body` turns a mark into the lines below the data.
    """
    head = f"{NOTE}\n# {_data(source)}\n"
    digest = hashlib.sha256(f"{head}{body('')}".encode()).hexdigest()[:16]
    mark = f"{digest}.{source.stack}.seen.invalid"
    return f"{head}{body(mark)}", mark


def _data(source: Source) -> str:
    data = {
        **source._asdict(),
        "proxy": source.proxy._asdict(),
        "routes": [routes.plain(each) for each in source.routes],
    }
    if not source.reads_only:  # as in the files of before there was such a thing
        del data["reads_only"]
    return safe(json.dumps(data, sort_keys=True))


def safe(dumped: str) -> str:
    """The same JSON without what Traefik, which takes its files for templates, would carry out."""
    return dumped.replace("{{", "{\\u007b")


def read(content: str) -> Source:
    """What the file says of itself; ValueError where it does not."""
    lines = content.split("\n", 2)
    if len(lines) < 3 or lines[0] != NOTE or not lines[1].startswith("# "):
        raise ValueError("its first two lines are not drover's")
    try:
        return _source(json.loads(lines[1][2:]))
    except (DroverError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"second line: {error}") from None


def _source(data: Mapping[str, Any]) -> Source:
    where = "file"
    found = read_proxy("proxy", data["proxy"])
    ages = get(data["proxy"], "users", dict, "proxy")
    issued = get(data["proxy"], "certificates", dict, "proxy")
    servers = {name: _names(name, names) for name, names in get(data, "servers", dict, where).items()}
    made = Source(
        text(data, "stack", NAME, where),
        found._replace(
            users={name: number(ages, name, OLDEST, NEWEST, "users") for name in ages},
            certificates={name: _certificate(name, *each) for name, each in issued.items()},
        ),
        tuple(routes.read("routes", each) for each in get(data, "routes", list, where)),
        servers,
        flag(data, "maintenance", where),
        flag(data, "down_page", where),
        flag(data, "secure", where),
        flag(data, "challenged", where),
        flag(data, "reads_only", where),
    )
    missing = led(made) - set(servers)
    if missing:
        raise ValueError(f"no servers of {min(missing)}")
    return made


def _certificate(name: str, file: str, age: int) -> Certificate:
    text({name: name}, name, HOST, "certificates")
    text({name: file}, name, CERTIFICATE, "certificates")
    return Certificate(file, number({name: age}, name, OLDEST, NEWEST, "certificates"))


def _names(service: str, names: list[str]) -> tuple[str, ...]:
    if not names:
        raise ValueError(f"{service}: no servers")
    return tuple(text({service: each}, service, SERVICE, "servers") for each in names)
