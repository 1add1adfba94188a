"""What a backup job with its manifest costs, against restic alone on the same tree: first and unchanged."""

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.backups import JOB, Job, Kind, dump
from benchmarks.measuring import Cost, Figure, cost, result

FILES = 18_000  # with fewer, the start of Python weighs more
REPEATS = 3
AGAIN = 5  # unchanged backups after each first one
FIRST_LIMIT, UNCHANGED_LIMIT = 1.20, 1.15  # times restic alone


def plant(source: Path) -> None:
    """About 280 MB in files of 1 to 30 kB, as configuration and web content are."""
    lots = random.Random(1)
    for number in range(FILES):
        path = source / f"{number // 100:02d}" / f"file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lots.randbytes(lots.randrange(1_000, 30_000)))


def ordered(folder: Path, source: Path, kind: Kind, exec_id: str, **other: Any) -> Path:
    """The folder of a job as the runtime writes it."""
    run_dir = folder / "runs" / exec_id
    run_dir.mkdir(parents=True)
    job = Job(
        kind=kind,
        engine="files",
        key="bench/backups/files@here",
        item="bench/backups/files",
        host="here",
        exec_id=exec_id,
        options={"paths": [str(source)]},
        repository=str(folder / "repository"),
        state=str(folder / "state"),
        **other,
    )
    (run_dir / JOB).write_text(dump(job), encoding="utf-8")
    return run_dir


def ours(folder: Path, source: Path, exec_id: str, **other: Any) -> Cost:
    """One backup as the shim starts it."""
    run_dir = ordered(folder, source, Kind.BACKUP, exec_id, **other)
    return cost(["env", *_password(folder), sys.executable, "-I", "-m", "agent.backups", str(run_dir)])


def bare(folder: Path, source: Path) -> Cost:
    """The same by restic alone."""
    return cost(["env", *_password(folder), *_places(folder), "restic", "backup", "--json", str(source)])


def found(first: Path, *others: Path) -> None:
    """The same empty repository in each folder: restic fits the price of its key to what the machine does just then."""
    first.mkdir(parents=True)
    (first / "password").write_text("bench\n", encoding="utf-8")
    cost(["env", *_password(first), *_places(first), "restic", "init"])
    for other in others:
        shutil.copytree(first, other)


def turn(folder: Path, source: Path, **other: Any) -> list[tuple[Cost, Cost]]:
    """What a backup costs, ours and bare, in fresh repositories: the first, then those in which nothing has changed."""
    found(folder / "bare", folder / "ours")
    pairs = []
    for number in range(1 + AGAIN):
        alone = bare(folder / "bare", source)
        pairs.append((ours(folder / "ours", source, f"01{number}", **other), alone))
    shutil.rmtree(folder)
    return pairs


def parted(turns: Sequence[Sequence[tuple[Cost, Cost]]]) -> tuple[list[tuple[Cost, Cost]], list[tuple[Cost, Cost]]]:
    """The first backup of each turn, and all others."""
    return [one[0] for one in turns], [pair for one in turns for pair in one[1:]]


def figures(name: str, pairs: Sequence[tuple[Cost, Cost]], limit: float | None) -> Iterator[Figure]:
    """Seconds of ours, and how many times restic alone that is, by the clock and in CPU time."""
    wall = tuple(one.wall_seconds / two.wall_seconds for one, two in pairs)
    busy = tuple(one.cpu_seconds / two.cpu_seconds for one, two in pairs)
    yield Figure(name=name, unit="s", values=tuple(one.wall_seconds for one, _ in pairs))
    yield Figure(name=f"{name}, times restic alone", unit="times", values=wall, limit=limit)
    yield Figure(name=f"{name}, times restic alone in CPU time", unit="times", values=busy)


def _password(folder: Path) -> list[str]:
    return [f"RESTIC_PASSWORD_FILE={folder / 'password'}"]


def _places(folder: Path) -> list[str]:
    return [f"RESTIC_REPOSITORY={folder / 'repository'}", f"RESTIC_CACHE_DIR={folder / 'cache'}"]


def main() -> dict[str, Any]:
    """Both, turn by turn."""
    with tempfile.TemporaryDirectory() as top:
        source = Path(top) / "source"
        plant(source)
        os.sync()
        turns = [turn(Path(top) / str(number), source) for number in range(REPEATS)]
    first, unchanged = parted(turns)
    return result(
        f"a backup of {FILES} files with its manifest",
        *figures("first backup", first, FIRST_LIMIT),
        *figures("unchanged backup", unchanged, UNCHANGED_LIMIT),
    )
