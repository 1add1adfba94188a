"""Which version a restic is: asked once per binary, and remembered until the binary changes."""

import json
import os
import re
import shutil
from pathlib import Path

from agent.backups.restic import outcome as outcomes
from agent.backups.restic.outcome import Version
from agent.clock import Deadline
from agent.errors import ToolError
from agent.transports import local

INSTALL = "run: apt-get install restic"
_FILE = "restic-version.json"
_VERSION = re.compile(r"restic (\d+)\.(\d+)\.(\d+)")
_SECONDS = 30.0


def version_of(program: str, search: str, state: Path, deadline: Deadline) -> Version:
    """The version of the program as found on the path `search`; ToolError when it is none, or too old for us."""
    path = shutil.which(program, path=search)
    if path is None:
        raise ToolError(f"cannot start {program}: it is not there", hint=INSTALL)
    seen = Path(path).stat()
    identity = [os.path.realpath(path), seen.st_ino, seen.st_size, seen.st_mtime_ns]
    known = _remembered(state / _FILE)
    if known.get("binary") == identity:
        return parse_version(str(known["said"]))
    own = Deadline.after(deadline.clock, min(_SECONDS, deadline.remaining_seconds()))
    try:
        done = local.run([path, "version"], deadline=own, env=local.PLAIN)
    except ToolError as error:
        raise ToolError(str(error), hint=INSTALL) from error
    if done.timed_out:
        raise TimeoutError
    version = parse_version(done.stdout)
    _remember(state / _FILE, {"binary": identity, "said": done.stdout.strip()})
    return version


def parse_version(text: str) -> Version:
    """The version out of `restic version`; ToolError when it is none, or older than we know restic to work."""
    found = _VERSION.search(text)
    if found is None:
        raise ToolError(f"`restic version` does not name a version: {text[:80]!r}", hint=INSTALL)
    version = (int(found[1]), int(found[2]), int(found[3]))
    if version < outcomes.OLDEST:
        needed = ".".join(map(str, outcomes.OLDEST))
        raise ToolError(f"restic {found[0].split()[1]} is too old: {needed} or newer is needed", hint=INSTALL)
    return version


def _remembered(path: Path) -> dict[str, object]:
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and isinstance(known.get("said"), str) else {}


def _remember(path: Path, known: dict[str, object]) -> None:
    """It saves a call; where it cannot be written, the next job asks again."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_text(json.dumps(known), encoding="utf-8")
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
