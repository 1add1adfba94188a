"""Batches that last as long as the bell takes to ring: in every shell each script still has its own end and its own time."""

import random
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.model.look import Section
from agent.transports import framing

SHELLS = (["dash"], ["busybox", "sh"], ["bash", "--posix"])
AROUND_THE_BELL = (0.0, 0.9, 0.97, 1.0, 1.03)
HANGING = (("echo begun; sleep 60", 1.0), Section(text="begun\n", exit_code=framing.TIMED_OUT, timed_out=True))
AFTER = (("echo after", 1.0), Section(text="after\n", exit_code=0))


def batch(seed: int) -> list[tuple[tuple[str, float], Section]]:
    """Scripts, and what must come of each."""
    lots = random.Random(seed)
    sleeping = [
        ((f"sleep {lots.choice(AROUND_THE_BELL)}; echo {number}; exit {number}", 5.0), number) for number in range(2)
    ]
    found = [(script, Section(text=f"{number}\n", exit_code=number)) for script, number in sleeping]
    return [
        *found,
        *([HANGING] if seed % 2 else []),
        (("echo quick", 0.0), Section(text="quick\n", exit_code=0)),
        AFTER,
    ]


def said(shell: list[str], scripts: list[tuple[str, float]]) -> list[Section]:
    marker = framing.new_marker()
    words = framing.PRELUDE.encode() + framing.message(scripts, marker)
    ended = subprocess.run(shell, input=words, stdout=subprocess.PIPE, timeout=60, check=False)
    return framing.sections(ended.stdout, marker)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_scripts_that_end_as_the_bell_rings_are_told_apart_from_those_that_hang(shell: list[str]) -> None:
    batches = [batch(seed) for seed in range(8)]
    with ThreadPoolExecutor(len(batches)) as threads:
        found = list(threads.map(lambda one: said(shell, [script for script, _ in one]), batches))
    assert found == [[wanted for _, wanted in one] for one in batches]
