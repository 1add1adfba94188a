"""How restic gets at a job's repository: options and environment for it, and the words nobody may read afterwards."""

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path

from agent.backups import AWS_FILE, PASSWORD_FILE, REPOSITORY_FILE, SSH_KEY_FILE, Job, Setting
from agent.backups.restic import location
from agent.backups.restic.location import Backend, Location
from agent.errors import InputError
from agent.transports import openssh

_KNOWN = (PASSWORD_FILE, REPOSITORY_FILE, AWS_FILE, SSH_KEY_FILE)
_SHORTEST = 4  # a shorter text stands everywhere, and is no password
# Restic ends as soon as its ssh does, often before it has passed on why: a failed ssh closes its pipe a moment later.
_HEARD = ("sh", "-c", '"$@" || { code=$?; sleep 0.5; exit $code; }', "sh")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """`folder` is set where the repository is one of this machine; `veiled` are texts that go into no record.

    `ssh` are the options for programs of OpenSSH on the way to it.
    """

    location: Location
    options: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path | None = None
    ssh: tuple[str, ...] = ()
    veiled: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    def veil(self, line: str) -> str:
        """The line with every secret of the repository blotted out."""
        for text in self.veiled:
            line = line.replace(text, "***")
        return line


def reach(job: Job, setting: Setting) -> Reach:
    """The reach of a job; InputError when its repository is no location, or its password is missing."""
    if PASSWORD_FILE not in setting.environment:
        raise InputError("no password for the repository", hint=f"name its file in {PASSWORD_FILE}")
    secret = _text(setting.environment.get(REPOSITORY_FILE))
    try:
        found = location.parse(secret or job.repository)
    except ValueError as error:
        raise InputError(f"{job.repository}: {error}", hint="see docs/repositories.md") from None
    where = {} if secret else {"RESTIC_REPOSITORY": found.text}
    limit = (f"--limit-upload={job.limit_kib}", f"--limit-download={job.limit_kib}") if job.limit_kib else ()
    ssh = _ssh(job, setting) if found.backend is Backend.SFTP else ()
    return Reach(
        location=found,
        ssh=ssh,
        options=(*_sftp(found, ssh), *limit),
        environment={**{name: setting.environment[name] for name in _KNOWN if name in setting.environment}, **where},
        folder=Path(found.text) if found.backend is Backend.FOLDER else None,
        veiled=_veiled(secret, setting),
    )


def _ssh(job: Job, setting: Setting) -> tuple[str, ...]:
    """The pinned keys only, our key, and nothing asked."""
    key = setting.environment.get(SSH_KEY_FILE)
    settings = ("BatchMode=yes", "ControlMaster=no", "ControlPath=none", "ForwardAgent=no", "ForwardX11=no",
                "ClearAllForwardings=yes", "ConnectTimeout=20", *openssh.trusting(job.known_hosts))  # fmt: skip
    own = ("-i", key, "-o", "IdentitiesOnly=yes") if key else ()
    return (*(word for one in settings for word in ("-o", one)), *own)


def _sftp(found: Location, ssh: tuple[str, ...]) -> tuple[str, ...]:
    """Our ssh instead of restic's own call; 0.14 takes no less."""
    if found.backend is not Backend.SFTP:
        return ()
    argv = ["ssh", *ssh]
    argv += ["-p", str(found.port)] if found.port else []
    argv += ["-l", found.user] if found.user else []
    command = f"sftp.command={shlex.join([*_HEARD, *argv, '-s', '--', found.host, 'sftp'])}"
    return ("-o", '"' + command.replace('"', '""') + '"')  # restic reads options as a line of CSV


def _veiled(secret: str, setting: Setting) -> tuple[str, ...]:
    """The longest first: parts of a url are secret, too. The password of the repository itself, restic never shows."""
    texts = [line.partition(" = ")[2] for line in _text(setting.environment.get(AWS_FILE)).splitlines()]
    if secret:
        address = secret.partition(":")[2]
        login, _, _ = address.partition("://")[2].rpartition("@")
        texts += [secret, address, login, login.partition(":")[2], location.parse(secret).shown().partition(":")[2]]
    return tuple(sorted({text for text in texts if len(text) >= _SHORTEST}, key=len, reverse=True))


def _text(path: str | None) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").removesuffix("\n") if path else ""
    except OSError as error:
        raise InputError(f"a secret of the repository cannot be read: {error.strerror}") from error
