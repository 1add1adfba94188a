"""The pinned host keys: one file in OpenSSH's own format, read by us and by Ansible's ssh alike."""

import base64
import binascii
import dataclasses
import fcntl
import functools
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.clock import Deadline
from agent.errors import HostKeyError, TransportError
from agent.model.host import Host

_CURVES = {"ecdsa-sha2-nistp256": 256, "ecdsa-sha2-nistp384": 384, "ecdsa-sha2-nistp521": 521}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class HostKey:
    """A public host key: its type and its body in base64, as known_hosts has them."""

    type: str
    base64: str

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as ssh shows it."""
        digest = hashlib.sha256(base64.b64decode(self.base64)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    def __str__(self) -> str:
        """`256 SHA256:… (ED25519)`, as ssh-keygen -l shows it."""
        name = self.type.removeprefix("ssh-").partition("-sha2-")[0].upper()
        return f"{self._bits()} {self.fingerprint} ({name})"

    def _bits(self) -> int:
        if self.type != "ssh-rsa":
            return _CURVES.get(self.type, 256)
        fields, rest = [], base64.b64decode(self.base64)
        while rest:
            size = int.from_bytes(rest[:4], "big")
            fields.append(rest[4 : 4 + size])
            rest = rest[4 + size :]
        modulus = fields[2] if len(fields) == 3 else b""  # after type and exponent (RFC 4253, 6.6)
        return int.from_bytes(modulus, "big").bit_length()


def scan_key(pins: Path, host: Host, deadline: Deadline) -> HostKey:
    """Ask the host for its key, without logging in there. That it is *its* key, only a second channel can tell.

    The jump hosts on the way must be pinned already, and are logged in to.
    """
    from agent.transports import login
    from agent.transports.cutoff import Cutoff
    from agent.transports.jumps import Jumps

    cutoff = Cutoff(deadline.clock)
    jumps = Jumps(pins, deadline.clock, cutoff)
    try:
        return login.host_key_of(host, deadline, cutoff, jumps.way)
    finally:
        jumps.close()
        cutoff.close()


def pinned(path: Path, host: Host) -> tuple[HostKey, ...]:
    """The keys pinned for a host's address and port; none when there is no file."""
    plainly, hashed = _index(path, stamp(path))
    named = plainly.get(_name(host), ())
    return tuple(dict.fromkeys([*named, *(key for name, key in hashed if _is_name(name, _name(host)))]))


def stamp(path: Path) -> tuple[int, ...]:
    """Another one whenever the file has changed; empty when there is none."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def verify(path: Path, host: Host, shown: HostKey) -> None:
    """HostKeyError unless the key that a host shows is one pinned for it."""
    known = pinned(path, host)
    if shown in known:
        return
    if not known:
        raise HostKeyError(
            f"{_name(host)} is not known yet; it shows the host key {shown}",
            hint=f"compare it with `ssh-keygen -lf` of the key file on the host, then: watchkeeper host trust {host.name}",
        )
    raise HostKeyError(
        f"the host key of {_name(host)} has changed: it shows {shown}, pinned is {', '.join(map(str, known))};"
        " nothing is done on this host",
        hint=f"was it installed anew? then: watchkeeper host trust {host.name}; if not, somebody may stand in between",
    )


def pin(path: Path, host: Host, key: HostKey) -> None:
    """Make this key the only one pinned for the host; durable when it returns."""
    _rewrite(path, host, f"{_name(host)} {key.type} {key.base64}\n")


def forget(path: Path, host: Host) -> None:
    """Take away every key pinned for the host."""
    _rewrite(path, host, "")


Keys = tuple[HostKey, ...]


@functools.lru_cache(maxsize=4)  # a thousand hosts that log in must not read a thousand lines each
def _index(path: Path, _stamp: tuple[int, ...]) -> tuple[Mapping[str, Keys], tuple[tuple[str, HostKey], ...]]:
    """The keys by each name that stands there plainly, and those behind hashed names."""
    plainly: dict[str, list[HostKey]] = {}
    hashed: list[tuple[str, HostKey]] = []
    for names, key in _entries(lines(path)):
        for name in names.split(","):
            if name.startswith("|1|"):
                hashed.append((name, key))
            else:
                plainly.setdefault(name.lower(), []).append(key)
    return {name: tuple(keys) for name, keys in plainly.items()}, tuple(hashed)


def _name(host: Host) -> str:
    address = host.address.lower()
    return address if host.port == 22 else f"[{address}]:{host.port}"


def lines(path: Path) -> list[str]:
    """The lines of the file as they stand; none when there is no file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TransportError(f"cannot read {path}: {error.strerror}", hint=f"try: ls -l {path}") from error


def _entries(lines: list[str]) -> Iterator[tuple[str, HostKey]]:
    """Names and key of each plain line; comments, marked lines (@revoked, @cert-authority) and rubbish pin nothing."""
    for line in lines:
        fields = line.split()
        if len(fields) >= 3 and fields[0][0] not in "#@" and _is_base64(fields[2]):
            yield fields[0], HostKey(type=fields[1], base64=fields[2])


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


def _names_host(names: str, host: Host) -> bool:
    """Whether a line's first field names the host: plainly, among others, or hashed (sshd(8)); no patterns."""
    return any(_is_name(name, _name(host)) for name in names.split(","))


def _is_name(written: str, name: str) -> bool:
    if not written.startswith("|1|"):
        return written.lower() == name
    _, _, salt, digest = (written.split("|") + [""] * 4)[:4]
    if not (_is_base64(salt) and _is_base64(digest)):
        return False
    made = hmac.new(base64.b64decode(salt), name.encode(), "sha1").digest()
    return hmac.compare_digest(made, base64.b64decode(digest))


def _without(line: str, host: Host) -> str:
    """The line as it stands without the host: whole, with the other names only, or nothing."""
    if not any(_names_host(names, host) for names, _ in _entries([line])):
        return line
    names, rest = line.split(None, 1)
    others = [name for name in names.split(",") if not _is_name(name, _name(host))]
    return f"{','.join(others)} {rest}" if others else ""


def _rewrite(path: Path, host: Host, added: str) -> None:
    """Replace the file in one step, one process at a time: it is whole at every moment, also after a power cut."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with path.with_name(f"{path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = [line if line.endswith("\n") else f"{line}\n" for line in lines(path)]
            text = "".join(_without(line, host) for line in kept) + added
            with open(draft, "x", encoding="utf-8", opener=_private) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            _sync_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise TransportError(f"cannot write {path}: {error.strerror}", hint=f"try: ls -ld {path.parent}") from error


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
