"""What of a backup is neither restic nor the manifest, against restic alone, on a tree of 1.4 GiB as servers have it.

The seconds within restic, and those for the manifest, are taken inside the job; what is left of its time is ours: the
start of Python, locks, lists, the result. What has to be hashed is hashed while restic works, and waited for at its end.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from agent.backups import Kind
from benchmarks.backup import bare, found, ordered
from benchmarks.measuring import TOP, Figure, result

REPEATS = 3
SMALL_FILES, LARGE_FILES = 6_000, 8
LARGE_BYTES = 160 << 20
ORCHESTRATION, FIRST, UNCHANGED = 3.0, 1.20, 1.15  # percent; times restic alone
TIMED = """
import json, sys, time
from agent.backups import __main__ as job
from agent.backups.restic import record
from agent.transports import local

spent = {"restic": 0.0, "manifest": 0.0}

def timed(owner, name, what):
    real = getattr(owner, name)
    def call(*arguments, **words):
        begun = time.perf_counter()
        try:
            return real(*arguments, **words)
        finally:
            spent[what] += time.perf_counter() - begun
    setattr(owner, name, call)

timed(local, "stream", "restic")
timed(record.Recorder, "write", "manifest")
code = job.main(sys.argv[1:])
print(json.dumps(spent))
sys.exit(code)
"""


def plant(source: Path) -> None:
    """Small files of 1 to 30 kB, and some of 160 MiB."""
    lots = random.Random(1)
    for number in range(SMALL_FILES):
        path = source / f"{number // 100:02d}" / f"file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lots.randbytes(lots.randrange(1_000, 30_000)))
    for number in range(LARGE_FILES):
        (source / f"large{number}").write_bytes(os.urandom(LARGE_BYTES))


def ours(folder: Path, source: Path, exec_id: str) -> tuple[float, float]:
    """Seconds of one backup by the clock, and those of them that are neither restic's nor the manifest's."""
    run_dir = ordered(folder, source, Kind.BACKUP, exec_id)
    environment = {**os.environ, "RESTIC_PASSWORD_FILE": str(folder / "password")}
    argv = [sys.executable, "-I", "-c", TIMED, str(run_dir)]
    begun = time.perf_counter()
    ended = subprocess.run(argv, cwd=TOP, env=environment, capture_output=True, text=True, check=False)
    took = time.perf_counter() - begun
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr or ended.stdout)
    spent = json.loads(ended.stdout.splitlines()[-1])
    return took, took - spent["restic"] - spent["manifest"]


def turn(top: Path, source: Path) -> list[tuple[float, float, float]]:
    """Seconds of restic alone, of ours, and of what is left of ours: of a first backup, and of an unchanged one."""
    found(top / "ours", top / "bare")
    costs = []
    for exec_id in ("01A", "01B"):
        alone = bare(top / "bare", source).wall_seconds
        os.sync()
        costs.append((alone, *ours(top / "ours", source, exec_id)))
        os.sync()
    shutil.rmtree(top)
    return costs


def figures(name: str, turns: tuple[tuple[float, float, float], ...], limit: float) -> list[Figure]:
    """What is told of first, or of unchanged backups."""
    share = tuple(left / alone * 100 for alone, _, left in turns)
    return [
        Figure(name=f"{name}, restic alone", unit="s", values=tuple(alone for alone, _, _ in turns)),
        Figure(
            name=f"{name}, neither restic nor manifest, of restic alone", unit="%", values=share,
            limit=ORCHESTRATION if limit == FIRST else None,
        ),
        Figure(
            name=f"{name} with its manifest, times restic alone", unit="times",
            values=tuple(mine / alone for alone, mine, _ in turns), limit=limit,
        ),
    ]  # fmt: skip


def main() -> dict[str, Any]:
    """Both, turn by turn."""
    with tempfile.TemporaryDirectory() as top:
        source = Path(top) / "source"
        plant(source)
        os.sync()
        turns = [turn(Path(top) / str(number), source) for number in range(REPEATS)]
    first, unchanged = zip(*turns, strict=True)
    files, size = SMALL_FILES + LARGE_FILES, LARGE_FILES * LARGE_BYTES / 2**30
    return result(
        f"a backup of {files} files, {size:.1f} GiB: what is ours of it",
        *figures("first backup", first, FIRST),
        *figures("unchanged backup", unchanged, UNCHANGED),
    )
