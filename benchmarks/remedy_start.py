"""How long a remedy needs until its first task runs, and what it costs, against bare `ansible-playbook`."""

import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.actions import playbook
from agent.clock import SystemClock
from agent.transports import child
from benchmarks.measuring import Figure, result

REPEATS = 7
PR_SET_CHILD_SUBREAPER = 36  # prctl(2): the shim leaves its launcher; so its CPU time still ends up with us
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: say when
      ansible.builtin.shell: date +%s%N > {{ folder }}/began
"""


def lay_out(folder: Path) -> None:
    """A playbook that writes down when its first task runs, and this machine as its host."""
    (folder / "playbooks").mkdir()
    (folder / "playbooks/say.yml").write_text(PLAYBOOK, encoding="utf-8")
    host = (
        f"here ansible_connection=local ansible_python_interpreter={sys.executable} ansible_remote_tmp={folder}/remote"
    )
    (folder / "hosts").write_text(host + "\n", encoding="utf-8")


def bare(folder: Path, _: int) -> None:
    """The play as a person would run it."""
    program = str(Path(sys.executable).parent / "ansible-playbook")
    arguments = [
        "-i",
        str(folder / "hosts"),
        "--limit",
        "here",
        "-e",
        f"folder={folder}",
        str(folder / "playbooks/say.yml"),
    ]
    subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=True)


def remedy(folder: Path, turn: int) -> None:
    """The play as the agent runs it, to its return code."""
    clock, run_dir = SystemClock(), folder / f"run-{turn}"
    packet = playbook.packet(
        playbook.Play(playbook="say.yml", hosts=("here",), variables={"folder": str(folder)}),
        run_dir=run_dir,
        playbooks=folder / "playbooks",
        inventory=folder / "hosts",
        known_hosts=folder / "known_hosts",
        timeout_seconds=120,
    )
    shim = child.launch(run_dir, packet, clock)
    os.waitpid(shim.pid, 0)
    ended = child.peek(run_dir, shim, clock)
    if not isinstance(ended, child.Ended) or not playbook.outcome(run_dir, ended).ok:
        raise RuntimeError(f"{ended}: {child.stdout_path(run_dir).read_text()}{child.stderr_path(run_dir).read_text()}")


def measure(play: Callable[[Path, int], None], folder: Path, turn: int) -> tuple[float, float, float]:
    """Seconds until the first task, until the end, and of CPU."""
    cpu, begun = children(), time.time_ns()
    play(folder, turn)
    whole = (time.time_ns() - begun) / 1e9
    first = (int((folder / "began").read_text(encoding="ascii")) - begun) / 1e9
    return first, whole, children() - cpu


def children() -> float:
    """CPU seconds of all that were waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> dict[str, Any]:
    """Both, turn by turn, so that a busy machine slows both alike."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder)
        measure(bare, folder, -1)  # once for the disk's and the compiler's caches
        pairs = [(measure(bare, folder, turn), measure(remedy, folder, turn)) for turn in range(REPEATS)]
    starts, ends, cpu = ([(one[place], other[place]) for one, other in pairs] for place in range(3))
    return result(
        "remedy in its shim, against bare `ansible-playbook`",
        Figure(name="start", unit="s", values=tuple(ours for _, ours in starts)),
        Figure(name="start, bare", unit="s", values=tuple(peer for peer, _ in starts)),
        Figure(name="start beyond 110 % of bare", unit="s", values=tuple(o - 1.1 * p for p, o in starts), limit=0.5),
        Figure(name="start, ratio", unit="times", values=tuple(ours / peer for peer, ours in starts)),
        Figure(name="whole play, ratio", unit="times", values=tuple(ours / peer for peer, ours in ends)),
        Figure(name="CPU, ratio", unit="times", values=tuple(ours / peer for peer, ours in cpu)),
        Figure(name="CPU of a remedy", unit="s", values=tuple(ours for _, ours in cpu)),
    )
