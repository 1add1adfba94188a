"""What a job needs to get at its repository: where it is, and its secrets as files that exist in memory alone."""

import dataclasses
from collections.abc import Mapping
from typing import TypedDict

from agent.backups import AWS_FILE, PASSWORD_FILE, REPOSITORY_FILE, SSH_KEY_FILE
from agent.backups.restic import location
from agent.backups.restic.location import Backend, Location
from agent.errors import InputError
from agent.model.backup import NOWHERE, Repository
from agent.model.config import Config
from agent.secrets import Secrets

_AWS = (
    ("AWS_ACCESS_KEY_ID", "aws_access_key_id"),
    ("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"),
    ("AWS_SESSION_TOKEN", "aws_session_token"),
)
# Before the command of what can wait: half of the usual share of the processors, and the disk when nobody else asks.
# `-t`: where the kernel refuses, it goes on as it is.
GENTLY = ("/usr/bin/nice", "-n", "10", "/usr/bin/ionice", "-t", "-c", "2", "-n", "7")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """`place` names the repository without any secret; `secret_files` are contents by the name of restic's variable."""

    place: str
    secret_files: Mapping[str, bytes] = dataclasses.field(repr=False)


class Words(TypedDict):
    """What a job says of its repository; none of it is secret."""

    repository: str
    program: str
    limit_kib: int
    lock_wait_seconds: float
    known_hosts: str


def words(repository: Repository, host: str, config: Config) -> Words:
    """The fields of a job that are about its repository."""
    return Words(
        repository=place(repository, host),
        program=config.backups.restic or "restic",
        limit_kib=limit_kib(repository.limit_bits),
        lock_wait_seconds=repository.lock_wait_seconds,
        known_hosts=str(config.state / "known_hosts"),
    )


def limit_kib(bits: float | None) -> int:
    """Bits per second as restic counts: whole KiB per second, rounded down, but never to nothing; 0 without a limit."""
    return 0 if bits is None else max(1, int(bits / 8 / 1024))


def place(repository: Repository, host: str) -> str:
    """Where the repository of a host is, for people and records: no secret stands in it.

    Names of hosts are judged when the policies are loaded.
    """
    base = f"secret:{repository.url_secret}" if repository.url_secret else repository.url
    return location.at_host(base, host) if repository.per_host else base


def access(repository: Repository, host: str, secrets: Secrets) -> Access:
    """Everything a job on this host needs; SecretError or InputError when something is missing or no url."""
    if repository == NOWHERE:
        return Access(place="", secret_files={})
    values = {name: secrets.get(secret) for name, secret in repository.credentials.items()}
    files = {PASSWORD_FILE: secrets.get(repository.password_secret)}
    found = _located(repository, host, secrets)
    if repository.url_secret and found.backend not in {Backend.REST, Backend.S3}:
        raise InputError(
            f"{repository.url_secret} is no secret url", hint="only rest: and s3: hold one: write it plainly"
        )
    text = found.text
    if "RESTIC_REST_PASSWORD" in values and found.backend is Backend.REST:
        text = location.with_login(text, values["RESTIC_REST_USERNAME"], values["RESTIC_REST_PASSWORD"])
    if repository.url_secret or text != found.text:
        files[REPOSITORY_FILE] = text
    if "SSH_KEY" in values:
        files[SSH_KEY_FILE] = values["SSH_KEY"].rstrip("\n") + "\n"  # ssh takes no key without its last newline
    if "AWS_ACCESS_KEY_ID" in values:
        lines = [f"{word} = {values[name]}" for name, word in _AWS if name in values]
        files[AWS_FILE] = "\n".join(["[default]", *lines, ""])
    return Access(
        place=place(repository, host), secret_files={name: content.encode() for name, content in files.items()}
    )


def _located(repository: Repository, host: str, secrets: Secrets) -> Location:
    url = secrets.get(repository.url_secret) if repository.url_secret else repository.url
    try:
        return location.parse(location.at_host(url, host) if repository.per_host else url)
    except ValueError as error:
        where = (
            f"the url in secret {repository.url_secret}" if repository.url_secret else f"repository {repository.name}"
        )
        raise InputError(f"{where}: {error}", hint="see docs/repositories.md") from None
