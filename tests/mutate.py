"""Mutation: changes the decisions in agent/practices one by one; a change that no unit test notices is a survivor.

Nothing is written into the source. The tests are collected once, and run once to see which of them call which function;
each mutant is then a child of that process, which gives the changed functions their changed code and runs the tests that
call them, until one fails. Survivors stand in docs/mutation.md, each with the reason why it may live; a full run
rewrites the file and keeps the reasons. Exit 1 when a survivor has none.
"""

import argparse
import dataclasses
import gc
import json
import os
import random
import re
import resource
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, FunctionType

import hypothesis
import pytest

from tests.mutants import Mutant, mutants_of, telling, tree_of

TOP = Path(__file__).resolve().parents[1]
ROOM = "agent/practices"
TESTS = "tests/unit/practices"
REPORT = TOP / "docs/mutation.md"
AT_ONCE = 2  # two cores are what a developer and CI have
PATIENCE = 3  # times what the tests took on the source as it is: a mutant that loops is noticed too
LEAST_SECONDS = 5  # of processor time, however quick the tests are
MEMORY_BYTES = 4 << 30  # a mutant that loops may gather
SAYS = "__says__"  # by which a function of the room says that it was called
OPTIONS = (
    *("-qq", "-s", "-o", "timeout=0", "-W", "ignore::pytest.PytestAssertRewriteWarning"),
    *("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:faulthandler"),
)


def begins(code: CodeType) -> str:
    """Where a function begins."""
    return f"{code.co_filename}:{code.co_firstlineno}"


def key_of(code: CodeType) -> str:
    """How a function is known to every process: where it begins, and its name."""
    return f"{begins(code)}:{code.co_qualname}"


