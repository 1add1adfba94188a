"""Makes a restic repository quick to open: its key is sealed anew, with a password hash of the least effort.

restic tunes scrypt to half a second per call, and a test calls it often. Format: restic's design document, "Keys,
Encryption and MAC": JSON with the parameters, and the master key under AES-256-CTR with Poly1305-AES.
"""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305


def cheapen(repository: Path, password: str, renamed: str = "") -> None:
    """Replace the one key of a fresh repository; on wish, its password too."""
    (path,) = (repository / "keys").iterdir()
    key = json.loads(path.read_text())
    master = _open(_derive(key, password), base64.b64decode(key["data"]))
    key |= {"N": 2, "r": 1, "p": 1}
    key["data"] = base64.b64encode(_seal(_derive(key, renamed or password), master)).decode()
    text = json.dumps(key).encode()
    path.unlink()
    (path.parent / hashlib.sha256(text).hexdigest()).write_bytes(text)


def lay_lock(repository: Path, password: str, lock: Mapping[str, object]) -> str:
    """Put a lock into a repository as a restic of another machine would have left it; its id."""
    (path,) = (repository / "keys").iterdir()
    key = json.loads(path.read_text())
    master = json.loads(_open(_derive(key, password), base64.b64decode(key["data"])))
    parts = (master["encrypt"], master["mac"]["k"], master["mac"]["r"])
    sealed = _seal(b"".join(map(base64.b64decode, parts)), json.dumps(lock).encode(), os.urandom(16))
    name = hashlib.sha256(sealed).hexdigest()
    (repository / "locks").mkdir(exist_ok=True)
    (repository / "locks" / name).write_bytes(sealed)
    return name


def _derive(key: dict[str, str], password: str) -> bytes:
    """32 bytes for AES, 16 for Poly1305's k, 16 for its r."""
    effort = {name.lower(): int(key[name]) for name in ("N", "r", "p")}
    salt = base64.b64decode(key["salt"])
    return hashlib.scrypt(password.encode(), salt=salt, dklen=64, maxmem=2**30, **effort)


def _open(derived: bytes, data: bytes) -> bytes:
    nonce, sealed, tag = data[:16], data[16:-16], data[-16:]
    Poly1305.verify_tag(_mac_key(derived, nonce), sealed, tag)
    return _stream(derived, nonce, sealed)


def _seal(derived: bytes, plain: bytes, nonce: bytes = bytes(range(16))) -> bytes:
    """The usual nonce is for a key of its own, used once."""
    sealed = _stream(derived, nonce, plain)
    return nonce + sealed + Poly1305.generate_tag(_mac_key(derived, nonce), sealed)


def _stream(derived: bytes, nonce: bytes, data: bytes) -> bytes:
    return Cipher(algorithms.AES(derived[:32]), modes.CTR(nonce)).encryptor().update(data)


def _mac_key(derived: bytes, nonce: bytes) -> bytes:
    """Poly1305-AES: r, and AES of the nonce under k."""
    block = Cipher(algorithms.AES(derived[32:48]), modes.ECB()).encryptor().update(nonce)  # noqa: S305  # as defined
    return derived[48:64] + block
