"""The rounds: which backups and drills are due now, and starting them; what runs around a backup, step by step."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from agent.checks.command import CommandOptions
from agent.clock import Clock
from agent.model.backup import Backup
from agent.model.cadence import Every
from agent.model.check import Check, Rules, RunFrom
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.host import Host
from agent.model.look import Look, Result, Verdict
from agent.practices import rounds as practice
from agent.practices.berths import SAVING
from agent.practices.rounds import Due, Ended, Later, Past
from agent.practices.surroundings import Begin, Over, Wait
from agent.runtime import holds
from agent.runtime.book import Book
from agent.runtime.desk import AGENT
from agent.runtime.executor import Executor
from agent.runtime.saves import Saves
from agent.runtime.surroundings import Surroundings, steps
from agent.runtime.waking import Waking
from agent.runtime.workers import Workers, guard
from agent.store import backups, dues, executions, leases
from agent.store.engine import Store

ASK_SECONDS = 60.0  # for the answer of skip_unless
_TRIES = frozenset({ExecutionKind.BACKUP, ExecutionKind.PREPARE})


class Looks(Protocol):
    """Looks at hosts."""

    async def look(self, host: Host | None, checks: Sequence[Check]) -> list[Result]:
        """Everything that is asked, in one go."""


class Rounds:
    """Starts what is due, where there is room for it."""

    def __init__(  # noqa: PLR0913  all that a round needs
        self,
        *,
        store: Store,
        clock: Clock,
        book: Book,
        saves: Saves,
        surroundings: Surroundings,
        looker: Looks,
        executor: Executor,
        workers: Workers,
    ) -> None:
        self._store = store
        self._clock = clock
        self._book = book
        self._saves = saves
        self._surroundings = surroundings
        self._looker = looker
        self._executor = executor
        self._workers = workers
        self._began_us = clock.now()
        self.waking = Waking(clock)

    async def start_due(self) -> int:
        """Take the next step of every open round, then start what is due and finds room; how much was started."""
        if not self.waking.is_due():
            return 0
        self.waking.rest()
        started = 0
        for key in await self._workers.look(self._open):
            going_on = guard(f"the round of {key}", self.go_on(key), otherwise=lambda _: None)
            started += await going_on is not None
        found = await self._workers.look(self.due, self._clock.now())
        beginning = (guard(f"{one.kind} of {one.key}", self._begin(one), otherwise=lambda _: False) for one in found)
        return started + sum(await asyncio.gather(*beginning))

    def _open(self) -> tuple[str, ...]:
        with self._store.read() as reader:
            return tuple(holds.rounds(reader))

    def due(self, now_us: int) -> list[Due]:
        """What is due now and finds room, at most one thing per backup, and first what has waited longest."""
        policies, waiting = self._book.policies, []
        windows = {window.item: window for window in policies.windows}
        with self._store.read() as reader:
            last = dues.last_runs(reader)
            failed, prepared = holds.failed(last), holds.rounds(reader)
            taken = holds.taken(reader)
            busy = {one.correlation_id for one in executions.open_ones(reader)} | set(prepared)
            firsts = backups.firsts(reader)
            ends = executions.last_tries(reader, failed.intersection(policies.backups))
            for backup in policies.backups.values():
                if backup.key in busy:
                    continue
                past = self._past(backup.key, last, firsts.get(backup.key), ends.get(backup.key))
                found = practice.due(backup, past, now_us, windows.get(backup.window))
                if isinstance(found, Later):
                    self.waking.no_later_than(found.at_us, now_us)
                elif backup.host not in taken:
                    waiting.append((found, self._saves.wish(found.kind, backup)))
            held = [lease.name for lease in leases.held(reader)] if waiting else []
        return practice.choose(waiting, [*held, *(SAVING + key.rpartition("@")[2] for key in prepared)])

    def _past(self, key: str, last: Mapping[str, int], first_us: int | None, tried: Execution | None) -> Past:
        return Past(
            began_us=self._began_us,
            watched_us=last.get(f"watched:{key}", self._clock.now()),
            saved_us=last.get(f"{ExecutionKind.BACKUP}:{key}"),
            drilled_us=last.get(f"{ExecutionKind.DRILL}:{key}"),
            first_us=first_us,
            ended=None if tried is None else ended([tried]),
        )

    async def _begin(self, one: Due) -> bool:
        """Begin what is due, unless its own question says that it is to be left out now."""
        backup = self._book.policies.backups.get(one.key)
        if backup is None:
            return False
        if one.kind is ExecutionKind.BACKUP and backup.skip_unless and not await self._is_wanted(backup, one):
            return False
        return await self.begin(one.kind, backup, actor=AGENT, why=one.why, attempt=one.attempt) is not None

    async def _is_wanted(self, backup: Backup, one: Due) -> bool:
        host = self._book.policies.hosts[backup.host]
        results = await self._looker.look(host, [_question(backup)])
        look = next((result.look for result in results if result.key == backup.key), None)
        summary, skipped = answer(backup, look or (results[0].look if results else None))
        if not summary:
            return True
        await self._workers.write(
            self._surroundings.note, ExecutionKind.BACKUP, backup.key,
            ExecutionState.CANCELLED if skipped else ExecutionState.FAILED, summary, actor=AGENT,
            args={"attempt": one.attempt}, detail={"skipped": True} if skipped else {"outcome": "unreachable"},
        )  # fmt: skip
        return False

    async def begin(
        self,
        kind: ExecutionKind,
        backup: Backup,
        *,
        actor: str,
        why: str,
        args: dict[str, object] | None = None,
        attempt: int = 1,
    ) -> Execution | None:
        """File and start one, or the first step of its round; None while there is no room for it."""
        if kind is ExecutionKind.BACKUP:
            filed = await self._workers.write(self._surroundings.begin, backup, actor=actor, why=why, attempt=attempt)
        else:
            more = await self._workers.look(self._newest, backup.key) | (args or {})
            filed = await self._workers.write(self._saves.file, kind, backup, actor=actor, why=why, args=more)
        if filed is not None:
            await self._executor.start(filed)
        return filed

    def _newest(self, key: str) -> dict[str, object]:
        """The newest point, for a drill that is not told which."""
        with self._store.read() as reader:
            point = backups.last_point(reader, key)
        return {} if point is None else {"snapshot": point.snapshot, "manifest": point.manifest}

    async def go_on(self, key: str) -> Execution | None:
        """Take the next step of a backup's round; None when there is none to be taken now."""
        mark, found = await self._workers.look(self._following, key)
        if mark is None:
            return None
        if isinstance(found, Wait):
            self.waking.no_later_than(found.until_us, self._clock.now())
            return None
        filed = await self._workers.write(self._surroundings.go_on, key, mark)
        if filed is not None:
            await self._executor.start(filed)
        return filed

    def _following(self, key: str) -> tuple[int | None, Begin | Wait | Over | None]:
        """Which round of a backup is open, and what comes next in it."""
        with self._store.read() as reader:
            mark = holds.rounds(reader).get(key)
            return mark, None if mark is None else self._surroundings.following(steps(reader, key, mark))

    def is_open(self, key: str) -> bool:
        """Whether a round of this backup has steps to come."""
        with self._store.read() as reader:
            return key in holds.rounds(reader)

    def taken(self, first: Execution) -> list[Execution]:
        """All steps of the round of an execution, which may be the only one."""
        with self._store.read() as reader:
            mark = first.args.get("round")
            found = steps(reader, first.correlation_id, mark) if mark else [executions.get(reader, first.id)]
        return [one for one in found if one is not None]

    def why_not(self, backup: Backup) -> str:
        """Why a backup cannot begin now, as far as it is about its host."""
        with self._store.read() as reader:
            return self._surroundings.why_not(reader, backup.key)


