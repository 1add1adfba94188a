"""Recoveries under way: each step through the gates, the next one only after it, all of it found again after a crash.

Where a recovery stands is never remembered: it follows from the executions of its steps. Whoever drives it may die; the
daemon, or the next `recovery run`, takes it over and goes on.
"""

import dataclasses
from collections.abc import Callable, Mapping

from agent.clock import NANOSECONDS, Clock
from agent.errors import ConflictError
from agent.model.check import Check
from agent.model.execution import Execution, ExecutionKind, ExecutionState
from agent.model.gate import Request, Trigger
from agent.model.look import Result, Verdict
from agent.model.recovery import Recovery, Step
from agent.model.remedy import Mode, Risk
from agent.model.state import CheckState
from agent.practices import recoveries as practice
from agent.practices import story
from agent.practices.recoveries import Move
from agent.runtime.book import Book
from agent.runtime.executor import Executor
from agent.runtime.gates import Admission, Gatekeeper, Wanted
from agent.runtime.looking import Looker
from agent.runtime.pipeline import Pipeline
from agent.runtime.recovery_records import Records
from agent.runtime.scheduler import batches
from agent.runtime.waking import Waking
from agent.runtime.workers import Workers, guard
from agent.store.tx import Tx

NEWS_SECONDS = 5.0  # how often it is looked whether others began or ended one, while they write at all


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """What a recovery that is under way consists of, on the host where it is carried out."""

    recovery: Recovery
    onto: str
    steps: tuple[Step, ...]
    rehearsal: tuple[Check, ...] | None  # the checks of a scratch host; None: those of the host itself


