# GPL-3.0-or-later
"""Compares data with the schema: unknown keys, wrong types, wrong forms. Fills in defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .forms import mistake
from .key import Key
from .problem import Path, Problem, Unshown
from .words import close_to, kind, listed, quoted, strange

_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list, tuple),
    "map": (dict,),
    "dict": (dict,),
}
_CALLED = {
    "text": "text",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
    "map": "a mapping",
    "dict": "a mapping",
}
_KEY = re.compile("[a-z]+(_[a-z]+)*")
_UNSAID: tuple[object, ...] = (None, "", [], {}, ())


def problems(value: object, key: Key, path: Path) -> Iterator[Problem]:
    """Everything in which the value differs from the schema's key."""
    if key.kind == "either":
        yield from _either(value, key, path)
    elif not fits(value, key):
        yield _wrong_type(value, key, path)
    elif not key.supported and value not in _UNSAID:
        yield Problem(path, "it is not supported yet", "remove the key; a later version of Drover knows it")
    else:
        yield from _INSIDE[key.kind](value, key, path)


def fits(value: object, key: Key) -> bool:
    """Whether the value has the key's type; true and false are no numbers."""
    return isinstance(value, _TYPES[key.kind]) and (isinstance(value, bool) == (key.kind == "boolean"))


def _wrong_type(value: object, key: Key, path: Path) -> Problem:
    found = (
        kind(value) if key.secret else f"{kind(value)} ({quoted(value)})" if _plain(value) else kind(value)
    )
    if key.choices:
        return Problem(path, f"found {found}", f"write one of: {listed(key.choices)}")
    advice = "put it in quotes" if key.kind == "text" and _plain(value) else f"write {_CALLED[key.kind]}"
    return Problem(path, f"found {found} instead of {_CALLED[key.kind]}", advice)


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _either(value: object, key: Key, path: Path) -> Iterator[Problem]:
    option = next((option for option in key.options if fits(value, option)), None)
    if option:
        yield from problems(value, option, path)
    else:
        wanted = " or ".join(dict.fromkeys(_CALLED[option.kind] for option in key.options))
        yield Problem(path, f"found {kind(value)}", f"write {wanted}")


def _scalar(value: object, key: Key, path: Path) -> Iterator[Problem]:
    found = mistake(key.form, str(value)) if key.form else None
    said = "it" if key.secret else quoted(value)
    if key.choices and value not in key.choices:
        wrong = f"found {said}{close_to(str(value), key.choices)}"
        yield Problem(path, wrong, f"write one of: {listed(key.choices)}")
    elif found:
        yield Problem(path, f"{said} {found[0]}", found[1])
    elif key.kind == "number" and not (isinstance(value, int) or key.form == "cpus"):
        yield Problem(path, f"{said} is not a whole number", "write a whole number")
    elif key.kind == "number" and isinstance(value, int):
        yield from _bounds(value, said, key, path)


def _bounds(value: int, said: str, key: Key, path: Path) -> Iterator[Problem]:
    if key.least is not None and value < key.least:
        yield Problem(path, f"{said} is too small", f"write {key.least} or more")
    elif key.most is not None and value > key.most:
        yield Problem(path, f"{said} is too large", f"write {key.most} or less")


def _list(value: object, key: Key, path: Path) -> Iterator[Problem]:
    assert isinstance(value, list | tuple) and key.items  # noqa: S101
    for index, item in enumerate(value):
        yield from problems(item, key.items, (*path, index))


def _map(value: object, key: Key, path: Path) -> Iterator[Problem]:
    assert isinstance(value, Mapping) and key.items  # noqa: S101
    for name, item in value.items():
        wrong = mistake(key.names, str(name))
        if wrong:
            called = "this name" if key.secret else quoted(str(name))
            yield Problem((*path, _name(name, key)), f"{called} {wrong[0]}", wrong[1])
        else:
            yield from problems(item, key.items, (*path, str(name)))


def _dict(value: object, key: Key, path: Path) -> Iterator[Problem]:
    assert isinstance(value, Mapping)  # noqa: S101
    for name, item in _guarded(value, key):
        if name not in key.keys:
            yield _unknown(name, key, path)
        elif item is not None or key.keys[name].required:
            yield from problems(item, key.keys[name], (*path, name))
    for name, inner in key.keys.items():
        if inner.required and name not in value:
            yield Problem(path, f'the key "{name}" is missing', f"write {name}: {_hint(inner)}")


def _guarded(value: Mapping[str, object], key: Key) -> Iterator[tuple[str, object]]:
    """Its entries. What looks like a key and has a value is one, and no secret that was typed there."""
    for name, item in value.items():
        is_key = name in key.keys or (item is not None and _KEY.fullmatch(str(name)))
        yield Unshown(name) if key.secret and not is_key else name, item


def _unknown(name: str, key: Key, path: Path) -> Problem:
    odd = strange(str(name))
    found = f"it holds {odd}" if odd else f"no such key{close_to(str(name), key.keys)}"
    shown = name if isinstance(name, Unshown) else quoted(str(name)).strip('"')
    return Problem((*path, shown), found, f"write one of: {listed(key.keys)}")


def _hint(key: Key) -> str:
    if key.example is None:
        return _CALLED.get(key.kind, "a value")
    number = key.kind == "text" and str(key.example).isdigit()  # without quotes YAML would read one
    return f'"{key.example}"' if number else str(key.example)


def _name(name: object, within: Key) -> str:
    return Unshown(name) if within.secret else quoted(str(name)).strip('"')


_INSIDE = {"text": _scalar, "number": _scalar, "boolean": _scalar, "list": _list, "map": _map, "dict": _dict}


def filled(value: object, key: Key) -> object:
    """The value with every default in its place; only for values without problems."""
    if key.kind == "dict":
        given = value if isinstance(value, Mapping) else {}
        return {name: filled(given.get(name), inner) for name, inner in key.keys.items()}
    if key.kind == "list":
        return [filled(item, key.items) for item in value or ()] if key.items else []  # type: ignore[attr-defined]
    if key.kind == "map":
        given = value if isinstance(value, Mapping) else {}
        return {name: filled(item, key.items) for name, item in given.items()} if key.items else {}
    return key.default if value is None else value
