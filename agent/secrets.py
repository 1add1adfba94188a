"""References to secrets become values here, at the moment of use; nothing keeps them."""

import os
import re
import stat
from pathlib import Path

from agent.closed import SecretRef
from agent.errors import SecretError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")  # a file name that stays in its folder and is not hidden
_LONGEST = 65_536  # a key or a token, not a document


class Secrets:
    """A folder with one file per secret, readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> str:
        """The secret of this name, without the newline at its end; SecretError says what to type when there is none."""
        if _NAME.match(name) is None:
            raise SecretError(
                f"{name!r} is not the name of a secret", hint="letters, digits, dots, dashes, underscores"
            )
        path = self._folder / name
        try:
            raw = _read(path)
        except FileNotFoundError as error:
            raise SecretError(f"there is no secret {name}", hint=f"install -D -m 600 /dev/stdin {path}") from error
        except OSError as error:
            raise SecretError(f"secret {name}: {error.strerror}", hint=f"ls -l {path}") from error
        try:
            value = raw.decode().removesuffix("\n")
        except UnicodeDecodeError:
            # Without `from`: the foreign error carries the bytes of the secret.
            raise SecretError(f"secret {name} is not text (UTF-8)", hint=f"file {path}") from None
        if not value:
            raise SecretError(f"secret {name} is empty", hint=f"install -m 600 /dev/stdin {path}")
        return value

    def resolve(self, value: str | SecretRef) -> str:
        """What stands behind `{secret: name}`; plain text is itself."""
        return self.get(value.secret) if isinstance(value, SecretRef) else value


def _read(path: Path) -> bytes:
    """The bytes of a file that only its owner, us or root, can read; judged on what was opened, not on its name."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with open(descriptor, "rb") as file:  # noqa: PTH123  # it is open already
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise SecretError(f"secret {path.name} is not a file", hint=f"ls -l {path}")
        if facts.st_uid not in {0, os.geteuid()}:
            raise SecretError(f"secret {path.name} belongs to somebody else", hint=f"chown {os.geteuid()} {path}")
        if facts.st_mode & 0o077:
            raise SecretError(f"secret {path.name} can be read by others", hint=f"chmod 600 {path}")
        raw = file.read(_LONGEST + 1)
    if len(raw) > _LONGEST:
        raise SecretError(f"secret {path.name} is longer than 64 KiB", hint=f"ls -l {path}")
    return raw
