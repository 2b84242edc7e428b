# GPL-3.0-or-later
"""Brings one service to its long form: short and long syntax read the same afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..problem import Path, Say
from ..words import close_to, kind, listed, quoted
from .interpolate import Text, raw

Plain = dict[str, object]
_MODES: dict[str, tuple[str, object]] = {
    "ro": ("read_only", True),
    "rw": ("read_only", False),
    "nocopy": ("volume", {"nocopy": True}),
    **{mode: ("bind", {"selinux": mode}) for mode in ("z", "Z")},
    **{
        mode: ("bind", {"propagation": mode})
        for mode in ("private", "rprivate", "shared", "rshared", "slave", "rslave")
    },
    **{mode: ("consistency", mode) for mode in ("cached", "delegated", "consistent")},
}
"""A short mount's mode → the key of the long form, and its value."""

_PORT = re.compile(
    r"(?:(?P<address>\[[0-9a-fA-F:.]+\]|[0-9.]+):)?(?:(?P<published>[0-9]*(?:-[0-9]+)?):)?"
    r"(?P<target>[0-9]+(?:-[0-9]+)?)(?:/(?P<protocol>tcp|udp|sctp))?\Z"
)


def service(data: Plain, path: Path, say: Say) -> Plain:
    """The service with every list or short text it may use written out; what cannot be read is reported."""
    normal = dict(data)
    for name, reader in _READERS.items():
        if data.get(name) is not None:
            normal[name] = reader(data[name], (*path, name), say)
    return {name: value for name, value in normal.items() if value is not None}


def pairs(value: object, path: Path, say: Say) -> Plain:
    """`KEY=value` list or mapping → mapping; a bare KEY has the value None."""
    if isinstance(value, dict):
        return {key: _scalar(item, (*path, key), say) for key, item in value.items()}
    found: Plain = {}
    for item in texts(value, path, say):
        key, sign, rest = str(raw(item)).partition("=")
        found[key] = _part(item, rest) if sign else None
    return found


def _part(item: str, raw_rest: str) -> str:
    return (
        Text(item.partition("=")[2], raw_rest, item.names)
        if isinstance(item, Text)
        else item.partition("=")[2]
    )


def _scalar(value: object, path: Path, say: Say) -> object:
    if isinstance(value, dict | list):
        say(path, f"found {kind(value)}", "write one value")
        return None
    return value


def texts(value: object, path: Path, say: Say) -> list[str]:
    """One text or a list of them → a list."""
    found = []
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        if isinstance(item, dict | list) or item is None:
            say((*path, index), f"found {kind(item)}", "write text")
        else:
            found.append(item if isinstance(item, str) else str(item))
    return found


def _named(value: object, path: Path, say: Say) -> Plain:
    """A list of names or a mapping by name → a mapping of mappings."""
    if isinstance(value, dict):
        return {key: _mapping(item, (*path, key), say) for key, item in value.items()}
    return {name: {} for name in texts(value, path, say)}


def _mapping(value: object, path: Path, say: Say) -> Plain:
    if value is not None and not isinstance(value, dict):
        say(path, f"found {kind(value)}", "write a mapping")
    return value if isinstance(value, dict) else {}


def _entries(short: Callable[[str, Path, Say], Plain | None]) -> Callable[[object, Path, Say], list[Plain]]:
    """A reader of a list whose items are short texts or long mappings."""

    def read(value: object, path: Path, say: Say) -> list[Plain]:
        if not isinstance(value, list):
            say(path, f"found {kind(value)}", "write a list")
            return []
        items = [
            item if isinstance(item, dict) else _short(item, short, (*path, index), say)
            for index, item in enumerate(value)
        ]
        return [item for item in items if item is not None]

    return read


def _short(
    item: object, short: Callable[[str, Path, Say], Plain | None], path: Path, say: Say
) -> Plain | None:
    if isinstance(item, list) or item is None:
        say(path, f"found {kind(item)}", "write text or a mapping")
        return None
    return short(item if isinstance(item, str) else str(item), path, say)


