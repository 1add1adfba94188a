"""Reload: validate all, then swap in one assignment; what is broken never takes the running agent down."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from agent.clock import Clock
from agent.errors import PolicyError
from agent.model.config import Config
from agent.model.decision import Decision, Verb
from agent.model.journal import Entry
from agent.model.look import Verdict
from agent.model.policy import PolicySet, Problem
from agent.policy import guard
from agent.policy.load import Loaded
from agent.runtime import drift
from agent.runtime.book import Book
from agent.runtime.desk import AGENT, Desk
from agent.runtime.scripts import Scripts
from agent.store import incidents, journal, looks, memories, policies, states
from agent.store.engine import Store
from agent.store.tx import Tx

CAUSE = "agent/policies/files@none"
KEYS = "checks.keys"  # beside the files of a last good set: the keys it had, for the question of the guard


class Load(Protocol):
    """Loads the files: with what was good last at hand for those that are broken, or (`instead`) in place of all."""

    def __call__(self, *, last_good: Mapping[str, bytes] | None = None, instead: bool = False) -> Loaded:
        """What came of it."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a reload: in force or not, what is wrong, and what must be agreed to first."""

    applied: bool
    changed: bool = False
    generation: int = 0
    checks: int = 0
    question: str = ""
    problems: tuple[Problem, ...] = ()

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "applied": self.applied, "changed": self.changed, "generation": self.generation, "checks": self.checks,
            "question": self.question, "problems": [str(problem) for problem in self.problems],
        }  # fmt: skip