def codes_of(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    """Every function in a compiled file."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield key_of(constant), constant
            yield from codes_of(constant)


def changed_codes(mutant: Mutant) -> Mapping[str, CodeType]:
    """The functions that the change changes, compiled with it."""
    before, after = (
        dict(codes_of(compile(tree_of(mutant.source, index), mutant.path, "exec"))) for index in (None, mutant.index)
    )
    return {key: code for key, code in after.items() if code != before[key]}


def put_in_place(codes: Mapping[str, CodeType]) -> None:
    """Give every living function its changed code, whoever imported it under whatever name."""
    for function in gc.get_objects():
        if type(function) is FunctionType and (key := key_of(function.__code__)) in codes:
            function.__code__ = codes[key]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A test that passed on the source as it is: where the functions begin that it called; its processor time."""

    item: pytest.Item
    calls: frozenset[str]
    seconds: float


def runs_of(session: pytest.Session) -> list[Run]:
    """Run every test once, in a child; nothing when one of them fails."""
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        _be_silent()
        called = _notice_calls()
        seen = [_seen(item, called) for item in session.items]
        with os.fdopen(writing, "w") as out:
            json.dump([] if session.testsfailed else seen, out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as read:
        seen = json.load(read)
    os.waitpid(pid, 0)
    return [
        Run(item=item, calls=frozenset(calls), seconds=seconds)
        for item, (calls, seconds) in zip(session.items, seen, strict=bool(seen))
    ]


def _seen(item: pytest.Item, called: set[str]) -> tuple[list[str], float]:
    """What a test calls in the room, and how long it takes."""
    called.clear()
    begun = time.process_time()
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    return sorted(called), time.process_time() - begun


def _notice_calls() -> set[str]:
    """From now on every function of the room that is called is noted here: it says so in a first line of its own."""
    called = set[str]()
    for path in (TOP / ROOM).glob("*.py"):
        module = sys.modules.get(".".join(path.relative_to(TOP).with_suffix("").parts))
        if module is not None:
            vars(module)[SAYS] = called.add
            tree = telling(path.read_text(encoding="utf-8"), SAYS, str(path))
            put_in_place(dict(codes_of(compile(tree, path, "exec"))))
    return called


def _be_silent() -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)


def start(mutant: Mutant, runs: Iterable[Run]) -> int:
    """Run the tests that the change concerns in a child, the file's own first; its pid. It ends with 0 when all pass."""
    if pid := os.fork():
        return pid
    _be_silent()
    codes = changed_codes(mutant)
    changed = {begins(code) for code in codes.values()}
    own = f"test_{mutant.path.stem}"
    concerned = [run for run in runs if run.calls & changed]
    concerned.sort(key=lambda run: (not run.item.path.stem.startswith(own), run.seconds))
    seconds = max(LEAST_SECONDS, PATIENCE * sum(run.seconds for run in concerned))
    signal.setitimer(signal.ITIMER_PROF, seconds)  # processor time: a busy machine is nobody's notice
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    put_in_place(codes)
    for run in concerned:
        run.item.config.hook.pytest_runtest_protocol(item=run.item, nextitem=None)
        if run.item.session.testsfailed:
            os._exit(1)
    os._exit(0)


def survivors(mutants: Sequence[Mutant], runs: Sequence[Run]) -> list[Mutant]:
    """Those that no test notices."""
    under_way: dict[int, Mutant] = {}
    alive: list[Mutant] = []
    for done, mutant in enumerate(mutants, start=1):
        under_way[start(mutant, runs)] = mutant
        if len(under_way) == AT_ONCE:
            alive += _collect(under_way)
        if done % 100 == 0:
            print(f"{done} of {len(mutants)}, {len(alive)} survive", flush=True)
    while under_way:
        alive += _collect(under_way)
    return sorted(alive, key=lambda mutant: (mutant.path, mutant.index))


def _collect(under_way: dict[int, Mutant]) -> list[Mutant]:
    """Wait for one child; its mutant if the tests passed."""
    pid, status = os.wait()
    mutant = under_way.pop(pid)
    if status != 0:
        return []
    print(f"survives: {mutant.path.relative_to(TOP)}:{mutant.line} {mutant.name}", flush=True)
    return [mutant]


class Instead:
    """Is in the place of pytest's loop: the tests are collected and not run, but for each mutant."""

    def __init__(self, mutants: Sequence[Mutant]) -> None:
        self._mutants = mutants
        self.alive: list[Mutant] | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """One counter-example is enough, and need not be the smallest; how long it takes to draw proves nothing."""
        hypothesis.settings.register_profile(
            "mutation",
            parent=hypothesis.settings.get_profile("watchkeeper"),
            phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
            suppress_health_check=(hypothesis.HealthCheck.too_slow,),
        )
        hypothesis.settings.load_profile("mutation")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """All mutants."""
        if runs := runs_of(session):
            self.alive = survivors(self._mutants, runs)
        return True


def known_reasons() -> Mapping[str, str]:
    """The reasons that the report gives already, by the mutant's name."""
    text = REPORT.read_text(encoding="utf-8") if REPORT.exists() else ""
    rows = re.findall(r"^\| (.+?) \| (.*?) \|$", text, re.MULTILINE)
    return {name: reason for name, reason in rows if " → " in name and reason}


def report(alive: Iterable[Mutant], total: int, reasons: Mapping[str, str], seconds: float) -> str:
    """The report as Markdown; the seconds are of processor time."""
    rows = [f"| {mutant.name} | {reasons.get(mutant.name, '')} |" for mutant in alive]
    return "\n".join(
        [
            "# Mutation of the practices",
            "",
            "`make mutate` changes the decisions in `agent/practices` one by one (comparisons, and/or, not, conditions,",
            "numbers, true and false, sums, products, min/max, any/all) and runs the unit tests that call what was changed.",
            "It writes this file, and keeps the reasons. `make mutate ONLY=rounds` asks about one file, and writes nothing.",
            "",
            f"On {time.strftime('%Y-%m-%d', time.gmtime())} that took {seconds / 60:.0f} minutes of processor time, for",
            f"{total} changes. {total - len(rows)} were noticed by a test, {len(rows)} were not:",
            "",
            "| change | why no test can or need notice it |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def processor_seconds() -> float:
    """What this process and its children have taken: on a busy machine the only time that can be compared."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> int:
    """Run all mutants or a share of them; 0 when every survivor has its reason."""
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="how many of the mutants: 0.1 is a tenth")
    parser.add_argument("--seed", type=int, default=1, help="which lot is drawn for a share")
    parser.add_argument("--only", nargs="+", default=["*"], help="only these files, without .py")
    asked = parser.parse_args()
    os.chdir(TOP)
    paths = sorted(path for name in asked.only for path in (TOP / ROOM).glob(f"{name}.py"))
    everything = [mutant for path in paths for mutant in mutants_of(path)]
    drawn = random.Random(asked.seed).sample(everything, round(len(everything) * asked.share))
    print(f"{len(drawn)} of {len(everything)} mutants", flush=True)
    instead = Instead(drawn)
    pytest.main([*OPTIONS, TESTS], plugins=[instead])
    if (alive := instead.alive) is None:
        print("the tests fail on the source as it is: mend that first", flush=True)
        return 2
    reasons = known_reasons()
    seconds = processor_seconds()
    print(f"{len(drawn) - len(alive)} noticed, {len(alive)} survive; {seconds:.0f} s of processor time", flush=True)
    if len(drawn) == len(everything) and asked.only == ["*"]:
        REPORT.write_text(report(alive, len(drawn), reasons, seconds), encoding="utf-8")
        print(f"written: {REPORT.relative_to(TOP)}", flush=True)
    return 1 if any(mutant.name not in reasons for mutant in alive) else 0


if __name__ == "__main__":
    sys.exit(main())
