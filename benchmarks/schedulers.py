"""Cheap checks by the thousand, beside Nagios 4 and Icinga 2: 5,000 every 30 s, that is 10,000 a minute, on 500 hosts.

Ours are the load of this machine, with all that follows a look: step, latest looks, samples, store. The others run a
plugin that does nothing, and keep nothing. All three run at once, so that whatever else the machine does hits all.
"""

import contextlib
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.clock import SystemClock
from agent.errors import StoreError
from agent.model.check import host_of
from agent.store import looks
from agent.store.engine import Store
from benchmarks.measuring import PROGRAM, Figure, result, times
from benchmarks.peer_schedulers import ICINGA_2, NAGIOS_4, Load, Peer, Tree, plugin, started

LOAD = Load(hosts=500, each=10, every=30)
CHECKS = LOAD.hosts * LOAD.each
WINDOWS = 3
READY_SECONDS = 120
LEAST_SHARE = 0.8  # of the checks that are due in a window; with fewer the machine is too busy for anything to be told
GOALS: Mapping[Peer, float] = {NAGIOS_4: 20, ICINGA_2: 40}


class Running:
    """One scheduler: what it costs, and how many checks it has made."""

    def __init__(self, name: str, tree: Tree, made: Callable[[], int]) -> None:
        self.name, self.tree, self._made = name, tree, made
        self._before = (0.0, 0)

    def begin(self) -> None:
        """A window begins."""
        self._before = self.tree.cpu_seconds(), self._made()

    def cost(self) -> float:
        """CPU seconds for a thousand checks since then; RuntimeError when it made far too few."""
        spent, made = self.tree.cpu_seconds() - self._before[0], self._made() - self._before[1]
        if self.tree.is_over() or made < CHECKS * LEAST_SHARE:
            raise RuntimeError(f"{self.name} made {made} checks of {CHECKS} in {LOAD.every} s")
        return spent / made * 1000


class Looks:
    """Counts the looks in a store: every key that was looked at since the last question, once."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._newest_us = 0
        self._made = 0

    def __call__(self) -> int:
        """How many since the first question; none as long as there is no store."""
        try:
            store = Store.open(self._state, SystemClock(), migrate=False)
        except StoreError:
            return 0
        try:
            with store.read() as reader:
                begun = [look.begun_us for key, look in looks.latest(reader).items() if host_of(key) is not None]
        finally:
            store.close()
        self._made += sum(1 for at_us in begun if at_us > self._newest_us)
        self._newest_us = max(begun, default=0)
        return self._made


def lay_out(folder: Path) -> list[str]:
    """A home with these checks, and how its daemon is started."""
    for name in ("inventory", "policies", "playbooks", "secrets"):
        (folder / name).mkdir(parents=True)
    (folder / "config.yaml").write_text("version: 1\nname: bench\nowner: team\nteams: {team: {members: []}}\n")
    hosts = "".join(f"host-{number} ansible_connection=local\n" for number in range(LOAD.hosts))
    (folder / "inventory/hosts").write_text(f"[fleet]\n{hosts}")
    head = f"version: 1\nservice: bench\nhosts: fleet\ndefaults: {{checks: {{every: {LOAD.every}s}}}}\nchecks:\n"
    checks = "".join(f"  check-{number}:\n    load:\n" for number in range(LOAD.each))
    (folder / "policies/bench.yaml").write_text(head + checks)
    return [PROGRAM, "--config", str(folder / "config.yaml"), "run"]


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[Running]:
    """Our daemon, once it has looked at everything."""
    argv = lay_out(folder)
    with started(argv, folder / "log") as tree:
        made, end = Looks(folder / "var"), time.monotonic() + READY_SECONDS
        while made() < CHECKS:
            if tree.is_over() or time.monotonic() > end:
                raise RuntimeError(f"not all checks were made: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(1)
        yield Running("Watchkeeper", tree, made)


@contextlib.contextmanager
def theirs(peer: Peer, folder: Path) -> Iterator[Running]:
    """A peer, once it makes checks."""
    folder.mkdir()
    program = plugin(folder)

    def made() -> int:
        return (folder / "count").stat().st_size

    with started(peer.command(folder, program, LOAD), folder / "output") as tree:
        end = time.monotonic() + READY_SECONDS
        while made() < CHECKS:
            if tree.is_over() or time.monotonic() > end:
                raise RuntimeError(f"{peer.name} made {made()} checks: {(folder / 'output').read_text()[-2000:]}")
            time.sleep(1)
        yield Running(peer.name, tree, made)


def main() -> dict[str, Any]:
    """CPU seconds for a thousand checks, ours and theirs in the same seconds."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all of them end, whatever ends us
    gone = {peer: why for peer in GOALS if (why := peer.missing()) is not None}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        running = {
            peer.name: stack.enter_context(theirs(peer, folder / peer.package)) for peer in GOALS if peer not in gone
        }
        us = stack.enter_context(ours(folder / "ours"))
        time.sleep(2 * LOAD.every)  # after the first looks, all at once, and the second, which still count up
        costs: list[dict[str, float]] = []
        for _ in range(WINDOWS):
            for one in (us, *running.values()):
                one.begin()
            time.sleep(LOAD.every)
            costs.append({one.name: one.cost() for one in (us, *running.values())})
        sizes = {one.name: one.tree.megabytes() for one in (us, *running.values())}
    found = {name: tuple(cost[name] for cost in costs) for name in costs[0]}
    goals = {peer.name: goal for peer, goal in GOALS.items()}
    what = f"{CHECKS:,} cheap checks every {LOAD.every} s, for 1,000 of them"
    return result(what, *_figures(us.name, found, sizes, goals), left_out=[*gone.values()])


def _figures(
    us: str, found: Mapping[str, tuple[float, ...]], sizes: Mapping[str, float], goals: Mapping[str, float]
) -> Iterator[Figure]:
    for name, costs in found.items():
        yield Figure(name=f"{name}, CPU", unit="s", values=costs)
        if name != us:
            yield Figure(name="  that is", unit="times ours", values=times(costs, found[us]), least=goals[name])
        yield Figure(name=f"{name}, memory (PSS)", unit="MB", values=(sizes[name],))


if __name__ == "__main__":
    print(json.dumps(main(), indent=1))
