"""The files of a configuration: which they are, and their bytes, read once."""

import stat
from collections.abc import Iterator
from pathlib import Path

from agent.policy.source import MOST_BYTES

_SUFFIXES = {".yaml", ".yml"}


def content(path: Path) -> bytes | str:
    """A file's bytes, or why they are not taken."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return "this is not a file"
        if found.st_mode & stat.S_IWOTH:
            return f"everybody may write this file, so it is not read: chmod o-w {path.name}"
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)  # one byte more shows that it is too large
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def policy_files(folder: Path) -> Iterator[Path]:
    """Every policy file below a folder, in a stable order; what editors and version control leave lying about is not one."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith((".", "#")) for part in path.relative_to(folder).parts)
        if path.suffix in _SUFFIXES and not hidden and not path.is_dir():
            yield path


def relative(path: Path, home: Path) -> str:
    """The name of a file in messages: relative to the folder of config.yaml where it is below it."""
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)
