"""Remediation: the ladder of remedies, attempt by attempt; a remedy worked when its post-checks say so."""

import dataclasses

from agent.model.check import RemedyRules, Rules
from agent.model.decision import ActionEnded, ActionRefused, Decision, Proof, Verb
from agent.model.look import Verdict
from agent.model.state import UNDER_WAY, CheckState, Climb, Phase
from agent.practices import incidents

MICROSECONDS = 1_000_000
ASK_AGAIN_SECONDS = 60.0  # after a refusal that names no moment
NEVER = 2**31  # so many failures in a row are never seen: time alone decides

Outcome = tuple[CheckState, tuple[Decision, ...]]


def ladder(rules: Rules, severity: Verdict) -> tuple[str, ...]:
    """The remedies for a severity, first to last."""
    if severity is Verdict.CRITICAL:
        return rules.ladder_critical
    return rules.ladder_warning if severity is Verdict.WARNING else ()


def follow(state: CheckState, rules: Rules, at_us: int, why: str) -> Outcome:
    """What the check's hard state means for its remedies."""
    climb, hard = state.climb, state.hard
    if hard is Verdict.OK:
        finished = climb is not None and climb.phase not in UNDER_WAY
        return (dataclasses.replace(state, climb=None), ()) if finished else (state, ())
    if state.parents or state.silenced or incidents.is_overridden(state):
        return state, ()
    rungs = ladder(rules, hard)
    if climb is None or (rungs and hard.weight > climb.severity.weight and climb.phase not in UNDER_WAY):
        if not rungs or not _seen(state, hard):
            return state, ()
        return _ask(state, Climb(severity=hard, rung=0, attempt=1, remedy=rungs[0], phase=Phase.ASKED), why)
    due = climb.phase is Phase.REFUSED and climb.ask_again_us is not None and at_us >= climb.ask_again_us
    return _ask(state, climb, why) if due and _seen(state, climb.severity) else (state, ())


def _seen(state: CheckState, severity: Verdict) -> bool:
    """Whether it is that bad by the last result too: nothing is done to what just passed, or could not be judged."""
    return state.hard.weight >= severity.weight and state.raw is not None and state.raw.weight >= severity.weight


def _ask(state: CheckState, climb: Climb, why: str) -> Outcome:
    asked = dataclasses.replace(climb, phase=Phase.ASKED, exec_id="", ended_us=None, proofs=(), uncertain=False)
    return dataclasses.replace(state, climb=asked), (
        Decision(
            verb=Verb.TRY_REMEDY, why=why, severity=climb.severity, remedy=climb.remedy,
            rung=climb.rung, attempt=climb.attempt, episode=state.mark.episode if state.mark else 1,
        ),
    )  # fmt: skip


def started(state: CheckState, exec_id: str) -> CheckState:
    """The intent is durable: from here on the remedy runs until its end is known."""
    if state.climb is None or state.climb.phase is not Phase.ASKED:
        return state
    return dataclasses.replace(
        state, climb=dataclasses.replace(state.climb, phase=Phase.RUNNING, exec_id=exec_id, refusal="")
    )


def refused(state: CheckState, given: ActionRefused) -> Outcome:
    """A refusal uses no attempt and climbs no ladder; the same one is told only once."""
    climb = state.climb
    if climb is None or (climb.phase, climb.exec_id) not in {(Phase.ASKED, ""), (Phase.RUNNING, given.exec_id)}:
        return state, ()
    reason = f"{given.gate}: {given.reason}"
    until = given.until_us or given.at_us + int(ASK_AGAIN_SECONDS * MICROSECONDS)
    after = dataclasses.replace(
        climb,
        exec_id="",
        phase=Phase.WAITING if given.waits else Phase.REFUSED,
        ask_again_us=None if given.waits else until,
        refusal=reason,
    )
    told = () if climb.refusal == reason else (_comment(climb, f"{climb.remedy} was refused by {reason}", given.needs),)
    return dataclasses.replace(state, climb=after), told


def _comment(climb: Climb, text: str, needs: str = "") -> Decision:
    return Decision(verb=Verb.COMMENT, why=f"{text}; {needs}" if needs else text, remedy=climb.remedy)


def ended(state: CheckState, given: ActionEnded, rules: Rules) -> Outcome:
    """The play is over; now the post-checks decide, unless it failed already."""
    climb = state.climb
    if climb is None or climb.exec_id != given.exec_id or climb.phase is not Phase.RUNNING:
        return state, ()
    if not given.ok and not given.uncertain:
        return _failed(state, climb, rules, given.at_us, f"the playbook failed: {given.summary}")
    remedy = _declared(climb, rules)
    if remedy is None:
        return dataclasses.replace(state, climb=None), ()
    after = dataclasses.replace(
        climb,
        phase=Phase.VERIFYING,
        ended_us=given.at_us,
        uncertain=given.uncertain,
        verify_until_us=given.at_us + int(remedy.verify_within_seconds * MICROSECONDS),
        proofs=tuple((key, 0, 0) for key, _, _ in _wanted(remedy, state.key, rules)),
    )
    told = "its end is uncertain" if given.uncertain else "it ended"
    return dataclasses.replace(state, climb=after), (_comment(climb, f"{climb.remedy}: {told}; {given.summary}"),)


def _declared(climb: Climb, rules: Rules) -> RemedyRules | None:
    """The rules of the remedy under way; None when it is on the ladder no more."""
    return rules.remedy(climb.remedy) if climb.remedy in ladder(rules, climb.severity) else None


