"""Host certificates: whom known_hosts lets certify a host (`@cert-authority`), and what a certificate must say then."""

import base64
import fnmatch
import functools
import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.hazmat.primitives.serialization.ssh import (
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)

from agent.clock import MICROSECONDS
from agent.model.host import Host
from agent.transports.known_hosts import HostKey, lines, stamp

CERTIFIED = "-cert-v01@openssh.com"  # the end of a certificate's type
_MARKS = ("@cert-authority", "@revoked")


def authorities(path: Path, host: Host) -> tuple[HostKey, ...]:
    """The keys whose word is taken for a host."""
    return _marked(path, host, "@cert-authority")


def revoked(path: Path, host: Host) -> tuple[HostKey, ...]:
    """The keys that never count for a host, pinned or not, certified or certifying."""
    return _marked(path, host, "@revoked")


def fault(certificate: HostKey, path: Path, host: Host, now_us: int) -> str:
    """Why a certificate does not prove that this is the host; empty when it does."""
    try:
        found = load_ssh_public_identity(f"{certificate.type} {certificate.base64}".encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        return f"its certificate cannot be read: {error}"
    if not isinstance(found, SSHCertificate):
        return "it shows no certificate"
    signed_by = found.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode().split()
    authority = HostKey(type=signed_by[0], base64=signed_by[1])
    if authority in revoked(path, host):
        return f"its certificate is signed by {authority}, which is revoked"
    if authority not in authorities(path, host):
        return f"its certificate is signed by {authority}, which is no authority for it"
    return _fault_of(found, host, now_us // MICROSECONDS)


def _fault_of(found: SSHCertificate, host: Host, now: int) -> str:
    try:
        found.verify_cert_signature()
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return "the signature of its certificate is wrong"
    if found.type is not SSHCertificateType.HOST:
        return "its certificate is one for users"
    if found.critical_options:
        return "its certificate has options that are not known here"
    if not found.valid_after <= now < found.valid_before:
        return "its certificate is not valid now"
    names = [name.decode(errors="replace") for name in found.valid_principals]
    if host.address.lower() not in (name.lower() for name in names):  # none is a pattern, as in OpenSSH 9
        return f"its certificate is for {', '.join(names) or 'nobody'}"
    return ""


def _marked(path: Path, host: Host, mark: str) -> tuple[HostKey, ...]:
    return tuple(key for found, names, key in _index(path, stamp(path)) if found == mark and _names(names, host))


@functools.lru_cache(maxsize=4)
def _index(path: Path, _stamp: tuple[int, ...]) -> tuple[tuple[str, str, HostKey], ...]:
    """Mark, patterns and key of each marked line."""
    fields = [line.split() for line in lines(path) if line.startswith("@")]
    return tuple(
        (words[0], words[1], HostKey(type=words[2], base64=words[3]))
        for words in fields
        if len(words) >= 4 and words[0] in _MARKS and _is_base64(words[3])
    )


def _names(patterns: str, host: Host) -> bool:
    """Whether the patterns of a line mean the host (sshd(8)): none of those with `!`, and one of the others."""
    told = [one.lower() for one in patterns.split(",")]
    names = (host.address.lower(), f"[{host.address.lower()}]:{host.port}")
    if any(_pattern(one[1:]).fullmatch(name) for one in told if one.startswith("!") for name in names):
        return False
    return any(_pattern(one).fullmatch(name) for one in told if not one.startswith("!") for name in names)


@functools.lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    """A pattern of ssh_config(5): `*` and `?`, nothing else."""
    return re.compile(fnmatch.translate(text.lower().replace("[", "[[]")))


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False
