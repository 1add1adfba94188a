"""The caretaker: which repositories are due for a check, a copy or a removal now, and starting it."""

from collections.abc import Iterator, Mapping

from agent.clock import Clock
from agent.model.cadence import Cadence
from agent.model.execution import Execution, ExecutionKind
from agent.practices import calendar
from agent.practices import upkeep as practice
from agent.practices.places import Place
from agent.practices.upkeep import MICROSECONDS
from agent.runtime import holdings
from agent.runtime.desk import AGENT
from agent.runtime.executor import Executor
from agent.runtime.quiet import Quiet
from agent.runtime.upkeep import Upkeep, ran
from agent.runtime.waking import Waking
from agent.runtime.workers import Workers
from agent.store import dues, executions
from agent.store.engine import Store
from agent.store.tx import Reader

RETRY_SECONDS = 3600.0  # after a failure, at the latest
Due = tuple[ExecutionKind, Place, str, dict[str, object]]  # what, where, why, and with what


class Caretaker:
    """Starts what is due, one thing at a time per repository; nothing is removed while there is a reason to wait."""

    def __init__(self, *, store: Store, clock: Clock, upkeep: Upkeep, executor: Executor, workers: Workers) -> None:
        self._store, self._clock, self._workers = store, clock, workers
        self._upkeep, self._executor = upkeep, executor
        self._quiet = Quiet()
        self.waking = Waking(clock)

    async def start_due(self) -> int:
        """Start what is due where the repository is free; how much was started."""
        if not self.waking.is_due():
            return 0
        self.waking.rest()
        started = 0
        for kind, place, why, args in await self._workers.look(self.due, self._clock.now()):
            started += await self.begin(kind, place, actor=AGENT, why=why, args=args) is not None
        return started

    async def begin(
        self, kind: ExecutionKind, place: Place, *, actor: str, why: str, args: Mapping[str, object]
    ) -> Execution | None:
        """File and start one; None while the repository is at work for somebody else."""
        execution = await self._workers.write(self._upkeep.file, kind, place, actor=actor, why=why, args=args)
        if execution is not None:
            await self._executor.start(execution)
        return execution

    def arguments(self, kind: ExecutionKind, place: Place) -> list[dict[str, object]]:
        """With what such a run is filed now; for a copy once per repository that is copied from."""
        now_us = self._clock.now()
        with self._store.read() as reader:
            if kind is ExecutionKind.CHECK:
                return [holdings.with_share(reader, place, now_us)]
            if kind is ExecutionKind.COPY:
                return [_upto(reader, place, source) for source in place.sources]
        return [{}]

    def due(self, now_us: int) -> list[Due]:
        """What is due now, at most one thing per repository, and first what has waited longest.

        So a check that takes as long as its interval keeps neither removals nor copies waiting.
        """
        with self._store.read() as reader:
            self._quiet.listen(reader, self._upkeep.places())
            last = dues.last_runs(reader)
            busy = {one.correlation_id for one in executions.open_ones(reader)}
            found = [
                min(due, key=lambda one: one[0])
                for place in self._quiet.awake(now_us)
                if place.cause not in busy and (due := self._ask(reader, place, last, now_us))
            ]
        self.waking.no_later_than(self._quiet.ends_us(), now_us)
        return [due for _, due in sorted(found, key=lambda one: one[0])]

    def _ask(self, reader: Reader, place: Place, last: Mapping[str, int], now_us: int) -> list[tuple[int, Due]]:
        """What is due there; where nothing is, it rests until something may be."""
        later: list[int] = []
        due = list(self._due_at(reader, place, last, now_us, later))
        if due:
            for at_us in later:
                self.waking.no_later_than(at_us, now_us)
        else:
            self._quiet.rest(place, now_us, min(later, default=None))
        return due

    def _due_at(
        self, reader: Reader, place: Place, last: Mapping[str, int], now_us: int, later: list[int]
    ) -> Iterator[tuple[int, Due]]:
        """What is due there, and since when it has waited: when it began last, 0 for never. `later` learns what comes up."""
        for source, backups in place.sources.items():
            waiting = holdings.uncopied(reader, place, source)
            if not waiting:
                continue
            args: dict[str, object] = {"source": source, "upto": waiting[-1].at_us}
            began_us = last.get(ran(ExecutionKind.COPY, place.cause, source), 0)
            pause = min(RETRY_SECONDS, *(calendar.shortest_seconds(one.every, now_us) for one in backups))
            again_us = began_us + int(pause * MICROSECONDS)
            if (
                now_us >= again_us
                or calendar.is_ahead(began_us, now_us)
                or not holdings.has_failed(reader, place, ExecutionKind.COPY)
            ):
                yield began_us, (ExecutionKind.COPY, place, "there is something new to copy", args)
            else:
                later.append(again_us)
        if not holdings.is_founded(reader, place):
            return
        check, prune = place.repository.check, place.repository.prune
        is_urgent = check is not None and holdings.is_suspect(reader, place)
        if is_urgent or (check and self._is_due(reader, place, ExecutionKind.CHECK, check.every, last, now_us, later)):
            args = holdings.with_share(reader, place, now_us)
            why = "a check of the repository is due"
            yield last.get(ran(ExecutionKind.CHECK, place.cause), 0), (ExecutionKind.CHECK, place, why, args)
        is_due = bool(prune) and self._is_due(reader, place, ExecutionKind.PRUNE, prune, last, now_us, later)
        if is_due and not practice.rests(holdings.facts(reader, place, now_us)):
            began_us = last.get(ran(ExecutionKind.PRUNE, place.cause), 0)
            yield began_us, (ExecutionKind.PRUNE, place, "retention is due", {})

    def _is_due(  # noqa: PLR0913, PLR0917  all that it goes by
        self,
        reader: Reader,
        place: Place,
        kind: ExecutionKind,
        every: Cadence,
        last: Mapping[str, int],
        now_us: int,
        later: list[int],
    ) -> bool:
        """By its cadence since it last began, sooner after a failure; a first removal waits for its time, too."""
        last_us = last.get(ran(kind, place.cause))
        if last_us is None:
            last_us = last.get(f"watched:{place.cause}", now_us) if kind is ExecutionKind.PRUNE else 0
        if calendar.is_ahead(last_us, now_us):
            return True
        due_us = calendar.following(every, last_us)
        again_us = holdings.retry_at(reader, place, kind, calendar.shortest_seconds(every, now_us))
        moments = [moment for moment in (due_us, again_us) if moment is not None]
        if not moments:
            return False
        is_due = min(moments) <= now_us
        if not is_due:
            later.append(min(moments))
        return is_due


def _upto(reader: Reader, place: Place, source: str) -> dict[str, object]:
    """What a copy is filed with: where from, and up to the time of which point."""
    return {"source": source, "upto": max((one.at_us for one in holdings.to_copy(reader, place, source)), default=0)}
