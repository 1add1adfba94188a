"""Clears away what an init that was killed left in a repository elsewhere: a key, and no `config` nor anything else.

restic of today refuses to begin there again; 0.14 does, and makes a repository that no password opens any more.
"""

import base64
import http.client
import json
import re
import ssl
from collections.abc import Callable, Iterable
from contextlib import closing
from urllib.parse import unquote, urlsplit

from agent.backups import Outcome
from agent.backups.restic.location import Backend
from agent.backups.restic.reach import Reach
from agent.clock import Deadline
from agent.errors import ToolError
from agent.transports import local

_KEY = re.compile(r"keys/[0-9a-f]{64}")
_KINDS = ("keys", "snapshots", "index", "locks", "data")
_MOST_BYTES = 1_000_000
_SECONDS = 30.0
_OK, _GONE = 200, 404


def clear(reach: Reach, place: str, deadline: Deadline) -> tuple[Outcome, str] | None:
    """Remove the keys of an init that came to no end; why no repository may be founded there, None when one may.

    What cannot be looked at is left to restic, which says why.
    """
    soon = Deadline.after(deadline.clock, min(_SECONDS, deadline.remaining_seconds()))
    look, remove = _WAYS.get(reach.location.backend, (_nothing, _remove_nothing))
    try:
        found = look(reach, soon)
        if found is None or "config" in found or not found:
            return None
        if not all(map(_KEY.fullmatch, found)):
            return Outcome.DAMAGED, f"{place} holds a repository without its file `config`"
        remove(reach, sorted(found), soon)
        left = look(reach, soon)
    except (OSError, ValueError, http.client.HTTPException, ToolError):
        return None
    if left:
        return Outcome.REFUSED, (
            f"an earlier attempt to make the repository in {place} was cut short, and its key may not be removed: "
            f"remove {', '.join(sorted(left))} there"
        )
    return None


def _nothing(_reach: Reach, _deadline: Deadline) -> set[str] | None:
    return None


def _remove_nothing(_reach: Reach, _names: Iterable[str], _deadline: Deadline) -> None:
    """There is no way to."""


def _seen_by_sftp(reach: Reach, deadline: Deadline) -> set[str] | None:
    top = _quoted(reach.location.path)
    asked = ["config", *(f"{kind}/*" for kind in _KINDS[:-1]), "data/*/*"]
    done = _sftp(reach, [f"-ls -1 {top}/{one}" for one in asked], deadline)
    if done.exit_code or done.truncated:
        return None
    lines = [line.strip() for line in done.stdout.splitlines() if not line.startswith("sftp> ")]
    return {line.removeprefix(reach.location.path.rstrip("/")).lstrip("/") for line in lines if line}


def _remove_by_sftp(reach: Reach, names: Iterable[str], deadline: Deadline) -> None:
    _sftp(reach, [f"-rm {_quoted(reach.location.path)}/{name}" for name in names], deadline)


def _sftp(reach: Reach, lines: Iterable[str], deadline: Deadline) -> local.Completed:
    where = reach.location
    who = [*(("-P", str(where.port)) if where.port else ()), *(("-o", f"User={where.user}") if where.user else ())]
    argv = ["sftp", "-q", "-b", "-", *reach.ssh, *who, "--", f"[{where.host}]" if ":" in where.host else where.host]
    told = "".join(f"{line}\n" for line in lines)
    return local.run(argv, deadline=deadline, stdin=told.encode(), env=local.PLAIN, limit_bytes=_MOST_BYTES)


def _quoted(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9/._:@%+,~-]", lambda sign: f"\\{sign[0]}", path.rstrip("/"))


def _seen_by_rest(reach: Reach, deadline: Deadline) -> set[str] | None:
    found = {
        f"{kind}/{one['name']}"
        for kind in _KINDS
        for one in json.loads(_asked(reach, "GET", f"{kind}/", deadline) or "[]")
    }
    return found | ({"config"} if _asked(reach, "HEAD", "config", deadline) is not None else set())


def _remove_by_rest(reach: Reach, names: Iterable[str], deadline: Deadline) -> None:
    for name in names:
        _asked(reach, "DELETE", name, deadline)


def _asked(reach: Reach, method: str, name: str, deadline: Deadline) -> bytes | None:
    """What a REST server answers; None when there is no such thing, or it will not. HTTPException when it is odd."""
    address = urlsplit(reach.location.text.partition(":")[2])
    seconds = max(1.0, deadline.remaining_seconds())
    host = address.hostname or ""
    line = (
        http.client.HTTPSConnection(host, address.port, timeout=seconds, context=ssl.create_default_context())
        if address.scheme == "https"
        else http.client.HTTPConnection(host, address.port, timeout=seconds)
    )
    login = f"{unquote(address.username or '')}:{unquote(address.password or '')}".encode()
    headers = {"Accept": "application/vnd.x.restic.rest.v2"}
    headers |= {"Authorization": f"Basic {base64.b64encode(login).decode()}"} if address.username else {}
    with closing(line):
        line.request(method, f"{address.path.rstrip('/')}/{name}", headers=headers)
        answer = line.getresponse()
        text = answer.read(_MOST_BYTES)
    if answer.status not in {_OK, _GONE} and method == "GET":
        raise http.client.HTTPException(f"{answer.status}")
    return text if answer.status == _OK else None


_Look = Callable[[Reach, Deadline], set[str] | None]
_Remove = Callable[[Reach, Iterable[str], Deadline], None]
_WAYS: dict[Backend, tuple[_Look, _Remove]] = {
    Backend.SFTP: (_seen_by_sftp, _remove_by_sftp),
    Backend.REST: (_seen_by_rest, _remove_by_rest),
}
