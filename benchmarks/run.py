"""`make bench`: runs every benchmark in a process of its own and writes the results as JSON and as a table.

A benchmark is a file of this folder with a `main()` that returns `measuring.result(…)`. `python -m benchmarks.run NAME…`
runs only some, prints the table and writes nothing; with `--keep` it writes what it found in place of their last results
and leaves those of the others. When each was run, and how busy the machine was, stands with it.
"""

import json
import os
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
LATEST = RESULTS / "latest.json"
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
    at, load = datetime.now(UTC), os.getloadavg()[0]  # noqa: TID251  no agent runs here
    taken = {"name": name, "at": at.strftime("%Y-%m-%d %H:%M UTC"), "load": round(load, 2)}
    ended = subprocess.run(argv, cwd=measuring.TOP, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        return {**taken, "what": "did not run", "figures": [], "error": ended.stderr}
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return {**taken, **found}


def joined(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was found now, with what is known of the other benchmarks that there still are."""
    last = json.loads(LATEST.read_text(encoding="utf-8"))["benchmarks"] if LATEST.exists() else []
    known = {one["name"]: one for one in (*last, *found)}
    return [known[name] for name in programs() if name in known]


def table(document: Mapping[str, Any]) -> str:
    """The results for people, as Markdown."""
    machine, versions = document["machine"], document["versions"]
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}"
    return "\n".join([
        "# Benchmarks",
        "",
        "Median of several repeats, with the lowest and the highest. Again: `make bench`; one of them:",
        "`python -m benchmarks.run --keep NAME`.",
        "",
        f"{where}.",
        ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        "",
        *(line for one in document["benchmarks"] for line in _section(one)),
    ])  # fmt: skip


def _section(one: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {one['name']}: {one['what']}\n"
    yield f"{one['at']}, load of the machine before it began {one['load']}.\n"
    if "error" in one:
        yield "**It did not run.**\n"
        return
    yield "| figure | median | spread | must be | |"
    yield "|---|---:|---:|---:|---|"
    yield from _rows(one["figures"])
    yield ""
    yield from (f"Left out: {why}.\n" for why in one.get("left_out", ()))


def _rows(figures: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for figure in figures:
        median, low, high = (f"{figure[name]:.3g}" for name in ("median", "lowest", "highest"))
        bounds = [(word, figure.get(name)) for word, name in (("at most", "limit"), ("at least", "least"))]
        limit = " and ".join(
            f"{word} {bound:g} {figure['unit']}".strip() for word, bound in bounds if bound is not None
        )
        kept = "" if not limit else "kept" if figure["is_kept"] else "**missed**"
        value = f"{median} {figure['unit']}".strip()
        yield f"| {figure['name']} | {value} | {low} … {high} | {limit} | {kept} |"


def main() -> int:
    """Run what was asked for; 0 when all ran and kept their limits."""
    asked = [name for name in sys.argv[1:] if name != KEEP]
    found = [measure(name) for name in asked or programs()]
    told = {"machine": measuring.machine(), "versions": measuring.versions()}
    print(table({**told, "benchmarks": found}))
    for one in found:
        if "error" in one:
            print(f"{one['name']}:\n{one['error']}", file=sys.stderr)
    if not asked or KEEP in sys.argv:
        RESULTS.mkdir(exist_ok=True)
        document = {**told, "benchmarks": joined(found)}
        LATEST.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        LATEST.with_suffix(".md").write_text(table(document), encoding="utf-8")
    return 0 if all("error" not in one and all(figure["is_kept"] for figure in one["figures"]) for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
