"""Repositories of config.yaml: their urls and credentials, read and judged before restic sees them."""

from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType

from agent.backups.restic import location
from agent.backups.restic.location import CREDENTIALS, Backend
from agent.closed import SecretRef
from agent.model.backup import Repository
from agent.model.host import Host
from agent.model.upkeep import CheckPlan
from agent.policy import faults as wrongs
from agent.policy import when
from agent.policy.catalogue import Place
from agent.policy.faults import Fault
from agent.policy.schema_config import RepositorySpec


def read(key: str, spec: RepositorySpec, home: Path, zone: str) -> Repository:
    """The repository of this name; a path is meant from the folder of config.yaml."""
    secret = spec.url.secret if isinstance(spec.url, SecretRef) else ""
    return Repository(
        name=key,
        url="" if isinstance(spec.url, SecretRef) else _from(home, spec.url),
        password_secret=spec.password.secret,
        url_secret=secret,
        credentials=MappingProxyType({name: one.secret for name, one in spec.credentials.items()}),
        per_host=spec.per_host,
        at_once=spec.at_once,
        limit_bits=spec.limit,
        lock_wait_seconds=spec.lock_wait,
        check=None
        if spec.check is None
        else CheckPlan(every=when.in_zone(spec.check.every, zone), cover_seconds=spec.check.cover),
        prune=() if spec.prune is None else when.in_zone(spec.prune.every, zone),
    )


def _from(home: Path, url: str) -> str:
    """Paths may be relative; whatever has a colon is a location of restic."""
    return url if ":" in url.partition("/")[0] else str(home / url)


def faults(spec: RepositorySpec, place: Place) -> list[Fault]:
    """What is wrong with a repository."""
    if isinstance(spec.url, SecretRef):  # what it is comes out when it is used
        known = [*CREDENTIALS[Backend.REST], *CREDENTIALS[Backend.S3]]
        return _credentials(spec, known, place)
    try:
        found = location.parse(_from(Path("/"), spec.url))
    except ValueError as error:
        return [(place / "url").fault(str(error))]
    wrong = _credentials(spec, list(CREDENTIALS[found.backend]), place)
    if found.has_password:
        wrong.append((place / "url").fault("a password stands in it: put the url into a secret, {secret: name}"))
    return wrong


def names_no_folder(used: Iterable[Repository], host: str) -> str:
    """Why one of these repositories cannot hold a folder of this host's; empty when all can."""
    try:
        for one in used:
            _ = location.at_host("/", host) if one.per_host else ""
    except ValueError as error:
        return f"{error} of repository {one.name}"
    return ""


def cannot_be_lent(repository: Repository, host: Host) -> str:
    """Why a restic on the host cannot save into this repository; empty when it can."""
    if not host.is_remote:
        return f"host {host.name!r} is this machine: restic runs there anyway, leave 'run_from' out"
    if not repository.url.startswith("/"):
        return f"for `run_from: host`, the repository is a folder of this machine, and {repository.name!r} is none"
    if not repository.per_host:
        return f"for `run_from: host`, each host has a repository of its own, and {repository.name!r} has `per_host: false`"
    return ""


def _credentials(spec: RepositorySpec, known: list[str], place: Place) -> list[Fault]:
    found = []
    for name in spec.credentials:
        if name not in known:
            here = place / "credentials" / name
            none = "no credentials are used for a folder of this machine"
            found.append(here.fault(wrongs.unknown_key(name, known) if known else none, at_key=True))
    for pair in (CREDENTIALS[Backend.REST], CREDENTIALS[Backend.S3][:2]):
        missing = [name for name in pair if name not in spec.credentials]
        if 0 < len(missing) < len(pair):
            found.append((place / "credentials").fault(f"{missing[0]!r} is missing"))
    return found
