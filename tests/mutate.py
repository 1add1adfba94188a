"""Mutation: changes the decisions in agent/practices one by one; a change that no unit test notices is a survivor.

Nothing is written into the source: each mutant is compiled from a changed tree in a process of its own, which then runs
the tests of the practices. Survivors stand in docs/mutation.md, each with the reason why it may live; a full run
rewrites the file and keeps the reasons. Exit 1 when a survivor has none.
"""

import argparse
import ast
import copy
import dataclasses
import importlib.abc
import importlib.machinery
import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType

TOP = Path(__file__).resolve().parents[1]
ROOM = "agent/practices"
TESTS = "tests/unit/practices"
REPORT = TOP / "docs/mutation.md"
AT_ONCE = 2  # two cores are what a developer and CI have
PATIENCE_SECONDS = 120  # the tests take seconds; a mutant that loops is noticed too
SWAPS: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One change: in which file, the how-manieth there, in which function, what was and what is."""

    path: Path
    index: int
    line: int
    function: str
    before: str
    after: str

    @property
    def name(self) -> str:
        """How the report knows it, whatever line it moves to."""
        return f"{self.path.stem}.{self.function}: `{self.before}` → `{self.after}`"


class Changer(ast.NodeTransformer):
    """Counts the places that can be changed, and changes the one that is wanted."""

    def __init__(self, wanted: int | None) -> None:
        self.places: list[tuple[int, str, str, str]] = []
        self._wanted = wanted
        self._function = ""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """Only what a function does is changed, not its defaults and annotations."""
        outer, self._function = self._function, node.name
        node.body = [self.visit(statement) for statement in node.body]
        self._function = outer
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.JoinedStr:
        """Words are not decisions."""
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        """An annotation is not a decision either."""
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """`<` ↔ `<=`, `is` ↔ `is not` and so on."""
        self.generic_visit(node)
        changed: ast.expr = node
        for index, operator in enumerate(node.ops):
            other = copy.deepcopy(node)
            other.ops[index] = SWAPS[type(operator)]()
            changed = self._offer(changed, other)
        return changed

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """`and` ↔ `or`."""
        self.generic_visit(node)
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return self._offer(node, ast.BoolOp(op=other, values=node.values))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """`+` ↔ `-`."""
        self.generic_visit(node)
        words = any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in (node.left, node.right))
        if words or not isinstance(node.op, ast.Add | ast.Sub):
            return node
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        return self._offer(node, ast.BinOp(left=node.left, op=other, right=node.right))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        """`not x` → `x`."""
        self.generic_visit(node)
        return self._offer(node, node.operand) if isinstance(node.op, ast.Not) else node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """`True` ↔ `False`, n → n + 1."""
        if not isinstance(node.value, bool | int):
            return node
        return self._offer(node, ast.Constant(not node.value if isinstance(node.value, bool) else node.value + 1))

    def visit_If(self, node: ast.If) -> ast.AST:
        """`if x` → `if not x`."""
        node.test = self._condition(node.test)
        return self._rest(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """`a if x else b` → `a if not x else b`."""
        node.test = self._condition(node.test)
        return self._rest(node)

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        """`for … if x` → `for … if not x`."""
        node.ifs = [self._condition(test) for test in node.ifs]
        return self._rest(node)

    def _rest(self, node: ast.AST) -> ast.AST:
        return self.generic_visit(node)

    def _condition(self, test: ast.expr) -> ast.expr:
        """A bare truth; comparisons and the like are changed where they stand."""
        if isinstance(test, ast.Name | ast.Attribute | ast.Call):
            return self._offer(test, ast.UnaryOp(op=ast.Not(), operand=test))
        return test

    def _offer(self, node: ast.expr, other: ast.expr) -> ast.expr:
        if not self._function:
            return node
        texts = ("", "") if self._wanted is not None else (_cell(ast.unparse(node)), _cell(ast.unparse(other)))
        self.places.append((node.lineno, self._function, *texts))
        return ast.copy_location(other, node) if len(self.places) - 1 == self._wanted else node


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant of a file."""
    counter = Changer(None)
    counter.visit(ast.parse(path.read_text(encoding="utf-8")))
    for index, (line, function, before, after) in enumerate(counter.places):
        yield Mutant(path=path, index=index, line=line, function=function, before=before, after=after)


def changed_tree(mutant: Mutant) -> ast.Module:
    """The file's tree with that one change."""
    tree = Changer(mutant.index).visit(ast.parse(mutant.path.read_text(encoding="utf-8")))
    assert isinstance(tree, ast.Module)
    return ast.fix_missing_locations(tree)


