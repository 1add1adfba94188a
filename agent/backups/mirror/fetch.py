"""Fetches entries of a target into an empty folder: by rsync where the target has it, else by tar."""

import errno
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from agent.backups.mirror.line import Line
from agent.backups.mirror.listing import Item
from agent.backups.mirror.tree import Tree
from agent.errors import ToolError, TransportError
from agent.transports import openssh
from agent.transports.local import Completed

STAGED, BASIS, NAMES, CODE = "staged", "basis", "names", "code"
_WORTH_COMPARING = 256 * 1024  # bytes; smaller files are sent whole rather than compared block by block
_SLACK_BYTES = 64 * 1024 * 1024
_ENTRY_BYTES = 16 * 1024  # what tar may need for one entry beside its content: long names, attributes
# rsync's exit codes: some entries at most are missing; the connection ended; it was ended. All others: it cannot.
_SOME, _LOST, _ENDED = {0, 23, 24}, {10, 12, 30, 35, 255}, {15, 16, 19, 20}
_SIGNALLED = 128
_TAR_FAILED = 2  # GNU tar's exit code when it could not deal with some entries; it goes on with the others
_CUT = "Unexpected EOF in archive"
_FULL = re.compile(
    r"(: No space left on device|: Disk quota exceeded|: Wrote only \d+ of \d+ bytes)( \(\d+\))?$", re.MULTILINE
)
_TAR = ("--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls")


def fetch(line: Line, batch: Sequence[Item], mirror: Path, *, by_rsync: bool, limit_kib: int = 0) -> str:
    """Fetch these entries into `work/staged`; what the tool complained of. What came must be looked at one by one.

    TransportError when the connection or a program ends too early, OSError when the disk is full, ToolError otherwise.
    """
    staged = line.work / STAGED
    staged.mkdir(mode=0o700)
    names = b"".join(os.fsencode(f".{item.path}") + b"\0" for item in batch)
    (line.work / NAMES).write_bytes(names)
    return _rsync(line, batch, mirror, limit_kib) if by_rsync else _tar(line, batch)


def _rsync(line: Line, batch: Sequence[Item], mirror: Path, limit_kib: int) -> str:
    _offer(line.work / BASIS, batch, mirror)
    openssh.command(line.route, line.work)
    reached = shlex.join(["ssh", *openssh.arguments(line.route, Path(openssh.CONFIG))])
    address = line.route.host.address
    words = [
        "rsync", "-aHAXS", "--numeric-ids", "--modify-window=-1", "--ignore-times", "--no-implied-dirs", "--no-recursive", "--dirs",
        "--from0", f"--files-from={NAMES}", f"--copy-dest=../{BASIS}", "--protect-args", f"--rsh={reached}",
        *(["--rsync-path=sudo -n rsync"] if line.route.host.become else []),
        *([f"--bwlimit={limit_kib}"] if limit_kib else []),
        "--", f"[{address}]:/" if ":" in address else f"{address}:/", f"{STAGED}/",
    ]  # fmt: skip
    done = line.run(shlex.join(words), limit_bytes=max(item.size for item in batch) + _SLACK_BYTES)
    return _judged(line, done)


def _judged(line: Line, done: Completed) -> str:
    """What rsync complained of, when no more than single entries can be missing."""
    if done.exit_code in _SOME:
        return done.stderr
    if _FULL.search(done.stderr):
        raise _full(line)
    if done.exit_code in _LOST:
        raise line.failure(done.stderr)
    said = f"{line.route.host.name}: rsync ended with {done.exit_code}: {(done.stderr.splitlines() or ['?'])[-1][:300]}"
    if done.exit_code in _ENDED or done.exit_code > _SIGNALLED:
        raise TransportError(said, hint="run it again; what was fetched is kept")
    raise ToolError(said, hint="try by hand what the message says")


def _full(line: Line) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(line.work))


def _offer(basis: Path, batch: Sequence[Item], mirror: Path) -> None:
    """Show rsync the old content of large files, and nothing else of the mirror: links in it could lead it astray."""
    basis.mkdir(mode=0o700)
    with Tree(mirror) as old, Tree(basis) as shown:
        for item in batch:
            if item.kind != "file" or item.size < _WORTH_COMPARING:
                continue
            seen = old.look(item.path)
            if seen is not None and (seen.st_mode & 0o170000) == 0o100000:
                old.link_into(item.path, shown)


def _tar(line: Line, batch: Sequence[Item]) -> str:
    there = line.ssh("tar", "--create", "--file=-", "--directory=/", "--null", "--no-recursion", "--files-from=-",
                     "--format=posix", "--sparse", "--ignore-failed-read", *_TAR)  # fmt: skip
    here = ["tar", "--extract", "--file=-", f"--directory={STAGED}", "--preserve-permissions",
            "--delay-directory-restore", *_TAR]  # fmt: skip
    limit = sum(item.size + _ENTRY_BYTES for item in batch) + _SLACK_BYTES
    script = (
        f"{{ {shlex.join(there)} <{NAMES}; echo $? >{CODE}; }} | head -c {limit} | {shlex.join(here)}\n"
        f'here=$?; there=$(cat {CODE}); [ "$there" -le {_TAR_FAILED} ] || exit "$there"; '
        f'[ "$here" -le {_TAR_FAILED} ] || exit "$here"'
    )
    done = line.run(script, limit_bytes=limit)
    if _FULL.search(done.stderr):
        raise _full(line)
    if done.exit_code != 0 or _CUT in done.stderr:
        raise TransportError(
            f"{line.route.host.name}: what tar sent ends too early: {(done.stderr.splitlines() or ['?'])[-1][:300]}",
            hint="run it again; what was fetched is kept",
        )
    return done.stderr  # of single entries: each of them is looked at
