# GPL-3.0-or-later
"""TLS that ends at the proxy: certificates that are whole, and one for each host name.

One that has ended is no mistake here: it must not hold up what has nothing to do with it. The host tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..derive import certificates
from ..derive.certificates import UnfitError
from ..placeholder import why_not
from ..problem import Path, Problem
from ..stack import Data, Stack
from ..words import quoted
from .routes import placed

FIX = "write both as the issuer gave them, from a lookup or a vault"


def problems(platform: Data, path: Path) -> Iterator[Problem]:
    """What is wrong with those that were given, and with what an issuer would ask for."""
    proxy = platform["proxy"]
    acme = proxy["tls"]["acme"]
    if acme["email"] and acme["challenge"] == "http" and proxy["http_port"] != 80:
        asked = f"the issuer asks on port 80, and the proxy listens on {proxy['http_port']}"
        yield Problem((*path, "acme", "challenge"), asked, "write dns, or http_port: 80")
    seen: dict[str, int] = {}
    for index, entry in enumerate(proxy["tls"]["certificates"]):
        here = (*path, "certificates", index)
        found = list(_one(entry, here))
        yield from found
        if not found:
            name = certificates.read(entry).file
            if seen.setdefault(name, index) != index:
                fix = "remove one of the two"
                yield Problem(here, f"certificates[{seen[name]}] is for the same names", fix)


def _one(entry: Data, path: Path) -> Iterator[Problem]:
    vague = [(key, wrong) for key in ("certificate", "key") if (wrong := why_not(entry[key]))]
    for key, wrong in vague:
        yield Problem((*path, key), f"found {wrong}", FIX)
    if not vague:
        try:
            certificates.read(entry)
        except UnfitError as error:
            yield Problem((*path, error.part), str(error), FIX)


def uncovered(stacks: Sequence[Stack]) -> Iterator[Problem]:
    """Without an issuer every host name needs a certificate that was given."""
    for stack in stacks:
        tls = stack.platform["proxy"]["tls"]
        given = certificates.given(stack.platform)
        if tls["acme"]["email"] or len(given) < len(tls["certificates"]) or not given:
            continue
        for path, host in _hosts(stack):
            if not any(each.covers(host.lower()) for each in given):
                found = f"no certificate of drover_platform.proxy.tls is for {quoted(host)}"
                yield Problem(path, found, "give one, write tls.acme, or tls: false at the route")


def _hosts(stack: Stack) -> Iterator[tuple[Path, str]]:
    for path, route in placed(stack):
        if route["tls"]:
            yield path, route["host"]
            for index, host in enumerate(route["redirect_from"]):
                yield (*path[:-1], "redirect_from", index), host