def _question(backup: Backup) -> Check:
    """`skip_unless` as a check that is asked once."""
    return Check(
        key=backup.key, item=backup.item, service=backup.service, host=backup.host, kind="command",
        options=CommandOptions(command=backup.skip_unless), run_from=RunFrom.HOST, every=(Every(seconds=ASK_SECONDS),),
        timeout_seconds=ASK_SECONDS, retry_every_seconds=ASK_SECONDS, rules=Rules(key=backup.key),
    )  # fmt: skip


def answer(backup: Backup, look: Look | None) -> tuple[str, bool]:
    """Why the backup is not begun now ("": it is), and whether that is what its policy wants."""
    if look is not None and look.verdict is Verdict.OK:
        return "", False
    if look is not None and look.verdict is Verdict.CRITICAL and "exit" in look.metrics:
        return f"skip_unless: {backup.skip_unless!r}: {look.summary}", True
    said = look.summary if look is not None else "no answer"
    return f"skip_unless could not be asked: {said}", False


def ended(recent: Sequence[Execution]) -> Ended | None:
    """How the newest try ended."""
    for one in recent:
        if one.kind not in _TRIES or one.ended_at_us is None:
            continue
        if one.kind is ExecutionKind.PREPARE and one.state is ExecutionState.SUCCEEDED:
            continue
        how, outcome = one.detail.get("how"), str(one.detail.get("outcome", ""))
        passing = outcome if outcome in practice.PASSING else ""
        passing = "timeout" if how == "deadline" else "unreachable" if one.detail.get("unreachable") else passing
        was_begun = one.state is not ExecutionState.CANCELLED or bool(one.detail.get("skipped"))
        return Ended(
            ended_us=one.ended_at_us,
            attempt=int(one.args.get("attempt", 1)),
            passing=passing if one.state is ExecutionState.FAILED else "",
            cut_short=how == "lost" or not was_begun,
        )
    return None
