"""Help is quick: it imports no heavy library, and its exit codes are those that we promise."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.cli import COMMANDS, EXIT_CODES

HEAVY = ("paramiko", "ansible_runner", "sqlalchemy", "pydantic", "alembic", "psutil", "jinja2", "yaml", "rich.console")
WATCHKEEPER = Path(sys.executable).with_name("watchkeeper")
RUNS = 5
Told = Mapping[str, tuple[int, str, list[str]]]
VERBS = {
    "check": ("list", "run", "why"),
    "backup": ("list", "report", "run", "drill", "restore", "snapshots", "check", "prune", "copy"),
    "recovery": ("list", "run", "rehearse"),
    "config": ("history", "diff"),
    "playbook": ("run",),
    "incident": ("list", "show", "open", "ack", "assign", "comment", "resolve", "reopen"),
    "window": ("list",),
    "kill-switch": ("on", "off", "show"),
    "audit": ("verify",),
    "host": ("list", "trust"),
}
LINES = [(command.name,) for command in COMMANDS] + [(noun, verb) for noun, verbs in VERBS.items() for verb in verbs]
ASKED = """
import contextlib, io, json, sys
from agent import cli
from agent.app import Builder

told = {{}}
for words in {lines!r}:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            cli.build(Builder)([*words, "--help"])
        except SystemExit as left:
            code = left.code
    told[" ".join(words)] = code, text.getvalue(), [name for name in {heavy!r} if name in sys.modules]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told() -> Told:
    """Of every command: the exit code of its help, its text, and the heavy libraries that are loaded by then."""
    program = ASKED.format(lines=[(), *LINES], heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    found: Told = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("words", [(), *LINES], ids=" ".join)
def test_the_help_of_every_command_works_and_imports_nothing_heavy(told: Told, words: tuple[str, ...]) -> None:
    code, text, heavy = told[" ".join(words)]
    assert (code, heavy) == (0, [])
    assert text.startswith(" ".join(("Usage: watchkeeper", *words)))


def test_every_verb_in_help_is_known_to_this_test(told: Told) -> None:
    for noun, verbs in VERBS.items():
        listed = told[noun][1].partition("Commands:\n")[2].splitlines()
        assert tuple(line.split()[0] for line in listed if line.startswith("  ") and line[2] != " ") == verbs


def test_help_shows_the_table_of_exit_codes(told: Told) -> None:
    text = " ".join(told[""][1].partition("Exit codes:")[2].split())
    for code, meaning in EXIT_CODES:
        assert f"{code.value} {meaning}" in text


def test_help_costs_at_most_three_times_an_import_of_typer() -> None:
    ours = min(cpu_seconds([str(WATCHKEEPER), "--help"]) for _ in range(RUNS))
    typer = min(cpu_seconds([sys.executable, "-c", "import typer"]) for _ in range(RUNS))
    assert ours <= 3 * typer


def cpu_seconds(argv: list[str]) -> float:
    """User and system time of a program."""
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return used.ru_utime + used.ru_stime
