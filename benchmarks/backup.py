"""What a backup job with its manifest costs, against restic alone on the same tree: first and unchanged."""

import os
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from agent.backups import JOB, Job, Kind, dump
from benchmarks.measuring import Figure, cost, result

FILES = 4000
REPEATS = 5


def plant(source: Path) -> None:
    """About 60 MB in files of 1 to 30 kB, as configuration and web content are."""
    lots = random.Random(1)
    for number in range(FILES):
        path = source / f"{number // 100:02d}" / f"file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lots.randbytes(lots.randrange(1_000, 30_000)))


def ours(folder: Path, source: Path, exec_id: str) -> float:
    """One job as the shim starts it."""
    run_dir = folder / "runs" / exec_id
    run_dir.mkdir(parents=True)
    job = Job(
        kind=Kind.BACKUP,
        engine="files",
        key="bench/backups/files@here",
        item="bench/backups/files",
        host="here",
        exec_id=exec_id,
        options={"paths": [str(source)]},
        repository=str(folder / "repository"),
        state=str(folder / "state"),
    )
    (run_dir / JOB).write_text(dump(job), encoding="utf-8")
    return cost(["env", *_password(folder), sys.executable, "-m", "agent.backups", str(run_dir)]).wall_seconds


def bare(folder: Path, source: Path) -> float:
    """The same by restic alone."""
    return cost(["env", *_password(folder), *_places(folder), "restic", "backup", "--json", str(source)]).wall_seconds


def turn(folder: Path, source: Path) -> tuple[tuple[float, float], tuple[float, float]]:
    """Seconds of a first and of an unchanged backup, ours and bare, each in a fresh repository."""
    seconds: dict[str, list[float]] = {"ours": [], "bare": []}
    for name in seconds:
        place = folder / name
        place.mkdir()
        (place / "password").write_text("bench\n", encoding="utf-8")
        cost(["env", *_password(place), *_places(place), "restic", "init"])
    for exec_id in ("01A", "01B"):
        seconds["bare"].append(bare(folder / "bare", source))
        seconds["ours"].append(ours(folder / "ours", source, exec_id))
    shutil.rmtree(folder)
    return (seconds["ours"][0], seconds["bare"][0]), (seconds["ours"][1], seconds["bare"][1])


def _password(folder: Path) -> list[str]:
    return [f"RESTIC_PASSWORD_FILE={folder / 'password'}"]


def _places(folder: Path) -> list[str]:
    return [f"RESTIC_REPOSITORY={folder / 'repository'}", f"RESTIC_CACHE_DIR={folder / 'cache'}"]


def main() -> dict[str, Any]:
    """Wall seconds of both, turn by turn."""
    with tempfile.TemporaryDirectory() as top:
        source = Path(top) / "source"
        plant(source)
        os.sync()
        turns = []
        for number in range(REPEATS):
            (Path(top) / str(number)).mkdir()
            turns.append(turn(Path(top) / str(number), source))
    first, unchanged = zip(*turns, strict=True)
    return result(
        f"a backup of {FILES} files with its manifest",
        Figure(name="first backup", unit="s", values=tuple(one for one, _ in first)),
        Figure(name="first, times restic alone", unit="times", values=tuple(one / two for one, two in first)),
        Figure(name="unchanged backup", unit="s", values=tuple(one for one, _ in unchanged)),
        Figure(name="unchanged, times restic alone", unit="times", values=tuple(one / two for one, two in unchanged)),
    )
