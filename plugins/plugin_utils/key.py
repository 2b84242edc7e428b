# GPL-3.0-or-later
"""What a schema is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial


@dataclass(frozen=True)
class Key:
    """One key: what it may hold (`kind`), in which form, and what it means.

    kind: text, number, boolean, list, map (of any names), dict (of these keys) or either (of these options).
    form: a name of `forms.FORMS`. names: the form of a map's names.
    least, most: of a number; None for no bound.
    secret: it may hold a secret, by mistake or not, so no message quotes a value or a name in it.
    supported: False for a key whose behaviour a later version brings; only its emptiness is accepted.
    example, sample_name (of a map's entry), in_sample (else commented out): what the commented sample shows.
    """

    kind: str
    about: str
    form: str = ""
    default: object = None
    least: int | None = 1
    most: int | None = None
    required: bool = False
    choices: tuple[str, ...] = ()
    keys: Mapping[str, Key] = field(default_factory=dict)
    items: Key | None = None
    names: str = ""
    options: tuple[Key, ...] = ()
    secret: bool = False
    supported: bool = True
    example: object = None
    sample_name: str = ""
    in_sample: bool = True


text = partial(Key, "text")
number = partial(Key, "number")
boolean = partial(Key, "boolean")
many = partial(Key, "list")
named = partial(Key, "map")
either = partial(Key, "either")


def choice(about: str, *choices: str) -> Key:
    """One of a few words, the first being the default."""
    return Key("text", about, choices=choices, default=choices[0], example=choices[0])


def unquoted(key: Key) -> Key:
    """The key as a secret one."""
    return replace(key, secret=True)


def optional(key: Key) -> Key:
    """The key as one that the commented sample shows commented out."""
    return replace(key, in_sample=False)


def parts(about: str, /, supported: bool = True, **keys: Key) -> Key:
    """A mapping of exactly these keys."""
    return Key("dict", about, keys=keys, supported=supported)
