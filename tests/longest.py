"""The longest files and functions of the agent, printed: for looking, never for failing."""

import ast
from collections.abc import Iterator
from pathlib import Path

SHOWN = 8


def functions(path: Path) -> Iterator[tuple[int, str]]:
    """The length of every function of a file, and where it is."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, f"{path}:{node.lineno} {node.name}"


def main() -> None:
    """Print both lists, longest first."""
    paths = sorted(Path("agent").rglob("*.py"))
    files = [(len(path.read_text(encoding="utf-8").splitlines()), str(path)) for path in paths]
    lengths = [found for path in paths for found in functions(path)]
    print(f"{len(files)} files with {sum(length for length, _ in files)} lines; the longest:")
    for length, name in sorted(files, reverse=True)[:SHOWN]:
        print(f"{length:6} {name}")
    over = sum(length > 50 for length, _ in lengths)
    print(f"{len(lengths)} functions, {over} of them above 50 lines; the longest:")
    for length, name in sorted(lengths, reverse=True)[:SHOWN]:
        print(f"{length:6} {name}")


if __name__ == "__main__":
    main()