def _cell(text: str) -> str:
    short = re.sub(r"\s+", " ", text).replace("|", "¦").replace("`", "'")
    return short if len(short) <= 90 else f"{short[:60]} … {short[-27:]}"


class Loader(importlib.abc.Loader):
    """Loads the changed module in place of the one on disk."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed tree as the module."""
        exec(compile(changed_tree(self._mutant), self._mutant.path, "exec"), module.__dict__)  # noqa: S102  it is our own source


class Finder(importlib.abc.MetaPathFinder):
    """Answers for the one changed module."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._name = ".".join(mutant.path.relative_to(TOP).with_suffix("").parts)

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """The changed module for its name, nothing for all others."""
        if fullname != self._name:
            return None
        return spec_from_loader(fullname, Loader(self._mutant), origin=str(self._mutant.path))


def start(mutant: Mutant | None) -> int:
    """Run the tests in a child (None: on the source as it is); its pid."""
    pid = os.fork()
    if pid:
        return pid
    import pytest

    signal.alarm(PATIENCE_SECONDS)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    first = []
    if mutant is not None:
        sys.meta_path.insert(0, Finder(mutant))
        first = [str(own) for own in [TOP / TESTS / f"test_{mutant.path.stem}.py"] if own.exists()]
    options = [
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ]
    code = pytest.main([*options, *first, TESTS])
    os._exit(int(code))


def survivors(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Those that no test notices."""
    under_way: dict[int, Mutant] = {}
    alive: list[Mutant] = []
    for done, mutant in enumerate(mutants, start=1):
        under_way[start(mutant)] = mutant
        if len(under_way) == AT_ONCE:
            alive += _collect(under_way)
        if done % 50 == 0:
            print(f"{done} of {len(mutants)}, {len(alive)} survive", flush=True)
    while under_way:
        alive += _collect(under_way)
    return sorted(alive, key=lambda mutant: (mutant.path, mutant.line))


def _collect(under_way: dict[int, Mutant]) -> list[Mutant]:
    """Wait for one child; its mutant if the tests passed."""
    pid, status = os.wait()
    mutant = under_way.pop(pid)
    if status != 0:
        return []
    print(f"survives: {mutant.path.relative_to(TOP)}:{mutant.line} {mutant.name}", flush=True)
    return [mutant]


def known_reasons() -> Mapping[str, str]:
    """The reasons that the report gives already, by the mutant's name."""
    text = REPORT.read_text(encoding="utf-8") if REPORT.exists() else ""
    rows = re.findall(r"^\| (.+?) \| (.*?) \|$", text, re.MULTILINE)
    return {name: reason for name, reason in rows if " → " in name and reason}


def report(alive: Iterable[Mutant], total: int, reasons: Mapping[str, str]) -> str:
    """The report as Markdown."""
    rows = [f"| {mutant.name} | {reasons.get(mutant.name, '')} |" for mutant in alive]
    return "\n".join(
        [
            "# Mutation of the practices",
            "",
            "`make mutate` changes the decisions in `agent/practices` one by one (comparisons, and/or, not, conditions,",
            "numbers, true and false, plus and minus) and runs the unit tests of the practices on each change. It writes this",
            "file, and keeps the reasons.",
            "",
            f"{total} changes: {total - len(rows)} were noticed by a test, {len(rows)} were not:",
            "",
            "| change | why no test can or need notice it |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def main() -> int:
    """Run all mutants or a share of them; 0 when every survivor has its reason."""
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="how many of the mutants: 0.1 is a tenth")
    parser.add_argument("--seed", type=int, default=1, help="which lot is drawn for a share")
    parser.add_argument("--only", default="*", help="only this file, without .py")
    asked = parser.parse_args()
    os.chdir(TOP)
    import hypothesis  # noqa: F401  once here rather than in every child
    import pytest  # noqa: F401

    everything = [mutant for path in sorted((TOP / ROOM).glob(f"{asked.only}.py")) for mutant in mutants_of(path)]
    drawn = random.Random(asked.seed).sample(everything, round(len(everything) * asked.share))
    print(f"{len(drawn)} of {len(everything)} mutants", flush=True)
    if os.waitpid(start(None), 0)[1] != 0:
        print("the tests fail on the source as it is: mend that first")
        return 2
    begun = time.monotonic()
    alive = survivors(drawn)
    reasons = known_reasons()
    print(f"{len(drawn) - len(alive)} noticed, {len(alive)} survive; {time.monotonic() - begun:.0f} s")
    if len(drawn) == len(everything) and asked.only == "*":
        REPORT.write_text(report(alive, len(drawn), reasons), encoding="utf-8")
        print(f"written: {REPORT.relative_to(TOP)}")
    return 1 if any(mutant.name not in reasons for mutant in alive) else 0


if __name__ == "__main__":
    sys.exit(main())
