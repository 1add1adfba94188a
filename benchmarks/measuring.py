"""What the benchmarks share: figures with their spread, the CPU time of a child, and what machine this is."""

import dataclasses
import importlib.metadata
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[1]
PROGRAM = str(Path(sys.executable).parent / "watchkeeper")
LIBRARIES = ("ansible-core", "ansible-runner", "paramiko", "psutil", "pydantic", "pyyaml", "sqlalchemy", "typer")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One thing measured several times; a ratio is taken within each repeat.

    `limit`: what its median must not pass; `least`: what it must reach.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    limit: float | None = None
    least: float | None = None

    @property
    def median(self) -> float:
        """The value that is told."""
        return statistics.median(self.values)

    @property
    def is_kept(self) -> bool:
        """Whether the limits are kept; without one there is nothing to break."""
        return (self.limit is None or self.median <= self.limit) and (self.least is None or self.median >= self.least)

    def document(self) -> Mapping[str, Any]:
        """The figure as JSON values."""
        spread = {"median": self.median, "lowest": min(self.values), "highest": max(self.values)}
        return {**dataclasses.asdict(self), **spread, "is_kept": self.is_kept}


def result(what: str, *figures: Figure, left_out: Sequence[str] = ()) -> dict[str, Any]:
    """What a benchmark's `main()` returns; `left_out` says what could not be measured, and what to install for it."""
    return {"what": what, "figures": [figure.document() for figure in figures], "left_out": list(left_out)}


def times(theirs: Sequence[float], ours: Sequence[float]) -> tuple[float, ...]:
    """How many times what they take is what we take, repeat by repeat."""
    return tuple(other / mine for other, mine in zip(theirs, ours, strict=True))


def missing(program: str, package: str) -> str | None:
    """What to say when a program is not here; None when it is."""
    if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None:
        return None
    return f"{Path(program).name} is not here: apt-get install {package}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What one child cost, its own children included."""

    cpu_seconds: float
    wall_seconds: float


def cost(argv: Sequence[str], *, cwd: Path = TOP, expected: int = 0) -> Cost:
    """Run a child to its end; RuntimeError with its words when it does not end as expected."""
    before, begun = _children(), time.perf_counter()
    ended = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    took = time.perf_counter() - begun
    if ended.returncode != expected:
        raise RuntimeError(f"{' '.join(argv)} ended with {ended.returncode}: {ended.stderr or ended.stdout}")
    return Cost(cpu_seconds=_children() - before, wall_seconds=took)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    cpu = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "cpu": cpu[0] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory[0] / 2**20, 1),
        "system": f"{_system()}, Linux {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Versions of what has a say in the figures."""
    found = {name: importlib.metadata.version(name) for name in LIBRARIES}
    restic = subprocess.run(["restic", "version"], capture_output=True, text=True, check=True).stdout.split()[1]
    return {
        "watchkeeper": importlib.metadata.version("watchkeeper"),
        "python": platform.python_version(),
        **found,
        "restic": restic,
    }


def _system() -> str:
    names = [
        line.partition("=")[2].strip('"\n') for line in _lines("/etc/os-release") if line.startswith("PRETTY_NAME")
    ]
    return names[0] if names else "Linux"


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()
