# GPL-3.0-or-later
"""Lays one service over another as `extends` does; both in long form."""

from __future__ import annotations

from .normal import Plain

_REPLACED = {"command", "entrypoint", "test", "build"}
_BY_TARGET = {"volumes": "target", "secrets": "source", "configs": "source", "env_file": "path"}


def service(base: Plain, over: Plain) -> Plain:
    """The base with everything the other says."""
    return {name: _value(name, base.get(name), over.get(name)) for name in {**base, **over}}


def _value(name: str, base: object, over: object) -> object:
    if over is None or base is None:
        return base if over is None else over
    if name in _BY_TARGET and isinstance(base, list) and isinstance(over, list):
        return _keyed(base, over, _BY_TARGET[name])
    if name in _REPLACED or type(base) is not type(over):
        return over
    if isinstance(base, dict) and isinstance(over, dict):
        return _logging(base, over) if name == "logging" else service(base, over)
    if isinstance(base, list) and isinstance(over, list):
        return [*base, *(item for item in over if item not in base)]
    return over


def _keyed(base: list[object], over: list[object], key: str) -> list[object]:
    """Both lists; an item of the second replaces the first's of the same target."""
    merged = {_key(item, key): item for item in [*base, *over]}
    return list(merged.values())


def _key(item: object, key: str) -> str:
    return str(item.get(key, item)) if isinstance(item, dict) else str(item)


def _logging(base: Plain, over: Plain) -> Plain:
    """Options belong to their driver: another driver starts without them."""
    same = over.get("driver") in (None, base.get("driver"))
    return service(base, over) if same else over
