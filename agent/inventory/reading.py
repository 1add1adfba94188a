"""Asks the child what the inventory says; static sources are asked once per content, dynamic ones every time.

What was said last is kept, for a start at which nobody can say it.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.clock import Clock, Deadline
from agent.errors import InventoryError
from agent.inventory import snapshot
from agent.inventory.snapshot import Snapshot
from agent.transports import local

_CHILD = Path(__file__).with_name("child.py")
_SECONDS = 120.0  # a dynamic source may ask a slow API; a static one of 1,000 hosts takes 2
_MOST_BYTES = 200_000_000  # the answer: 10,000 hosts with 2 KB of variables are 20 MB
_STATIC = {"", ".ini", ".yaml", ".yml", ".json", ".cfg", ".toml"}
_SETTINGS = {
    "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True",
    "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
    "ANSIBLE_HOST_PATTERN_MISMATCH": "error",  # `web:!stagin` must not mean the whole of `web`
    "ANSIBLE_LOCALHOST_WARNING": "False",
    "ANSIBLE_NOCOLOR": "True",
    "ANSIBLE_FORCE_COLOR": "False",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Inventory:
    """The inventory at a path. `cache` is a file that keeps the last answer of a static one across processes."""

    def __init__(self, path: Path, *, clock: Clock, cache: Path | None = None) -> None:
        self._path = path
        self._clock = clock
        self._cache = cache
        self._kept: dict[str, Any] | None = None

    def read(self, patterns: frozenset[str]) -> Snapshot:
        """Hosts, and what these patterns mean; InventoryError when the inventory itself cannot be read."""
        try:
            if not self._path.exists():
                hint = "create it, or mend `inventory:`"
                raise InventoryError(f"the inventory {self._path} does not exist", hint=hint)
            content = _content(self._path)
        except OSError as error:
            file = error.filename or self._path
            why = f"the inventory {self._path} cannot be read: {file}: {error.strerror}"
            raise InventoryError(why, hint=f"the agent must be able to read it: ls -lL {file}") from error
        answer = self._known(content, patterns)
        if answer is None:
            answer = self._ask(patterns)
            self._keep({"content": content, "asked": sorted(patterns), "answer": answer})
        return snapshot.of_answer(answer, patterns, self._path.parent)

    def last(self, patterns: frozenset[str]) -> Snapshot:
        """What it said last, also if that was in another process; InventoryError when nobody knows."""
        kept = self._stored()
        if kept is None or not patterns <= set(kept["asked"]):
            raise InventoryError(f"nobody knows what the inventory {self._path} said last", hint="mend it")
        return snapshot.of_answer(kept["answer"], patterns, self._path.parent)

    def _known(self, content: str | None, patterns: frozenset[str]) -> dict[str, Any] | None:
        kept = self._stored() if content is not None else None
        if kept is None or kept["content"] != content or not patterns <= set(kept["asked"]):
            return None
        answer: dict[str, Any] = kept["answer"]
        return answer

    def _stored(self) -> dict[str, Any] | None:
        if self._kept is None and self._cache is not None:
            with contextlib.suppress(OSError, ValueError):  # no cache, or a broken one: ask again
                self._kept = json.loads(self._cache.read_bytes())
        kept = self._kept
        return kept if isinstance(kept, dict) and {"content", "asked", "answer"} <= set(kept) else None

    def _keep(self, kept: dict[str, Any]) -> None:
        if kept == self._kept:
            return  # a program is asked again and again, and nearly always says the same
        self._kept = kept
        if self._cache is None:
            return
        with contextlib.suppress(OSError):  # `validate` by somebody who may not write here is still right, only slower
            _write(self._cache, json.dumps(kept).encode())

    def _ask(self, patterns: frozenset[str]) -> dict[str, Any]:
        question = json.dumps({"source": str(self._path), "patterns": sorted(patterns)}).encode()
        done = local.run(
            [sys.executable, "-P", str(_CHILD)],
            deadline=Deadline.after(self._clock, _SECONDS),
            stdin=question,
            env=_environment(os.environ),
            cwd=self._path.parent,
            limit_bytes=_MOST_BYTES,
        )
        hint = f"try: ansible-inventory -i {self._path} --list"
        if done.timed_out:
            raise InventoryError(f"the inventory {self._path} was not read within {_SECONDS:g} s", hint=hint)
        try:
            answer = json.loads(done.stdout)
        except ValueError as error:
            said = done.stderr.strip().rpartition("\n")[2]
            raise InventoryError(f"the inventory {self._path} cannot be read: {said}", hint=hint) from error
        if "error" in answer:
            raise InventoryError(_why(str(answer["error"]), done.stderr), hint=hint)
        told: dict[str, Any] = answer
        return told


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in ours.items() if name in {"PATH", "HOME", "ANSIBLE_CONFIG"}}
    return kept | _SETTINGS


def _why(error: str, printed: str) -> str:
    reasons = [line.partition("] ")[2] or line for line in printed.splitlines() if "plugin: " in line]
    told = reasons[0].partition("plugin: ")[2] if reasons else ""
    return error + (f": {told}" if told else "")


def _content(path: Path) -> str | None:
    """The hash of everything that a static inventory is made of; None when any of it is a program or a plug-in."""
    digest = hashlib.sha256(importlib.metadata.version("ansible-core").encode())
    for file in (path.parent / "ansible.cfg", *_files(path)):
        if not file.is_file():
            continue
        data = file.read_bytes()
        executable = file.name != "ansible.cfg" and os.access(file, os.X_OK)
        if executable or file.suffix not in _STATIC or b"plugin:" in data or b"{{" in data:
            return None
        digest.update(f"\0{file}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    folders = [path]
    if not path.is_dir():
        yield path
        folders = [path.parent / "group_vars", path.parent / "host_vars"]
    for folder in folders:
        for inner in sorted(folder.rglob("*")):
            if not inner.name.startswith("."):
                yield inner


def _write(path: Path, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)
