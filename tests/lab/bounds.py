"""What something may cost this process: time, memory, descriptors, threads; measured, and held to it."""

import contextlib
import dataclasses
import gc
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

from agent.clock import SystemClock
from tests.lab.wait import until

MOST_MEMORY = 20_000_000  # bytes that one hostile peer may make us take
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


@dataclasses.dataclass(kw_only=True, slots=True)
class Cost:
    """What the block took, once it is over: seconds, and bytes at its peak beyond those before it."""

    seconds: float = 0.0
    memory: int = 0


@contextlib.contextmanager
def bounded(seconds: float, *, memory: int = MOST_MEMORY) -> Iterator[Cost]:
    """Fail when the block takes longer or more memory, or leaves a descriptor or a thread behind."""
    gc.collect()
    process, clock, cost = psutil.Process(), SystemClock(), Cost()
    threads, descriptors = set(threading.enumerate()), process.num_fds()
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak begins anew
    before, begun = _peak(), clock.boottime()
    yield cost
    cost.seconds, cost.memory = (clock.boottime() - begun) / 1e9, _peak() - before
    assert cost.seconds <= seconds, f"it took {cost.seconds:.1f} s, and {seconds:g} s were allowed"
    assert cost.memory <= memory, f"it took {cost.memory / 1e6:.1f} MB, and {memory / 1e6:g} MB were allowed"
    left = _Threads(threads)
    until(left.are_gone, 20, f"threads end: {left}")
    gc.collect()
    until(lambda: process.num_fds() <= descriptors, 5, "descriptors are closed")


class _Threads:
    """Those that were not there before, as they are when somebody looks."""

    def __init__(self, before: set[threading.Thread]) -> None:
        self._before = before

    def are_gone(self) -> bool:
        """Whether all of them have ended."""
        return set(threading.enumerate()) <= self._before

    def __format__(self, _how: str) -> str:
        return ", ".join(str(one) for one in set(threading.enumerate()) - self._before)


def _peak() -> int:
    """The most memory that was resident at any time, in bytes."""
    found = _PEAK.search(Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None, "the kernel tells it"
    return int(found[1]) * 1024
