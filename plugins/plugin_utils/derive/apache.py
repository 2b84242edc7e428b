# GPL-3.0-or-later
"""Apache's own hash of passwords ($apr1$): the one that both proxies know by themselves."""

from __future__ import annotations

import hashlib

_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ORDER = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))


def md5(password: str, salt: str) -> str:
    """The password's hash, as `openssl passwd -apr1 -salt SALT PASSWORD` prints it."""
    word, salted = password.encode(), salt.encode()
    digest = _first(word, salted)
    for turn in range(1000):
        parts = [word if turn % 2 else digest, salted if turn % 3 else b"", word if turn % 7 else b""]
        digest = _md5(b"".join(parts) + (digest if turn % 2 else word))
    text = "".join(_letters(digest[a] << 16 | digest[b] << 8 | digest[c], 4) for a, b, c in _ORDER)
    return f"$apr1${salt}${text}{_letters(digest[11], 2)}"


def _first(word: bytes, salt: bytes) -> bytes:
    inner = _md5(word + salt + word)
    filled = (inner * (len(word) // 16 + 1))[: len(word)]
    bits, length = b"", len(word)
    while length:
        bits += b"\0" if length & 1 else word[:1]
        length >>= 1
    return _md5(word + b"$apr1$" + salt + filled + bits)


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _letters(number: int, count: int) -> str:
    return "".join(_ALPHABET[number >> 6 * place & 63] for place in range(count))
