"""Says into which folder a person may restore: one that is new or empty, and no trick."""

import os
from collections.abc import Iterable
from pathlib import Path

from agent.errors import InputError

_HINT = "name a new or empty folder by its full, real path"


def check(target: str, forbidden: Iterable[str]) -> Path:
    """The folder, not yet made; InputError says why it is refused. `forbidden` are folders it must not touch."""
    path = Path(target)
    if not path.is_absolute() or ".." in path.parts or "\0" in target:
        raise InputError(f"{target!r} is no full path", hint=_HINT)
    if path == Path("/"):
        raise InputError("restoring over the running system is not offered", hint=_HINT)
    if Path(os.path.realpath(path)) != path:
        raise InputError(f"{target} leads through a symbolic link to {os.path.realpath(path)}", hint=_HINT)
    for folder in map(Path, forbidden):
        if path == folder or folder in path.parents or path in folder.parents:
            raise InputError(f"{target} touches {folder}, which belongs to the agent", hint=_HINT)
    if os.path.lexists(path) and not path.is_dir():
        raise InputError(f"{target} is no folder", hint=_HINT)
    if path.is_dir() and any(path.iterdir()):
        raise InputError(f"{target} is not empty", hint=_HINT)
    return path


def make(path: Path) -> None:
    """Make the folder, private; a folder that was there keeps its mode."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be made: {error.strerror}", hint=_HINT) from error