def _port(text: str, path: Path, say: Say) -> Plain | None:
    found = _PORT.match(text)
    if not found:
        say(path, f"{text[:40]!r} is no port", 'write "8080:80" or only "80", in quotes')
        return None
    return {key: value.strip("[]") for key, value in found.groupdict().items() if value}


def _volume(text: str, path: Path, say: Say) -> Plain | None:
    parts = text.split(":")
    if len(parts) == 1:
        return {"type": "volume", "target": text}
    source, target, *rest = parts
    if len(parts) > 3 or not target.startswith("/"):
        say(path, f"{text[:60]!r} is no mount", 'write "name:/path/in/container" or "./file:/path:ro"')
        return None
    modes = rest[0].split(",") if rest else []
    for mode in modes:
        if mode not in _MODES:
            known = f"write one of: {listed(_MODES)}"
            say(path, f"{quoted(mode)} is no mode of a mount{close_to(mode, _MODES)}", known)
    is_path = source.startswith((".", "/", "~")) or "/" in source
    return {"type": "bind" if is_path else "volume", "source": source, "target": target, **_long(modes)}


def _long(modes: list[str]) -> Plain:
    """The modes of the short form as the long form has them; a later one wins."""
    found: Plain = {}
    for key, inner in (_MODES[mode] for mode in modes if mode in _MODES):
        value = found.get(key)
        found[key] = {**value, **inner} if isinstance(value, dict) and isinstance(inner, dict) else inner
    return {key: value for key, value in found.items() if value is not False}


def _source(text: str, path: Path, say: Say) -> Plain:
    del path, say
    return {"source": text}


def _env_file(value: object, path: Path, say: Say) -> list[Plain]:
    return _entries(lambda text, _path, _say: {"path": text})(
        value if isinstance(value, list) else [value], path, say
    )


def _depends(value: object, path: Path, say: Say) -> Plain:
    return {
        name: {"condition": "service_started", **_mapping(item, (*path, name), say)}
        for name, item in _named(value, path, say).items()
    }


def _text(value: object, path: Path, say: Say) -> str | None:
    found = _scalar(value, path, say)
    return None if found is None else found if isinstance(found, str) else str(found).lower()


def _flag(value: object, path: Path, say: Say) -> bool | None:
    if isinstance(value, bool) or str(value).lower() in {"true", "false"}:
        return str(value).lower() == "true"
    say(path, f"found {kind(value)}", "write true or false")
    return None


_READERS: dict[str, Callable[[object, Path, Say], object]] = {
    **dict.fromkeys(("environment", "labels", "annotations", "sysctls"), pairs),
    **dict.fromkeys(
        (
            "cap_add",
            "cap_drop",
            "security_opt",
            "profiles",
            "links",
            "external_links",
            "volumes_from",
            "devices",
            "device_cgroup_rules",
            "expose",
            "tmpfs",
            "dns",
            "group_add",
        ),
        texts,
    ),
    **dict.fromkeys(("healthcheck", "logging", "deploy"), _mapping),
    **dict.fromkeys(
        (
            "image",
            "user",
            "restart",
            "network_mode",
            "pid",
            "ipc",
            "uts",
            "userns_mode",
            "cgroup",
            "container_name",
            "pull_policy",
            "runtime",
            "cgroup_parent",
        ),
        _text,
    ),
    **dict.fromkeys(("privileged", "read_only", "oom_kill_disable"), _flag),
    "build": lambda value, path, say: (
        {"context": value} if isinstance(value, str) else _mapping(value, path, say)
    ),
    "networks": _named,
    "ports": _entries(_port),
    "volumes": _entries(_volume),
    "secrets": _entries(_source),
    "configs": _entries(_source),
    "env_file": _env_file,
    "depends_on": _depends,
}
