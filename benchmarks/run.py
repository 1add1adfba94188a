"""`make bench`: runs every benchmark in a process of its own and writes the results as JSON and as a table.

A benchmark is a file of this folder with a `main()` that returns `measuring.result(…)`. `python -m benchmarks.run NAME…`
runs only some, prints the table and writes nothing; with `--keep` it writes what it found in place of the last results.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import measuring

KEEP = "--keep"
HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
ONE = "import importlib, json, sys; print(json.dumps(importlib.import_module(sys.argv[1]).main()))"


def programs() -> list[str]:
    """The names of all benchmarks."""
    return sorted(
        path.stem for path in HERE.glob("*.py") if "\ndef main() -> dict[" in path.read_text(encoding="utf-8")
    )


def measure(name: str) -> dict[str, Any]:
    """What one benchmark found, or why it found nothing."""
    print(f"{name} …", file=sys.stderr, flush=True)
    argv = [sys.executable, "-c", ONE, f"benchmarks.{name}"]
    ended = subprocess.run(argv, cwd=measuring.TOP, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        return {"name": name, "what": "did not run", "figures": [], "error": ended.stderr}
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return {"name": name, **found}


def table(document: Mapping[str, Any]) -> str:
    """The results for people, as Markdown."""
    machine, versions = document["machine"], document["versions"]
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}"
    return "\n".join([
        "# Benchmarks",
        "",
        f"{document['at']}, by `{document['command']}`; median of several repeats, with the lowest and the highest.",
        f"{where}; load at the start {machine['load'][0]}.",
        ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        "",
        "| benchmark | figure | median | spread | must be | |",
        "|---|---|---:|---:|---:|---|",
        *_rows(document["benchmarks"]),
        "",
        *(f"Left out of {one['name']}: {why}.\n" for one in document["benchmarks"] for why in one.get("left_out", ())),
    ])  # fmt: skip


def _rows(benchmarks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in benchmarks:
        if "error" in one:
            yield f"| {one['name']} | did not run | | | | **failed** |"
        for figure in one["figures"]:
            median, low, high = (f"{figure[name]:.3g}" for name in ("median", "lowest", "highest"))
            bounds = [(word, figure[name]) for word, name in (("at most", "limit"), ("at least", "least"))]
            limit = " and ".join(
                f"{word} {bound:g} {figure['unit']}".strip() for word, bound in bounds if bound is not None
            )
            kept = "" if not limit else "kept" if figure["is_kept"] else "**missed**"
            value = f"{median} {figure['unit']}".strip()
            yield f"| {one['what']} | {figure['name']} | {value} | {low} … {high} | {limit} | {kept} |"


def main() -> int:
    """Run what was asked for; 0 when all ran and kept their limits."""
    asked = [name for name in sys.argv[1:] if name != KEEP]
    command = " ".join(["python -m benchmarks.run", KEEP, *asked]) if asked else "make bench"
    found = [measure(name) for name in asked or programs()]
    document = {
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),  # noqa: TID251  no agent runs here
        "command": command,
        "machine": measuring.machine(),
        "versions": measuring.versions(),
        "benchmarks": found,
    }
    print(table(document))
    for one in found:
        if "error" in one:
            print(f"{one['name']}:\n{one['error']}", file=sys.stderr)
    if not asked or KEEP in sys.argv:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "latest.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        (RESULTS / "latest.md").write_text(table(document), encoding="utf-8")
    return 0 if all("error" not in one and all(figure["is_kept"] for figure in one["figures"]) for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