class Recoveries:
    """Carries recoveries out, one move at a time."""

    def __init__(  # noqa: PLR0913  all that a recovery touches
        self,
        *,
        clock: Clock,
        book: Book,
        gatekeeper: Gatekeeper,
        executor: Executor,
        workers: Workers,
        pipeline: Pipeline,
        looker: Looker,
        records: Records,
        noticed: Callable[[str], None],
    ) -> None:
        """`noticed` is called with the key of a recovery about which something new is known."""
        self._clock, self._book, self._workers = clock, book, workers
        self._gatekeeper, self._executor = gatekeeper, executor
        self._pipeline, self._looker = pipeline, looker
        self.records, self._noticed = records, noticed
        self._open: frozenset[str] = frozenset()  # the keys of what was under way at the last turn
        self._verifying: dict[str, int] = {}  # since when, on the boot clock
        self._is_busy = self._has_news = True
        self.waking = Waking(clock)
        self._look_ns = 0

    def course(self, plan: Execution) -> Course | None:
        """What is meant by a filed recovery; None when the policies in force know it no more."""
        recovery = self._book.policies.recoveries.get(plan.correlation_id)
        onto = str(plan.args["onto"])
        if recovery is None:
            return None
        if plan.kind is ExecutionKind.RECOVERY:
            return Course(recovery=recovery, onto=onto, steps=recovery.steps, rehearsal=None)
        scratch = next((one for one in recovery.scratch if one.host == onto), None)
        if scratch is None:
            return None
        return Course(recovery=recovery, onto=onto, steps=scratch.steps, rehearsal=scratch.verify)

    async def advance(self, plan: Execution) -> Execution:
        """Make the next move; the recovery as it then stands. Somebody else's move is never made twice."""
        course = self.course(plan)
        if course is None:
            return await self._end(plan, None, ExecutionState.FAILED, "no policy in force knows this recovery any more")
        names = [step.name for step in course.steps]
        following = practice.next_move(names, await self._workers.look(self.records.newest, plan))
        try:
            match following.move:
                case Move.BEGIN:
                    return await self._begin(plan, course, following.index)
                case Move.FAIL:
                    return await self._end(plan, course, ExecutionState.FAILED, following.why)
                case Move.VERIFY:
                    return await self._verify(plan, course)
                case Move.WAIT:
                    return plan
        except ConflictError:
            return await self._workers.look(self.records.get, plan)

    async def _begin(self, plan: Execution, course: Course, index: int) -> Execution:
        step, moved = course.steps[index], self.records.moved(plan)

        def claim(tx: Tx, admission: Admission) -> None:
            if admission.execution is not None:
                self.records.update(tx, moved)

        wanted = self._wanted(plan, course, step, index)
        admission = await self._workers.write(lambda: self._gatekeeper.admit(wanted, then=claim))
        if admission.execution is not None:
            await self._executor.start(admission.execution)
            return moved
        refusal = admission.refusal
        why = f"step {index + 1} of {len(course.steps)}, {step.name}, was refused by the gate {refusal.gate}: {refusal.says}"
        taken = await self._workers.look(self.records.newest, plan)
        state = ExecutionState.FAILED if taken else ExecutionState.CANCELLED
        return await self._end(plan, course, state, why, needs=refusal.needs)

    def _wanted(self, plan: Execution, course: Course, step: Step, index: int) -> Wanted:
        is_real = plan.kind is ExecutionKind.RECOVERY
        restore = {"backup": step.backup, "onto": course.onto, "in_place": True, "target": step.to,
                   "include": list(step.include), "at_us": plan.args.get("at_us")}  # fmt: skip
        play = {"playbook": step.playbook, "vars": dict(step.variables), "check": False}
        risk = Risk.IRREVERSIBLE if step.backup else Risk.DISRUPTIVE
        return Wanted(
            request=Request(
                item=plan.item, service=plan.service, hosts=(course.onto,), actor=plan.actor, cause=plan.why,
                trigger=Trigger.PLANNED if plan.args.get("planned") else Trigger.PERSON, attempt=index + 1,
                playbook=step.playbook, risk=risk if is_real else Risk.REVERSIBLE, mode=Mode.AUTO,
            ),
            kind=ExecutionKind.RESTORE if step.backup else ExecutionKind.PLAYBOOK,
            correlation_id=plan.id,
            timeout_seconds=step.timeout_seconds,
            args=restore if step.backup else play,
            why=f"{plan.number}, step {index + 1} of {len(course.steps)}: {step.name}",
        )  # fmt: skip

    # proof

    async def _verify(self, plan: Execution, course: Course) -> Execution:
        """Look, and look again until all is well or the time for it is over."""
        begun_ns = self._verifying.setdefault(plan.id, self._clock.boottime())
        seen = await self._looks(course)
        bad = {key: words for key, (verdict, words) in seen.items() if verdict is not Verdict.OK}
        if not bad:
            return await self._end(plan, course, ExecutionState.SUCCEEDED, self._praise(plan, course), seen=seen)
        if (self._clock.boottime() - begun_ns) / NANOSECONDS < course.recovery.verify_within_seconds:
            return plan
        first, words = next(iter(bad.items()))
        why = f"all steps are done, and {first} is {seen[first][0]}: {words}"
        return await self._end(plan, course, ExecutionState.FAILED, why, seen=seen)

    async def _looks(self, course: Course) -> dict[str, tuple[Verdict, str]]:
        """What each check says now. On the host itself the story takes note of what is well: incidents end by evidence.

        What is not well yet counts as a failure when the check itself looks, as often as its policy says.
        """
        if course.rehearsal is not None:
            host = self._book.policies.hosts[course.onto]
            results = {one.key: one for one in await self._looker.look(host, list(course.rehearsal))}
            return {check.key: _judged(check, results.get(check.key)) for check in course.rehearsal}
        known = self._book.policies.checks
        checks = [known[key] for key in course.recovery.verify if key in known]
        seen: dict[str, tuple[Verdict, str]] = dict.fromkeys(
            course.recovery.verify, (Verdict.UNKNOWN, "there is no such check any more")
        )
        for name, together in batches(checks):
            on = self._book.policies.hosts.get(name) if name else None
            results = {one.key: one for one in await self._looker.look(on, together)}
            seen |= {check.key: _judged(check, results.get(check.key)) for check in together}
            for key, result in results.items():
                if key in known and _judged(known[key], result)[0] is Verdict.OK:
                    await self._pipeline.see(result)
        return seen

    def _praise(self, plan: Execution, course: Course) -> str:
        seconds, rto = self.records.seconds(plan), course.recovery.rto_seconds
        proof = f"{len(course.recovery.verify)} checks are OK" if course.recovery.verify else "no check proves it"
        late = f", longer than its rto of {rto:.0f} s" if rto is not None and seconds > rto else ""
        return f"{len(course.steps)} steps in {seconds:.1f} s{late}; {proof}"

    async def _end(
        self,
        plan: Execution,
        course: Course | None,
        state: ExecutionState,
        summary: str,
        *,
        seen: Mapping[str, tuple[Verdict, str]] | None = None,
        needs: str = "",
    ) -> Execution:
        self._verifying.pop(plan.id, None)
        steps = course.steps if course is not None else ()
        rto = course.recovery.rto_seconds if course is not None else None
        detail = {
            "rto_s": rto, "needs": needs,
            "verified": {key: f"{verdict}: {words}" for key, (verdict, words) in (seen or {}).items()},
        }  # fmt: skip
        names = [step.name for step in steps]
        return await self._workers.write(lambda: self.records.end(plan, state, summary, names=names, detail=detail))

    # the daemon

    @property
    def are_under_way(self) -> bool:
        """Whether this process goes on with any."""
        return self._is_busy

    def are_due(self, *, is_news: bool) -> bool:
        """Whether `turn` has something to do; `is_news`: somebody has written to the store."""
        self._has_news |= is_news
        now_ns = self._clock.boottime()
        return self._is_busy or self.waking.is_due() or (self._has_news and now_ns >= self._look_ns)

    async def turn(self) -> None:
        """Go on with what nobody drives, and begin the rehearsals that are due."""
        self._has_news, self._look_ns = False, self._clock.boottime() + int(NEWS_SECONDS * NANOSECONDS)
        found = await self._workers.look(self.records.open_ones)
        mine = [plan for plan in found if not self.records.is_driven(plan)]
        for plan in mine:
            try:
                taken = await self._workers.write(self.records.take, plan)
            except ConflictError:
                continue
            await guard(f"recovery {taken.number}", self.advance(taken), otherwise=lambda _: None)
        self._is_busy = bool(mine)
        before, self._open = self._open, frozenset(plan.correlation_id for plan in found)
        for key in before - self._open:
            self._noticed(key)
        if self.waking.is_due():
            self.waking.rest()
            for recovery in await self._workers.look(self.records.due):
                onto = recovery.scratch[0].host
                await self._workers.write(lambda r=recovery, o=onto: self.records.rehearse(r, o))  # type: ignore[misc]  # mypy knows no defaults of a lambda
                self._is_busy = True


def _judged(check: Check, result: Result | None) -> tuple[Verdict, str]:
    """What a result means by the check's own bounds."""
    if result is None:
        return Verdict.UNKNOWN, "its host could not be reached"
    after, _ = story.step(CheckState(key=check.key), result, check.rules)
    return after.raw or result.look.verdict, result.look.summary
