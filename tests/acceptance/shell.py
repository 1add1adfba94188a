"""A shell for acceptance tests: types commands of the installed program, reads what they print and end with."""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent import cli
from agent.app import Builder

WATCHKEEPER = Path(sys.executable).with_name("watchkeeper")


class Shell:
    """Types commands: `runs` starts the installed program, `types` calls the same code without paying for a process."""

    def __init__(self, *before: str, folder: Path) -> None:
        self._before = before
        self._folder = folder

    def runs(self, *words: str, code: int = 0) -> str:
        """The program's stdout and stderr; it must end with that code, and never with a traceback."""
        done = subprocess.run(
            [str(WATCHKEEPER), *self._before, *words],
            cwd=self._folder, capture_output=True, text=True, check=False, timeout=90, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        told = done.stdout + done.stderr
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{told}"
        assert "Traceback" not in told, told
        return told

    def types(self, *words: str, code: int = 0) -> str:
        """What the command prints; it must end with that code."""
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told), pytest.raises(SystemExit) as left:
            cli.build(Builder)([*self._before, *words])
        assert left.value.code == code, f"{words} ended with {left.value.code}:\n{told.getvalue()}"
        return told.getvalue()

    def reads(self, *words: str, code: int = 0) -> Any:
        """The command's JSON document."""
        return json.loads(self.types(*words, "--json", code=code))
