"""Writes a page per probe, and docs/probes.md that lists them, from the probes themselves: `python docs/probes.py`.

A test fails when it was forgotten.
"""

import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

import agent.checks
from agent.checks import FAMILY, offers
from agent.model.look import Unit
from agent.registry import scan

PAGE = Path(__file__).with_name("probes.md")
FOLDER = Path(__file__).with_name("probes")
EXAMPLES = Path(__file__).with_name("examples")  # NAME.yaml: a policy, but for its version and its service
HEAD = """# Probes

What a check can look at. These pages are made from the probes themselves (`docs/probes.py`).
Every probe also measures `time`, in seconds, and takes the keys of every check: [policies.md](policies.md#checks).
The examples are policies but for their first lines, `version: 1` and `service: …`; the tests load every one of them.

| probe | question | looks from the |
|---|---|---|
"""
BACK = (
    "One of the [probes](../probes.md). It takes the keys of every check, too: [policies.md](../policies.md#checks).\n"
)
UNITS = {
    Unit.SECONDS: "duration, such as `2s`",
    Unit.BYTES: "size, such as `10GiB`",
    Unit.SHARE: "share, such as `80%`",
    Unit.PER_SECOND: "rate, such as `1/s`",
    Unit.BITS_PER_SECOND: "rate, such as `100Mbit/s`",
    Unit.NUMBER: "number",
    Unit.TEXT: "word",
}


def pages() -> dict[Path, str]:
    """Every page: the list, and one for each probe."""
    probes: Mapping[str, Any] = scan(agent.checks, FAMILY)
    rows = (
        f"| [{name}](probes/{name}.md) | {_question(one)} | {one.RUN_FROM.value} |\n" for name, one in probes.items()
    )
    made = {FOLDER / f"{name}.md": "\n".join(_page(name, probe)) for name, probe in probes.items()}
    return {PAGE: HEAD + "".join(rows), **made}


def _question(probe: Any) -> str:
    question = _doc(probe)[0].partition(" — ")[2]
    return question[:1].upper() + question[1:]


def _doc(probe: Any) -> tuple[str, str]:
    title, _, rest = (inspect.getdoc(sys.modules[probe.__module__]) or "").partition("\n")
    return title, rest.strip()


def _page(name: str, probe: Any) -> Iterator[str]:
    yield f"# {name}\n"
    yield _question(probe) + "\n"
    if rest := _doc(probe)[1]:
        yield rest + "\n"
    yield _stands(name, probe) + "\n"
    yield f"```yaml\n{(EXAMPLES / f'{name}.yaml').read_text(encoding='utf-8')}```\n"
    rows = list(_options(probe.OPTIONS))
    if rows:
        yield "| option | means | default |\n|---|---|---|"
        yield from rows
        yield ""
    yield _metrics(probe) + "\n"
    yield BACK


def _stands(name: str, probe: Any) -> str:
    """Where it looks from, and how it is written shortest."""
    told = f"Looks from the {probe.RUN_FROM.value}."
    if offers(probe, "look") and offers(probe, "script"):
        told += " On this machine in the process itself, on others by a script over SSH."
    elif offers(probe, "script"):
        told += " A script, on this machine or over SSH."
    elif offers(probe, "command"):
        told += " By the command line of a network device."
    if probe.INSTANCES:
        told += " Has instances: one state each, one incident per host that lists them."
    if probe.SHORT is None:
        return told
    form = f"`{name}: {probe.SHORT.upper()}` is short for `{name}: {{{probe.SHORT}: {probe.SHORT.upper()}}}`."
    return f"{told} {form}" if probe.SHORT else f"{told} Written `{name}:`, with nothing behind it."


def _options(model: Any, above: str = "") -> Iterator[str]:
    for field, told in model.model_fields.items():
        name = above + (told.alias or field)
        inner = told.annotation if hasattr(told.annotation, "model_fields") else None
        yield f"| `{name}` | {told.description} | {'' if inner else _default(told)} |"
        if inner is not None:
            yield from _options(inner, f"{name}.")


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    if field.default in (None, "", (), PydanticUndefined) or field.default == {}:
        return ""
    return f"`{field.default}`"


def _metrics(probe: Any) -> str:
    if probe.METRICS is None:
        return "Metrics: whatever it names, in the units that it names; they are known only after a look."
    told = (f"`{name}` ({UNITS[unit]})" for name, unit in probe.METRICS.items() if name != "time")
    return "Metrics: " + (", ".join(told) or "`time` alone") + "."


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    wanted = pages()
    for path in set(FOLDER.glob("*.md")) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
