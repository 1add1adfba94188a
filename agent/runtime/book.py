"""The book: the standing order in force, and every check's state in memory, kept true to the store."""

import graphlib
from collections.abc import Iterable, Iterator, Mapping

from agent.errors import WatchkeeperError
from agent.model.check import Check, Rules
from agent.model.look import Result
from agent.model.policy import PolicySet
from agent.model.state import CheckState, Phase, from_document
from agent.practices import places, quorum, story
from agent.practices.places import Place
from agent.store import journal, states
from agent.store.engine import Store


class Book:
    """One process's view: policies by one assignment, states by compare-and-swap, others' writes by re-reading."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._policies: PolicySet | None = None
        self._checks: Mapping[str, Check] = {}  # of the set in force
        self._states: dict[str, CheckState] = {}
        self._revisions: dict[str, int] = {}
        self._places: Mapping[str, Place] | None = None
        self._children: Mapping[str, tuple[str, ...]] = {}
        self._ranks: Mapping[str, int] = {}
        self._counted_by: Mapping[str, tuple[str, ...]] = {}
        self._stirred: set[str] = set()
        self._restless: set[str] = set()
        self._hasty: set[str] = set()
        self._askers: dict[str, frozenset[str]] = {}
        self._head = 0
        self._version = -1
        self.generation = 0

    @property
    def policies(self) -> PolicySet:
        """The set in force."""
        if self._policies is None:
            raise WatchkeeperError("no policies are in force yet")
        return self._policies

    @property
    def has_policies(self) -> bool:
        """Whether any set is in force."""
        return self._policies is not None

    def adopt(self, policies: PolicySet, generation: int) -> None:
        """Put a set in force: one assignment."""
        children: dict[str, list[str]] = {}
        for check in policies.checks.values():
            for parent in check.rules.needs:
                children.setdefault(parent, []).append(check.key)
        self._children = {parent: tuple(keys) for parent, keys in children.items()}
        counted_by: dict[str, list[str]] = {}
        for check in policies.checks.values():
            for member in check.members:
                counted_by.setdefault(member, []).append(check.key)
        self._counted_by = {member: tuple(keys) for member, keys in counted_by.items()}
        needs = {check.key: (*check.rules.needs, *check.members) for check in policies.checks.values()}
        self._ranks = {key: rank for rank, key in enumerate(graphlib.TopologicalSorter(needs).static_order())}
        self._policies, self._checks = policies, policies.checks
        self._places = None
        self.generation = generation

    @property
    def places(self) -> Mapping[str, Place]:
        """Every repository in use, by its cause; worked out once, for each look at a repository asks for it."""
        if self._places is None:
            self._places = places.places(self.policies.backups.values())
        return self._places

    def children(self, key: str) -> tuple[str, ...]:
        """The checks that need this one."""
        return self._children.get(key, ())

    def rank(self, key: str) -> int:
        """A place in the order in which every parent comes before its children."""
        return self._ranks.get(key, 0)

    def in_order(self, results: Iterable[Result]) -> list[Result]:
        """Every parent's before its children's."""
        ranks = self._ranks
        return sorted(results, key=lambda result: ranks.get(result.key, 0))

    def rules(self, key: str) -> Rules | None:
        """The rules of a check in force, None when it is not (any more)."""
        check = self._checks.get(key)
        return check.rules if check is not None else None

    def state(self, key: str) -> CheckState:
        """The state of a check; a fresh one before its first result."""
        return self._states.get(key) or CheckState(key=key)

    def states(self) -> Mapping[str, CheckState]:
        """All states in memory."""
        return self._states

    def revision(self, key: str) -> int:
        """The revision to name when a state is saved; 0 before the first."""
        return self._revisions.get(key, 0)

    def keep(self, state: CheckState, revision: int) -> None:
        """Remember what was saved."""
        counted_by = self._counted_by.get(state.key)
        if counted_by and quorum.standing(self.state(state.key)) != quorum.standing(state):
            self._stirred.update(counted_by)
        self._states[state.key] = state
        self._revisions[state.key] = revision
        (self._restless.add if story.wants_tick(state) else self._restless.discard)(state.key)
        (self._hasty.add if story.wants_retry(state) else self._hasty.discard)(state.key)
        if state.climb is not None and state.climb.phase is Phase.VERIFYING:
            self._askers[state.key] = frozenset(key for key, _, _ in state.climb.proofs) - {state.key}
        else:
            self._askers.pop(state.key, None)

    def drop(self, key: str) -> None:
        """Forget a check that is no longer in force."""
        self._states.pop(key, None)
        self._revisions.pop(key, None)
        self._restless.discard(key)
        self._hasty.discard(key)
        self._askers.pop(key, None)

    def stirred(self) -> Iterator[str]:
        """The quorums of which a member has changed since the last question."""
        while self._stirred:
            yield self._stirred.pop()

    def restless(self) -> tuple[str, ...]:
        """The checks for which time alone may decide something."""
        return tuple(self._restless)

    def is_hasty(self, key: str) -> bool:
        """Whether a check is to be looked at every `retry_every`."""
        return key in self._hasty

    def askers(self, key: str) -> tuple[str, ...]:
        """The checks whose remedy is to be proven by this one. Taken at once: another thread may keep a state meanwhile."""
        if not self._askers:
            return ()  # as nearly always
        return tuple(asker for asker, proofs in list(self._askers.items()) if key in proofs)

    def wanted_proofs(self) -> frozenset[str]:
        """The checks that are to be looked at soon, for they prove a remedy."""
        return frozenset(key for proofs in list(self._askers.values()) for key in proofs)

    def failing_parents(self, key: str) -> tuple[str, ...]:
        """Which of a check's parents fail now."""
        rules = self.rules(key)
        if rules is None or not rules.needs:
            return ()
        return tuple(parent for parent in rules.needs if self.state(parent).is_failing)

    def read(self) -> None:
        """Read all states."""
        with self._store.read() as reader:
            self._head = journal.head(reader).seq
            for saved in states.load_all(reader).values():
                self.keep(from_document(saved.document), saved.revision)

    def is_stale(self) -> bool:
        """Whether other processes have written since `refresh`."""
        return self._store.data_version() != self._version

    def refresh(self) -> tuple[str, ...]:
        """Read what other processes have written since; the keys that changed."""
        version = self._store.data_version()
        if version == self._version:
            return ()
        changed = self.reread()
        self._version = version  # not before: what could not be read now is read later
        return changed

    def reread(self) -> tuple[str, ...]:
        """Read what changed in the store since the last time; the keys whose state is another now."""
        changed: list[str] = []
        with self._store.read() as reader:
            head = journal.head(reader).seq
            for key, saved in states.changed_since(reader, self._head).items():
                if saved.revision > self.revision(key):
                    self.keep(from_document(saved.document), saved.revision)
                    changed.append(key)
        self._head = head
        return tuple(changed)
