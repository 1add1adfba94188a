"""The rounds: which backups and drills are due now, and starting them."""

from collections.abc import Mapping
from types import MappingProxyType

from agent.clock import NANOSECONDS, Clock
from agent.model.backup import Backup
from agent.model.cadence import Cadence, Every
from agent.model.execution import Execution, ExecutionKind
from agent.practices import calendar
from agent.runtime.book import Book
from agent.runtime.desk import AGENT
from agent.runtime.executor import Executor
from agent.runtime.saves import Saves
from agent.runtime.workers import Workers
from agent.store import backups, dues, executions
from agent.store.engine import Store

MICROSECONDS = 1_000_000
LOOK_SECONDS = 30.0  # how often what is due is looked for when nothing is known to come up
_DRILL = ExecutionKind.DRILL
_WHY = MappingProxyType({ExecutionKind.BACKUP: "it is due", _DRILL: "a drill is due"})
SHORT_SECONDS = 3600.0  # longer intervals are aligned to the clock


class Rounds:
    """Starts what is due, one at a time per repository."""

    def __init__(
        self, *, store: Store, clock: Clock, book: Book, saves: Saves, executor: Executor, workers: Workers
    ) -> None:
        self._store = store
        self._clock = clock
        self._book = book
        self._saves = saves
        self._executor = executor
        self._workers = workers
        self._began_us = clock.now()
        self._wake_ns = 0

    def poke(self) -> None:
        """Something ended or changed: look again at what is due."""
        self._wake_ns = 0

    def are_due(self) -> bool:
        """Whether `start_due` has to look."""
        return self._clock.boottime() >= self._wake_ns

    async def start_due(self) -> int:
        """Start every backup and drill that is due and whose repository is free; how many were started."""
        if not self.are_due():
            return 0
        self._wake_ns = self._clock.boottime() + int(LOOK_SECONDS * NANOSECONDS)
        started = 0
        for kind, backup, why in await self._workers.look(self.due, self._clock.now()):
            started += await self.begin(kind, backup, actor=AGENT, why=why) is not None
        return started

    def due(self, now_us: int) -> list[tuple[ExecutionKind, Backup, str]]:
        """What is due now, and why; at most one thing per backup, and first what has waited longest.

        So a backup that takes longer than its interval starves neither its own drill nor its repository's others.
        """
        with self._store.read() as reader:
            last = dues.last_runs(reader)
            busy = {one.correlation_id for one in executions.open_ones(reader)}
            found = []
            for backup in self._book.policies.backups.values():
                paused = backup.paused_until_us is not None and now_us < backup.paused_until_us
                if backup.key in busy or paused:
                    continue
                drills = backups.last_point(reader, backup.key) is not None
                if due := [one for one in self._due_of(backup, last, now_us) if drills or one[1] is not _DRILL]:
                    found.append((min(due), backup))
        found.sort(key=lambda one: one[0])
        return [(kind, backup, _WHY[kind]) for (_, kind), backup in found]

    def _due_of(self, backup: Backup, last: Mapping[str, int], now_us: int) -> list[tuple[int, ExecutionKind]]:
        """When each thing that is due of a backup ran last; 0 for never."""
        cadences = [(ExecutionKind.BACKUP, backup.every)]
        if backup.drill is not None:
            cadences.append((_DRILL, backup.drill.every))
        ran = [(last.get(f"{kind}:{backup.key}"), kind, every) for kind, every in cadences]
        return [(at_us or 0, kind) for at_us, kind, every in ran if self._is_due(every, at_us, now_us, backup)]

    def _is_due(self, every: Cadence, last_us: int | None, now_us: int, backup: Backup) -> bool:
        if last_us is None:
            return True  # what never ran is due at once
        if not backup.run_missed:
            last_us = max(last_us, self._began_us)  # what was missed while nobody watched is left out
        following = _following(every, last_us)
        splay = calendar.splay_seconds(backup.key, backup.splay_seconds)
        if following is None or now_us < following + int(splay * MICROSECONDS):
            if following is not None:
                self._wake_no_later_than(following + int(splay * MICROSECONDS) - now_us)
            return False
        return True

    def _wake_no_later_than(self, in_us: int) -> None:
        self._wake_ns = min(self._wake_ns, self._clock.boottime() + in_us * 1_000)

    async def begin(
        self, kind: ExecutionKind, backup: Backup, *, actor: str, why: str, args: dict[str, object] | None = None
    ) -> Execution | None:
        """File and start one; None while its repository is busy."""
        more = dict(args or {})
        if kind is ExecutionKind.DRILL and "snapshot" not in more:
            with self._store.read() as reader:
                point = backups.last_point(reader, backup.key)
            if point is not None:
                more |= {"snapshot": point.snapshot, "manifest": point.manifest}
        execution = await self._workers.write(self._saves.file, kind, backup, actor=actor, why=why, args=more)
        if execution is not None:
            await self._executor.start(execution)
        return execution


def _following(every: Cadence, last_us: int) -> int | None:
    """When it is due after its last run: an interval counts from that run, a calendar rule from the calendar."""
    moments: list[int | None] = []
    for rule in every:
        if isinstance(rule, Every) and rule.seconds <= SHORT_SECONDS:
            moments.append(last_us + int(rule.seconds * MICROSECONDS))
        else:
            moments.append(calendar.next_due((rule,), last_us))
    return min((moment for moment in moments if moment is not None), default=None)