def _wanted(remedy: RemedyRules, key: str, rules: Rules) -> tuple[tuple[str, int, int], ...]:
    hard = rules.fail_after.count if rules.fail_after.seconds is None else NEVER
    return remedy.post_checks or ((key, rules.recover_after, hard),)


def weigh(state: CheckState, given: Proof, rules: Rules) -> Outcome:
    """One result of a post-check; only those begun after the play ended count, and none while a parent fails."""
    climb = state.climb
    if climb is None or climb.phase is not Phase.VERIFYING or climb.ended_us is None or state.parents:
        return state, ()
    if given.begun_us <= climb.ended_us or given.verdict is Verdict.UNKNOWN:
        return state, ()
    proofs = tuple(_counted(proof, given) for proof in climb.proofs)
    if proofs == climb.proofs:
        return state, ()
    climb = dataclasses.replace(climb, proofs=proofs)
    remedy = _declared(climb, rules)
    wanted = _wanted(remedy, state.key, rules) if remedy is not None else ()
    passes = {key: count for key, count, _ in proofs}
    failures = {key: count for key, _, count in proofs}
    if any(failures.get(key, 0) >= hard for key, _, hard in wanted):
        return _failed(state, climb, rules, given.at_us, f"{given.key} still fails after it")
    if wanted and all(passes.get(key, 0) >= needed for key, needed, _ in wanted):
        return _worked(state, climb)
    return dataclasses.replace(state, climb=climb), ()


def _counted(proof: tuple[str, int, int], given: Proof) -> tuple[str, int, int]:
    key, passes, failures = proof
    if key != given.key:
        return proof
    return (key, passes + 1, 0) if given.verdict is Verdict.OK else (key, 0, failures + 1)


def _worked(state: CheckState, climb: Climb) -> Outcome:
    why = f"{climb.remedy} worked: its post-checks pass ({', '.join(key for key, _, _ in climb.proofs)})"
    decision = Decision(verb=Verb.REMEDY_PROVEN, why=why, remedy=climb.remedy, exec_id=climb.exec_id)
    return dataclasses.replace(state, climb=None), (decision,)


def expired(state: CheckState, rules: Rules, at_us: int) -> Outcome:
    """Time passed: a verification that took too long has failed."""
    climb = state.climb
    if climb is None or climb.phase is not Phase.VERIFYING or climb.verify_until_us is None:
        return state, ()
    if at_us < climb.verify_until_us:
        return state, ()
    return _failed(state, climb, rules, at_us, "its post-checks did not pass in time")


def _failed(state: CheckState, climb: Climb, rules: Rules, at_us: int, reason: str) -> Outcome:
    told = Decision(
        verb=Verb.REMEDY_FAILED, why=f"{climb.remedy} did not work: {reason}",
        remedy=climb.remedy, exec_id=climb.exec_id, attempt=climb.attempt,
    )  # fmt: skip
    following = None if climb.uncertain else _next(climb, rules)
    if following is None:
        why = "its end is uncertain, so nothing more is tried" if climb.uncertain else "no remedy is left to try"
        after = dataclasses.replace(climb, phase=Phase.EXHAUSTED)
        return dataclasses.replace(state, climb=after), (told, _comment(climb, f"{why}: a person is needed"))
    if state.hard is Verdict.OK:
        return dataclasses.replace(state, climb=None), (told,)
    waiting = dataclasses.replace(following, phase=Phase.REFUSED, ask_again_us=at_us)
    return dataclasses.replace(state, climb=waiting), (told,)


def _next(climb: Climb, rules: Rules) -> Climb | None:
    remedy, rungs = _declared(climb, rules), ladder(rules, climb.severity)
    if remedy is None:
        return None
    if climb.attempt < remedy.attempts:
        return dataclasses.replace(climb, attempt=climb.attempt + 1)
    if climb.rung + 1 >= len(rungs):
        return None
    return dataclasses.replace(climb, rung=climb.rung + 1, attempt=1, remedy=rungs[climb.rung + 1], refusal="")


def begin_anew(state: CheckState, rules: Rules, at_us: int) -> CheckState:
    """Nobody watched until now, or clocks were set: a proof has its whole time again, what was refused may be asked."""
    climb = state.climb
    if climb is None:
        return state
    if climb.phase is Phase.REFUSED:
        return dataclasses.replace(state, climb=dataclasses.replace(climb, ask_again_us=at_us))
    remedy = _declared(climb, rules)
    if climb.phase is not Phase.VERIFYING or remedy is None:
        return state
    until, ended = at_us + int(remedy.verify_within_seconds * MICROSECONDS), min(at_us, climb.ended_us or at_us)
    return dataclasses.replace(state, climb=dataclasses.replace(climb, verify_until_us=until, ended_us=ended))


def readjust(state: CheckState, rules: Rules, at_us: int) -> CheckState:
    """Other rules: a remedy that is on the ladder no more is left, and what has to prove it may be another check."""
    climb = state.climb
    if climb is None:
        return state
    remedy = _declared(climb, rules)
    if remedy is None:
        return dataclasses.replace(state, climb=None)
    climb = dataclasses.replace(climb, rung=ladder(rules, climb.severity).index(climb.remedy))
    if climb.phase is Phase.WAITING:  # what a person had to do may just have been done
        climb = dataclasses.replace(climb, phase=Phase.REFUSED, ask_again_us=at_us)
    if climb.phase is Phase.VERIFYING:
        counts = {key: (key, passes, failures) for key, passes, failures in climb.proofs}
        wanted = _wanted(remedy, state.key, rules)
        climb = dataclasses.replace(climb, proofs=tuple(counts.get(key, (key, 0, 0)) for key, _, _ in wanted))
    return state if climb == state.climb else dataclasses.replace(state, climb=climb)
