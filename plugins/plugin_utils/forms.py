# GPL-3.0-or-later
"""The forms a single value can have: a host name, a port, a size. Each says what to write instead."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from .words import strange

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_SIZE = re.compile(r"([1-9][0-9]{0,8})([kmg])b?\Z")
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})+\Z")


@dataclass(frozen=True)
class Form:
    """A test of one value, what such a value is called, and an example of it."""

    accepts: Callable[[str], bool]
    called: str
    example: str


def _pattern(text: str) -> Callable[[str], bool]:
    compiled = re.compile(rf"(?:{text})\Z")
    return lambda value: bool(compiled.match(value))


def _host(value: str) -> bool:
    return bool(_HOST.match(value.lower())) and not value.replace(".", "").isdigit()


def _address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _port(value: str) -> bool:
    return value.isascii() and value.isdigit() and 1 <= int(value) <= 65535


def _memory(value: str) -> bool:
    """A size that Docker accepts as a limit: 6 MiB or more, and less than 2^63 bytes."""
    found = _SIZE.match(value)
    return found is not None and 6 << 20 <= int(found[1]) * _UNITS[found[2]] < 1 << 63


def _cpus(value: str) -> bool:
    """What Docker accepts: a hundredth or more."""
    return bool(re.match(r"[0-9]{1,4}(\.[0-9]+)?\Z", value, re.ASCII)) and float(value) >= 0.01


FORMS: dict[str, Form] = {
    "name": Form(
        _pattern(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?"),
        "a name (a-z, 0-9 and -, at most 40 characters)",
        "shop",
    ),
    "service": Form(_pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"), "a service name", "web"),
    "folder": Form(
        _pattern(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*"),
        "a folder inside compose/",
        "shop",
    ),
    "env": Form(_pattern(r"[A-Za-z_][A-Za-z0-9_]*"), "a variable name", "PUBLIC_URL"),
    "secret": Form(_pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"), "a secret's name", "db_password"),
    "host": Form(_host, "a host name", "shop.example.com"),
    "path": Form(_pattern(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*"), "a path", "/up"),
    "probe": Form(
        _pattern(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*"),
        "a path",
        "/up",
    ),
    "port": Form(_port, "a port (1 to 65535)", "8080"),
    "address": Form(_address, "an address of this host", "127.0.0.1"),
    "image": Form(
        _pattern(r"[a-z0-9]([a-z0-9._:/-]*[a-z0-9])?"),
        "an image name without a tag",
        "registry.example.com/shop/web",
    ),
    "version": Form(
        _pattern(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64})?"), "an image tag", "1.8.2"
    ),
    "size": Form(_pattern(r"[1-9][0-9]{0,8}[kmg]b?"), "a size", "10m"),
    "memory": Form(_memory, "a size of memory (6m or more)", "512m"),
    "cpus": Form(_cpus, "a number of processors (0.01 or more)", "0.5"),
    "reason": Form(
        lambda value: len(value.strip()) >= 8, "a reason (a few words)", "the vendor publishes no other tag"
    ),
    "group": Form(
        _pattern(r"[a-z0-9_]{1,40}"), "a name that makes a group of its own (a-z, 0-9 and _)", "web"
    ),
    "account": Form(_pattern(r"[0-9]{12}"), "an AWS account (twelve digits)", '"123456789012"'),
    "region": Form(_pattern(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}"), "an AWS region", "eu-central-1"),
    "instance type": Form(_pattern(r"[a-z0-9-]+\.[a-z0-9-]+"), "an instance type", "t3.small"),
    "subnet": Form(_pattern(r"subnet-[0-9a-f]{8,17}"), "a subnet's id", "subnet-0123456789abcdef0"),
    "parameters": Form(
        _pattern(r"(/[A-Za-z0-9._-]+)+"),
        "a path of the Parameter Store, without a / at its end",
        "/acme/production",
    ),
    "target group": Form(_pattern(r"[A-Za-z0-9._-]{1,100}"), "a name below target_group/", "web"),
}


def mistake(form: str, value: str) -> tuple[str, str] | None:
    """(what was found, what to write) when the value lacks the form; None when it has it."""
    wanted = FORMS[form]
    if wanted.accepts(value) and strange(value) is None:
        return None
    odd = strange(value)
    if form == "host" and odd and value.isprintable():
        return f"holds {odd}", "write the name in punycode (xn--…), as DNS has it"
    if odd:
        return f"holds {odd}", f"write it in plain ASCII, as {wanted.example}"
    return f"is not {wanted.called}", f"write one such as {wanted.example}"
