"""Where a repository is, as restic writes it: a folder, `sftp:`, `rest:` or `s3:`; read, extended by a host, unveiled.

Forms: restic's manual, "Preparing a new repository". A location that came out of `parse` starts no option and no other
backend of restic's.
"""

import dataclasses
import enum
import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

_SFTP = re.compile(r"sftp:(?://)?(?:(?P<user>[^@/:\s]+)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)"
                   r"(?P<port>:[0-9]{1,5}(?=/))?[:/](?P<path>[^\s]+)")  # fmt: skip
_OTHER = re.compile(r"([a-z0-9]{2,}):")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")
_STORES = frozenset({"config", "data", "index", "keys", "locks", "snapshots"})  # folders of a repository


class Backend(enum.StrEnum):
    """The ways of restic that we know to work."""

    FOLDER = "folder"
    SFTP = "sftp"
    REST = "rest"
    S3 = "s3"


# What may be said besides the password of the repository: nothing else reaches restic.
CREDENTIALS: Mapping[Backend, tuple[str, ...]] = MappingProxyType(
    {
        Backend.FOLDER: (),
        Backend.SFTP: ("SSH_KEY",),
        Backend.REST: ("RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD"),
        Backend.S3: ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    }
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """A repository's place. `text` is what restic is given, login and all; host, user, port and path are of sftp."""

    backend: Backend
    text: str
    host: str = ""
    user: str = ""
    port: int | None = None
    path: str = ""

    @property
    def has_password(self) -> bool:
        """Whether a login stands in the text."""
        return self.backend in {Backend.REST, Backend.S3} and bool(_address(self.text).password)

    def shown(self) -> str:
        """The text without a login."""
        return with_login(self.text, "", "") if self.backend in {Backend.REST, Backend.S3} else self.text


def parse(url: str) -> Location:
    """The location of a url; ValueError says what is wrong with it, without repeating it."""
    if "\0" in url or "\n" in url:
        raise ValueError("a url is one line")
    if url.startswith("/"):
        return Location(backend=Backend.FOLDER, text=os.path.normpath(url))
    if url.startswith("sftp:"):
        return _sftp(url)
    found = _OTHER.match(url)
    if found is None:
        raise ValueError("write a full path, or sftp:…, rest:…, s3:…")
    if found[1] not in (Backend.REST, Backend.S3):
        raise ValueError(f"{found[1]}: is no way to a repository: write a full path, or sftp:…, rest:…, s3:…")
    backend = Backend(found[1])
    address = _address(url)
    if backend is Backend.REST and address.scheme not in {"http", "https"}:
        raise ValueError("after rest: a web address is due, like rest:https://vault.example.org/")
    if not address.hostname or any(sign in url for sign in " \t?#"):
        raise ValueError(f"after {backend}: the address of a server and a path are due")
    return Location(backend=backend, text=url)


def _sftp(url: str) -> Location:
    found = _SFTP.fullmatch(url)
    if found is None:
        raise ValueError("write it like sftp:backup@vault:/srv/restic, or sftp://backup@vault:2222//srv/restic")
    return Location(
        backend=Backend.SFTP,
        text=url,
        host=found["host"].strip("[]"),
        user=found["user"] or "",
        port=int(found["port"][1:]) if found["port"] else None,
        path=found["path"],
    )


def at_host(url: str, host: str) -> str:
    """The url of a host's own repository below this one; ValueError when the name of the host is no name of a folder."""
    if _HOST.fullmatch(host) is None or host in _STORES:
        raise ValueError(f"host {host!r} cannot name a folder in a repository: rename it, or say per_host: false")
    return f"{url.rstrip('/')}/{host}"


def with_login(url: str, user: str, password: str) -> str:
    """The url of a rest server with this login in place of what was there; without one, with none."""
    backend, _, _ = url.partition(":")
    address = _address(url)
    server = address.netloc.rpartition("@")[2]
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
    parts = (address.scheme, login + server, address.path, "", "")
    return f"{backend}:{urlunsplit(parts).removeprefix('//')}"


def _address(url: str) -> SplitResult:
    _, _, rest = url.partition(":")
    try:
        found = urlsplit(rest if "://" in rest else f"//{rest}")
        _ = found.port  # what is no number is noticed here
    except ValueError:
        raise ValueError("there is no web address in it") from None  # the foreign error may repeat a password
    return found
