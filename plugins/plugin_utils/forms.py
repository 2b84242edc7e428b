# GPL-3.0-or-later
"""The forms a single value can have: a host name, a port, a size. Each says what to write instead."""

from __future__ import annotations

import ipaddress
import re
import shlex
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass

from .oncalendar import is_calendar
from .words import strange

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DAY = "(mon|tue|wed|thu|fri|sat|sun)"
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
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


def _parsed_by(parse: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether a parser takes the value and finds something in it."""

    def accepts(value: str) -> bool:
        try:
            return bool(parse(value))
        except ValueError:
            return False

    return accepts


def _host(value: str) -> bool:
    return bool(_HOST.match(value.lower())) and not value.replace(".", "").isdigit()


def _port(value: str) -> bool:
    return value.isascii() and value.isdigit() and 1 <= int(value) <= 65535


def _memory(value: str) -> bool:
    """A size that Docker accepts as a limit: 6 MiB or more, and less than 2^63 bytes."""
    found = _SIZE.match(value)
    return found is not None and 6 << 20 <= int(found[1]) * _UNITS[found[2]] < 1 << 63


def _cpus(value: str) -> bool:
    """What Docker accepts: a hundredth or more."""
    return bool(re.match(r"[0-9]{1,4}(\.[0-9]+)?\Z", value, re.ASCII)) and float(value) >= 0.01


def _window(value: str) -> bool:
    """Days, or days and hours of one day: what goes past midnight is two windows."""
    found = re.match(rf"{_DAY}(-{_DAY})?( (?P<from>{_TIME})-(?P<to>{_TIME}|24:00))?\Z", value)
    return found is not None and (found["from"] is None or found["from"] < found["to"])


def _timezone(value: str) -> bool:
    """Whether it has a zone's form; where this machine knows zones, it must be one of them."""
    known = zoneinfo.available_timezones()
    return bool(re.match(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*\Z", value)) and (
        not known or value in known
    )


def _calendar(value: str) -> bool:
    return is_calendar(value, _timezone)


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
    "path": Form(
        _pattern(r"/|(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._~-]+)+/?"),
        "a path as it is compared (decoded: letters, digits and . _ ~ - between single slashes)",
        "/api/v1",
    ),
    "probe": Form(
        _pattern(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*"),
        "a path",
        "/up",
    ),
    "email": Form(_pattern(r"[^@\s]{1,64}@[^@\s]{1,253}"), "an address of e-mail", "ops@acme.example"),
    "acme directory": Form(
        _pattern(r"https://[A-Za-z0-9._:/-]{1,500}"),
        "the address of an issuer's directory",
        "https://acme-v02.api.letsencrypt.org/directory",
    ),
    "port": Form(_port, "a port (1 to 65535)", "8080"),
    "address": Form(_parsed_by(ipaddress.ip_address), "an address of this host", "127.0.0.1"),
    "range": Form(_parsed_by(ipaddress.ip_network), "an address range", "10.20.0.0/24"),
    "header": Form(_pattern(r"[A-Za-z0-9-]{1,64}"), "a header's name", "X-Frame-Options"),
    "header value": Form(_pattern(r"[ -~]{0,4000}"), "a header's value", "DENY"),
    "page": Form(
        _pattern(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*"),
        "a file of the stack's folder",
        "maintenance.html",
    ),
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
    "command": Form(_parsed_by(shlex.split), "a command whose quotes are closed", "./manage.py migrate"),
    "window": Form(
        _window,
        "a window (days, or days and hours of the same day)",
        "fri 00:00-12:00",
    ),
    "timezone": Form(_timezone, "a time zone", "Europe/Berlin"),
    "job": Form(
        _pattern(r"(?!-)(?!\.{1,2}(/|\Z))[A-Za-z0-9._-]+(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._-]+)*"),
        "a name that a backup can have (letters, digits and . _ - /)",
        "uploads",
    ),
    "volume": Form(
        _pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}"), "a name that Docker gives a volume", "shop_db"
    ),
    "repository": Form(
        _pattern(
            r"s3:(https?://)?[!-.0-~]+(/[!-.0-~]+)+|rest:https?://[!-~]*[!-.0-~]|sftp:[!-~]*[!-.0-~]"
            r"|(b2|azure|gs|swift|rclone):[!-9;-~]+:[!-~]*[!-.0-~]|(/[!-.0-~]+)+"
        ),
        "a repository as restic writes it, with its bucket or folder and without a / at its end",
        "s3:https://s3.eu-central-1.amazonaws.com/acme-backup",
    ),
    "calendar": Form(_calendar, "a time as systemd's OnCalendar takes it", '"*-*-* 04:40:00"'),
    "logical host": Form(_pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"), "a host's name", "web"),
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
    "foundation name": Form(
        _pattern(r"[A-Za-z0-9._-]{1,100}"), "a name below target_group/ or address/", "web"
    ),
}


def size(value: str) -> int:
    """The bytes of a value of the form `size`."""
    found = _SIZE.match(value)
    return int(found[1]) * _UNITS[found[2]] if found else 0


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
