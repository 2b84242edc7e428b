"""A lock in a repository, as a host leaves it that died: restic writes none but its own, of now."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305
from testinfra.host import Host

from .conftest import REPOSITORY, restic


def leave_lock(host: Host, hours: float) -> str:
    """Write the lock of another host, which wanted the repository for itself; return its path."""
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=hours)
    owner = {"hostname": "elsewhere", "username": "root", "pid": 4711}
    lock = {"time": moment.isoformat(), "exclusive": True, **owner}
    sealed = seal(json.dumps(lock).encode(), json.loads(restic(host, "cat masterkey")))
    path = f"{REPOSITORY}/locks/{hashlib.sha256(sealed).hexdigest()}"
    host.check_output(f"echo {base64.b64encode(sealed).decode()} | base64 -d >{path}")
    return path


def seal(content: bytes, key: dict[str, object]) -> bytes:
    """Encrypt and sign as restic does: AES-256-CTR, then Poly1305-AES over it."""
    mac = key["mac"]
    assert isinstance(mac, dict)
    encrypt, k, r = (base64.b64decode(str(each)) for each in (key["encrypt"], mac["k"], mac["r"]))
    nonce = os.urandom(16)
    sealed = Cipher(algorithms.AES(encrypt), modes.CTR(nonce)).encryptor().update(content)
    once = Cipher(algorithms.AES(k), modes.ECB()).encryptor().update(nonce)
    return nonce + sealed + Poly1305.generate_tag(r + once, sealed)
