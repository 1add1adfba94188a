"""What a drill costs, from the order to the proof, against `restic restore` alone of the same snapshot. SIZE is in MiB."""

import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from agent.backups import RESULT, DrillResult, Kind, load_result
from agent.model.proof import DrillOrder
from benchmarks.backup import ordered
from benchmarks.measuring import Cost, Figure, cost, result

SIZE_MIB = int(os.environ.get("SIZE", "200"))
REPEATS = int(os.environ.get("REPEATS", "3"))
SIZES = (4_000, 30_000, 200_000, 1_000_000, 8_000_000)  # of files; half of each is text, as web roots and mail are
SAMPLE = 200
LIMIT, LIMITED_FROM_MIB = 1.2, 2048  # what a drill may take; a small one is mostly Python's start


def plant(source: Path) -> int:
    """Files of all sizes, of so many MiB together; how many that are."""
    lots, left, number = random.Random(1), SIZE_MIB << 20, 0
    while left > 0:
        size = lots.choice(SIZES)
        path = source / f"{number % 40:02d}" / f"file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lots.randbytes(size // 2) + b"text line\n" * (size // 20))
        left -= size
        number += 1
    return number


def job(folder: Path, source: Path, kind: Kind, exec_id: str, sample: int = 0) -> Path:
    """The folder of a job: a drill is of the point that was saved last."""
    saved = folder / "runs" / "01A" / RESULT
    point = json.loads(saved.read_text(encoding="utf-8")) if kind is Kind.DRILL else {"snapshot": "", "manifest": ""}
    more = {"snapshot": point["snapshot"], "manifest": point["manifest"], "drill": DrillOrder(sample=sample)}
    return ordered(folder, source, kind, exec_id, **more)


def ours(folder: Path, run_dir: Path) -> Cost:
    """What one job costs, as the shim starts it."""
    return cost(["env", *_environment(folder), sys.executable, "-m", "agent.backups", str(run_dir)])


def bare(folder: Path) -> Cost:
    """What a restore by restic alone costs."""
    target = folder / "state" / "bare"
    found = cost(["env", *_environment(folder), "restic", "restore", "--json", "latest", "--target", str(target)])
    shutil.rmtree(target)
    return found


def _environment(folder: Path) -> list[str]:
    return [
        f"RESTIC_PASSWORD_FILE={folder / 'password'}",
        f"RESTIC_REPOSITORY={folder / 'repository'}",
        f"RESTIC_CACHE_DIR={folder / 'state/restic-cache'}",
    ]


def main() -> dict[str, Any]:
    """Wall seconds of both, in turn; the parts of the last drill; and a drill of a sample."""
    with tempfile.TemporaryDirectory() as top:
        folder, source = Path(top), Path(top) / "source"
        files = plant(source)
        (folder / "password").write_text("bench\n", encoding="utf-8")
        ours(folder, job(folder, source, Kind.BACKUP, "01A"))
        os.sync()
        turns = []
        for number in range(REPEATS):
            run_dir = job(folder, source, Kind.DRILL, f"02{number}")
            turns.append((bare(folder), ours(folder, run_dir)))
        done = load_result((run_dir / RESULT).read_text(encoding="utf-8"))
        assert isinstance(done, DrillResult)
        assert done.passed, done.summary
        sampled = [ours(folder, job(folder, source, Kind.DRILL, f"03{n}", SAMPLE)) for n in range(REPEATS)]
    ratios = [whole.wall_seconds / alone.wall_seconds for alone, whole in turns]
    cpu = [whole.cpu_seconds / alone.cpu_seconds for alone, whole in turns]
    limit = LIMIT if SIZE_MIB >= LIMITED_FROM_MIB else None
    return result(
        f"a drill of {SIZE_MIB} MiB in {files} files, each compared",
        Figure(name="restic restore alone", unit="s", values=tuple(alone.wall_seconds for alone, _ in turns)),
        Figure(name="drill", unit="s", values=tuple(whole.wall_seconds for _, whole in turns)),
        Figure(name="drill, times restic alone", unit="times", values=tuple(ratios), limit=limit),
        Figure(name="its CPU, times restic alone", unit="times", values=tuple(cpu)),
        *(Figure(name=f"of it {part}", unit="s", values=(seconds,)) for part, seconds in done.parts.items()),
        Figure(name=f"drill of {SAMPLE} files", unit="s", values=tuple(one.wall_seconds for one in sampled)),
    )
