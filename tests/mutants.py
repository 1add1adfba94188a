"""What can be changed in a file of decisions: comparisons, and/or, not, conditions, numbers, sums and products, min and any."""

import ast
import copy
import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

SWAPS: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
SUMS: Mapping[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip
CHOICES = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One change: in which file, the how-manieth there, in which function, what was and what is."""

    path: Path
    source: str = dataclasses.field(repr=False)
    index: int
    line: int
    function: str
    before: str
    after: str
    which: str = ""

    @property
    def name(self) -> str:
        """How the report knows it, whatever line it moves to."""
        return f"{self.path.stem}.{self.function}: `{self.before}` → `{self.after}`{self.which}"


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
        """`+` ↔ `-`, `*` ↔ `/`."""
        self.generic_visit(node)
        words = any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in (node.left, node.right))
        if words or type(node.op) not in SUMS:
            return node
        return self._offer(node, ast.BinOp(left=node.left, op=SUMS[type(node.op)](), right=node.right))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """`min` ↔ `max`, `any` ↔ `all`."""
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id not in CHOICES:
            return node
        other = ast.Name(CHOICES[node.func.id], ctx=ast.Load())
        return self._offer(node, ast.Call(func=other, args=node.args, keywords=node.keywords))

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
    """Every mutant of a file; of several that read alike in one function each says which it is."""
    source, counter = path.read_text(encoding="utf-8"), Changer(None)
    counter.visit(ast.parse(source))
    alike = Counter(place[1:] for place in counter.places)
    seen: Counter[tuple[str, ...]] = Counter()
    for index, (line, function, before, after) in enumerate(counter.places):
        texts = (function, before, after)
        seen[texts] += 1
        which = f" ({seen[texts]} of {alike[texts]})" if alike[texts] > 1 else ""
        yield Mutant(
            path=path, source=source, index=index, line=line, function=function, before=before, after=after, which=which
        )


def tree_of(source: str, index: int | None = None) -> ast.Module:
    """A file's tree with that one change, or with none."""
    tree = Changer(-1 if index is None else index).visit(ast.parse(source))
    assert isinstance(tree, ast.Module)
    return ast.fix_missing_locations(tree)


class Teller(ast.NodeTransformer):
    """Gives every function a first line that calls a name with where the function begins."""

    def __init__(self, name: str, filename: str) -> None:
        self._name, self._filename = name, filename

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """The line that `co_firstlineno` gives: of its first decorator, if it has one."""
        self.generic_visit(node)
        line = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        words = ast.Constant(f"{self._filename}:{line}")
        call = ast.Call(func=ast.Name(self._name, ctx=ast.Load()), args=[words], keywords=[])
        node.body.insert(0, ast.copy_location(ast.Expr(call), node.body[0]))
        return node


def telling(source: str, name: str, filename: str) -> ast.Module:
    """A file's tree in which every function that is called tells so to a function of that name."""
    tree = Teller(name, filename).visit(ast.parse(source))
    assert isinstance(tree, ast.Module)
    return ast.fix_missing_locations(tree)


def _cell(text: str) -> str:
    short = re.sub(r"\s+", " ", text).replace("|", "¦").replace("`", "'")
    return short if len(short) <= 90 else f"{short[:60]} … {short[-27:]}"