class Reloader:
    """Brings policies into force, first and again."""

    def __init__(  # noqa: PLR0913  it joins these
        self,
        *,
        store: Store,
        clock: Clock,
        book: Book,
        desk: Desk,
        load: Load,
        scripts: Scripts,
        failpoint: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._book = book
        self._desk = desk
        self._load = load
        self._scripts = scripts
        self._failpoint = failpoint
        self._seen = ""
        self._stamp = ""

    def begin(self) -> Outcome:
        """At a start: the files as they are; where they are broken, or far less than before, what was good last."""
        with self._store.read() as reader:
            last = policies.last_good(reader)
        files = {name: data for name, data in last.files.items() if name != KEYS} if last else None
        loaded = self._load(last_good=files)
        if loaded.policies is None:
            raise PolicyError("\n".join(map(str, loaded.problems)), hint="mend these, then: watchkeeper validate")
        question = guard.drops(last.files[KEYS].decode().split("\n"), loaded.policies.checks) if last else None
        if question and files is not None:
            older = self._load(last_good=files, instead=True)
            if older.policies is not None:
                return self._swap(older.policies, loaded.problems, question=question, actor=AGENT)
        return self._swap(loaded.policies, loaded.problems, question="", actor=AGENT)

    def read(self) -> Loaded:
        """The files as they are now. Not for the writing thread: an inventory that is a program may take its time."""
        current = self._book.policies
        self._seen = fingerprint(_places(current.config))
        return self._load(last_good=dict(current.sources))

    def reload(self, loaded: Loaded, *, consent: bool, actor: str) -> Outcome:
        """Bring them into force; they are kept out when they are unsound, or drop too much without consent."""
        current = self._book.policies
        if loaded.policies is None:
            return self._keep(loaded.problems, "")
        if loaded.policies.digest == current.digest and not loaded.problems:
            with self._store.write() as tx:
                self._tell(tx, (), "")
            return Outcome(applied=True, generation=self._book.generation, checks=len(current.checks))
        question = guard.drops(current.checks, loaded.policies.checks)
        if question and not consent:
            return self._keep(loaded.problems, question)
        return self._swap(loaded.policies, loaded.problems, question="", actor=actor)

    def scripts(self) -> dict[str, str]:
        """What will be run on hosts by the policies in force, as one hash for each kind of check."""
        return self._scripts.digests(self._book.policies.checks.values())

    def has_changed(self) -> bool:
        """Whether any file of the standing order has other content than when it was last loaded."""
        places = _places(self._book.policies.config)
        stamp = stamped(places)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        now = fingerprint(places)
        before, self._seen = self._seen, now
        return bool(before) and now != before

    def asks_a_program(self) -> bool:
        """Whether the inventory comes from a program: then its files do not tell when it changes."""
        return any(os.access(path, os.X_OK) for path in _files((self._book.policies.config.inventory,)))

    def _keep(self, problems: tuple[Problem, ...], question: str) -> Outcome:
        with self._store.write() as tx:
            self._tell(tx, problems, question)
        return Outcome(
            applied=False, generation=self._book.generation, checks=len(self._book.policies.checks),
            question=question, problems=problems,
        )  # fmt: skip

    def _swap(self, fresh: PolicySet, problems: tuple[Problem, ...], *, question: str, actor: str) -> Outcome:
        known = self._book.states()
        gone = [key for key in known if key not in fresh.checks]
        files = {**fresh.sources, KEYS: "\n".join(sorted(fresh.checks)).encode()}
        changed = not self._book.has_policies or self._book.policies.digest != fresh.digest
        with self._store.write() as tx:
            generation = policies.save(tx, digest=fresh.digest, files=files)
            if changed:
                journal.append(tx, self._line(fresh, generation, gone, actor))
            for key in gone:
                self._remove(tx, key)
        self._failpoint("in-reload")
        self._book.adopt(fresh, generation)
        for key in gone:
            self._book.drop(key)
        with self._store.write() as tx:
            self._tell(tx, problems, question)
        self._seen = self._seen or fingerprint(_places(fresh.config))
        return Outcome(
            applied=True, changed=changed, generation=generation, checks=len(fresh.checks), question=question,
            problems=problems,
        )  # fmt: skip

    def _remove(self, tx: Tx, key: str) -> None:
        for cause in (key, f"agent/unknown/{key}", drift.cause_of_key(key)):
            incident = incidents.open_of(tx, cause)
            if incident is not None:
                self._desk.resolve(tx, incident, "policy removed: nothing watches this any more")
        states.remove(tx, key)
        looks.forget(tx, [key])
        memories.forget(tx, [key, drift.memory_of(key)])

    def _line(self, fresh: PolicySet, generation: int, gone: list[str], actor: str) -> Entry:
        return Entry(
            actor=actor, kind="policies-in-force", object_type="policies", object_id=str(generation),
            why=f"checks: {len(fresh.checks)}, remedies: {len(fresh.remedies)}, backups: {len(fresh.backups)}",
            body={
                "digest": fresh.digest, "removed": gone, "scripts": self._scripts.digests(fresh.checks.values()),
                "files": {name: hashlib.sha256(data).hexdigest() for name, data in fresh.sources.items()},
            },
            policy_generation=generation,
        )  # fmt: skip

    def _tell(self, tx: Tx, problems: tuple[Problem, ...], question: str) -> None:
        """One incident while the files are not what is in force; resolved when they are."""
        incident = incidents.open_of(tx, CAUSE)
        if not problems and not question:
            if incident is not None:
                self._desk.resolve(tx, incident, "the files are in force again")
            return
        why = question or "; ".join(str(problem) for problem in problems[:5])
        if incident is not None and incident.why == why:
            return
        decided = Decision(verb=Verb.OPEN, why=why, severity=Verdict.WARNING)
        title = (
            "policies wait for consent" if question else "policy files are broken: the last good version is in force"
        )
        self._desk.open(tx, cause=CAUSE, title=title, decided=decided)


def _places(config: Config) -> tuple[Path, ...]:
    return config.path, config.policies, config.inventory


def stamped(places: tuple[Path, ...]) -> str:
    """A cheap sign that some file may have changed: names, sizes, times and inodes."""
    found = []
    for path in _files(places):
        try:
            seen = path.stat()
        except OSError:
            continue
        found.append(f"{path}\0{seen.st_ino}\0{seen.st_size}\0{seen.st_mtime_ns}\0{seen.st_ctime_ns}")
    return "\n".join(found)


def fingerprint(places: tuple[Path, ...]) -> str:
    """A hash over the content of files and folders; editors' leftovers do not count."""
    digest = hashlib.sha256()
    for path in _files(places):
        try:
            found = path.read_bytes()
        except OSError:
            continue
        digest.update(f"{path}\0{len(found)}\0".encode())
        digest.update(found)
    return digest.hexdigest()


def _files(places: Iterable[Path]) -> Iterable[Path]:
    for place in places:
        if place.is_dir():
            found = (path for path in sorted(place.rglob("*")) if path.is_file())
            yield from (path for path in found if not path.name.startswith((".", "#")) and not path.name.endswith("~"))
        else:
            yield place
