"""The one step: what was, what came in, and the rules give what is and what is to be done.

`step(state, given, rules) -> (state, decisions)` is pure: time enters as a value, and the same object comes back when
nothing changed, so that nothing is written. Everything that the agent does about a check begins here.
"""

import dataclasses
from collections.abc import Mapping

from agent.model.check import Rules
from agent.model.decision import (
    ActionEnded,
    ActionRefused,
    ActionStarted,
    Decision,
    Gap,
    Input,
    Parents,
    Person,
    Proof,
    Reload,
    Tick,
    Verb,
    WindowEdge,
)
from agent.model.look import Look, Result, Verdict
from agent.model.state import CheckState, Instance, Phase
from agent.practices import events, incidents, remediation

MICROSECONDS = 1_000_000
NOTHING: tuple[Decision, ...] = ()
STILL = "it still fails"
_NEW = Instance()
_GRAVE = frozenset({Verb.OPEN, Verb.REOPEN, Verb.TRY_REMEDY})

Outcome = tuple[CheckState, tuple[Decision, ...]]


def step(state: CheckState, given: Input, rules: Rules) -> Outcome:  # noqa: C901  one line per kind of input
    """Take one input to the next state, and say what is to be done about it."""
    match given:
        case Result():
            return _result(state, given, rules)
        case Tick():
            return _tick(state, given, rules)
        case Proof():
            after, decided = remediation.weigh(state, given, rules)
            return _follow(after, rules, given.at_us, STILL, decided) if decided else (after, decided)
        case Parents():
            return _parents(state, given)
        case ActionStarted():
            return remediation.started(state, given.exec_id), NOTHING
        case ActionRefused():
            return remediation.refused(state, given)
        case ActionEnded():
            after, decided = remediation.ended(state, given, rules)
            after, incident = incidents.follow(after, rules, given.at_us, STILL)
            return after, (*decided, *incident)
        case WindowEdge():
            return _window(state, given, rules)
        case Person():
            return incidents.by_person(state, given.verb, given.at_us), NOTHING
        case Reload():
            return _reload(state, given, rules), NOTHING
        case Gap():
            return remediation.begin_anew(_forget_soft(state), rules, given.at_us), NOTHING


def _result(state: CheckState, given: Result, rules: Rules) -> Outcome:
    """Count the result, then let the incident and the remedies follow."""
    return (state, NOTHING) if _stays_well(state, given.look, rules) else _weighed(state, given, rules)


def _weighed(state: CheckState, given: Result, rules: Rules) -> Outcome:
    """The long way, which every result can go."""
    state, cleared = _unknown(state, given)
    verdicts = _verdicts(given.look, state, rules)
    instances, notes, why = _count(state, verdicts, given, rules)
    if instances is not state.instances:
        state = dataclasses.replace(state, instances=instances)
    state, proven = _prove_itself(state, given, rules)
    return _follow(state, rules, given.ended_us, why, (*cleared, *notes, *proven), well=why)


def _stays_well(state: CheckState, look: Look, rules: Rules) -> bool:
    """Whether it is as well as it was, as nearly always, so that the long way would only come to the same."""
    if look.verdict is not Verdict.OK or look.instances or rules.fail_after.window:
        return False
    if state.mark is not None or state.climb is not None or state.unknown_since_us is not None:
        return False
    one = state.instances.get("")
    return (
        one is not None
        and len(state.instances) == 1
        and one.raw is Verdict.OK
        and one.hard is Verdict.OK
        and one.ok_run == rules.recover_after
        and not (one.calm_run or one.warn_run or one.crit_run or one.recent or one.absent)
        and one.warn_first_us is None
        and one.crit_first_us is None
        and _is_within(one, look, rules)
    )


def _is_within(one: Instance, look: Look, rules: Rules) -> bool:
    """Whether no bound speaks of it, and there is nothing new to remember for one that speaks of changes."""
    if not (rules.warn or rules.crit):
        return True
    verdict, _ = events.judge(look, rules, one)
    return verdict is Verdict.OK and events.remember(look, rules, one.remembered) == one.remembered


def _follow(
    state: CheckState, rules: Rules, at_us: int, why: str, decided: tuple[Decision, ...], *, well: str = ""
) -> Outcome:
    """Let the incident and the remedies follow what was decided."""
    state, incident = incidents.follow(state, rules, at_us, why, well=well)
    state, remedy = remediation.follow(state, rules, at_us, why)
    return state, (*decided, *incident, *remedy)


def _unknown(state: CheckState, given: Result) -> Outcome:
    inner = given.look.instances.values()
    if given.look.verdict is Verdict.UNKNOWN or any(one.verdict is Verdict.UNKNOWN for one in inner):
        if state.unknown_since_us is None:
            return dataclasses.replace(state, unknown_since_us=given.ended_us), NOTHING
        return state, NOTHING
    if state.unknown_since_us is None:
        return state, NOTHING
    after = dataclasses.replace(state, unknown_since_us=None, unknown_filed=False)
    if not state.unknown_filed:
        return after, NOTHING
    return after, (Decision(verb=Verb.RESOLVE_AGENT, why=f"{state.key} can be judged again"),)


def _verdicts(look: Look, state: CheckState, rules: Rules) -> Mapping[str, tuple[Verdict, str, Look]]:
    looks = look.instances or {"": look}
    if look.verdict is Verdict.UNKNOWN and not look.instances:
        looks = dict.fromkeys(state.instances, look) or looks
    return {name: (*events.judge(one, rules, state.instances.get(name, _NEW)), one) for name, one in looks.items()}


def _count(
    state: CheckState, verdicts: Mapping[str, tuple[Verdict, str, Look]], given: Result, rules: Rules
) -> tuple[Mapping[str, Instance], tuple[Decision, ...], str]:
    counted: dict[str, Instance] = {}
    notes: list[Decision] = []
    changed = len(verdicts) != len(state.instances)
    reasons: list[tuple[int, str]] = []
    for name, (verdict, reason, look) in verdicts.items():
        before = state.instances.get(name, _NEW)
        after = _counted(before, verdict, look, given.ended_us, state=state, rules=rules)
        counted[name] = after
        if verdict is not Verdict.OK:
            reasons.append((-verdict.weight, _words(name, look.summary, reason)))
        if after is not before:
            changed = True
            notes.extend(_notes(name, before, after, look, reason))
    gone, dropped = _vanished(state, verdicts, rules)
    notes.extend(dropped)
    why = "; ".join([text for _, text in sorted(reasons)[:5]] or [note.why for note in dropped] or [given.look.summary])
    instances = {**counted, **gone} if changed else state.instances
    return (state.instances if instances == state.instances else instances), tuple(notes), why


def _counted(
    before: Instance, verdict: Verdict, look: Look, at_us: int, *, state: CheckState, rules: Rules
) -> Instance:
    if state.parents:
        return events.seen(before, verdict, at_us)
    after = events.advance(before, verdict, at_us, rules)
    if verdict is not Verdict.UNKNOWN and (rules.warn or rules.crit):
        remembered = events.remember(look, rules, before.remembered)
        if remembered != after.remembered:
            after = dataclasses.replace(after, remembered=remembered)
    return after


def _words(instance: str, summary: str, reason: str) -> str:
    text = f"{summary} ({reason})" if reason else summary
    return f"{instance}: {text}" if instance and not summary.startswith(instance) else text


def _notes(name: str, before: Instance, after: Instance, look: Look, reason: str) -> list[Decision]:
    if after.hard is not before.hard:
        why = f"hard {after.hard}, was {before.hard}: {_words(name, look.summary, reason)}"
        return [Decision(verb=Verb.NOTE, why=why, instance=name, severity=after.hard, hard=True)]
    if after.raw is not before.raw:
        was = before.raw or "pending"
        why = f"{after.raw}, was {was}: {_words(name, look.summary, reason)}"
        return [Decision(verb=Verb.NOTE, why=why, instance=name, severity=after.raw)]
    return []


def _vanished(
    state: CheckState, verdicts: Mapping[str, object], rules: Rules
) -> tuple[dict[str, Instance], list[Decision]]:
    """Instances that the look no longer lists keep their state for `fail_after` results, then go."""
    kept: dict[str, Instance] = {}
    notes: list[Decision] = []
    for name, one in state.instances.items():
        if name in verdicts or (not name and one.raw is Verdict.UNKNOWN and one.hard is Verdict.OK):
            continue  # "" stood for all of them while none was known
        if state.parents:
            kept[name] = one
        elif one.absent + 1 < rules.fail_after.count:
            kept[name] = dataclasses.replace(one, absent=one.absent + 1)
        else:
            why = f"{name or 'the whole'} is gone: {rules.fail_after.count} results without it"
            notes.append(Decision(verb=Verb.NOTE, why=why, instance=name))
    return kept, notes


def _prove_itself(state: CheckState, given: Result, rules: Rules) -> Outcome:
    if state.climb is None or state.climb.phase is not Phase.VERIFYING or state.raw is None:
        return state, NOTHING
    proof = Proof(at_us=given.ended_us, key=state.key, verdict=state.raw, begun_us=given.begun_us)
    return remediation.weigh(state, proof, rules)


def _tick(state: CheckState, given: Tick, rules: Rules) -> Outcome:
    state, expired = remediation.expired(state, rules, given.at_us)
    state, asked = _follow(state, rules, given.at_us, STILL, ())
    since = state.unknown_since_us
    if since is None or state.unknown_filed or state.parents or state.silenced:
        return state, (*expired, *asked)
    if given.at_us - since < rules.unknown_after_seconds * MICROSECONDS:
        return state, (*expired, *asked)
    minutes = int(rules.unknown_after_seconds // 60)
    why = f"{state.key} could not be judged for {minutes} minutes: the probe cannot tell"
    filed = Decision(verb=Verb.OPEN_AGENT, why=why, severity=Verdict.WARNING)
    return dataclasses.replace(state, unknown_filed=True), (*expired, *asked, filed)


def _parents(state: CheckState, given: Parents) -> Outcome:
    if given.failing == state.parents:
        return state, NOTHING
    after = dataclasses.replace(state, parents=given.failing)
    if given.failing:
        note = Decision(verb=Verb.NOTE, why=f"suppressed: {', '.join(given.failing)} fails")
        return after, (note,)
    note = Decision(verb=Verb.NOTE, why="no longer suppressed")
    return _forget_soft(after), (note,)


def _window(state: CheckState, given: WindowEdge, rules: Rules) -> Outcome:
    if given.silenced == state.silenced:
        return state, NOTHING
    after = dataclasses.replace(state, silenced=given.silenced)
    if given.silenced:
        return after, (Decision(verb=Verb.NOTE, why=f"silenced by {given.silenced}"),)
    note = Decision(verb=Verb.NOTE, why=f"the silence {state.silenced} is over")
    return _follow(after, rules, given.at_us, "it failed while it was silenced", (note,))


def _reload(state: CheckState, given: Reload, rules: Rules) -> CheckState:
    """Other rules: hard states and incidents stand, counting begins anew, a ladder that is gone is left."""
    return remediation.readjust(_forget_soft(state), rules, given.at_us)


def _forget_soft(state: CheckState) -> CheckState:
    """Counters begin anew, and so does the time for which it cannot be judged; what is hard or filed stays."""
    instances = {
        name: dataclasses.replace(
            one, ok_run=0, calm_run=0, warn_run=0, crit_run=0, warn_first_us=None, crit_first_us=None, recent=""
        )
        for name, one in state.instances.items()
    }
    since = state.unknown_since_us if state.unknown_filed else None
    if instances == state.instances and since == state.unknown_since_us:
        return state
    return dataclasses.replace(state, instances=instances, unknown_since_us=since)


def is_grave(state: CheckState, given: Result, rules: Rules) -> bool:
    """Whether a result would be told or acted upon: then it had better be a failure of its own."""
    return any(one.verb in _GRAVE for one in step(state, given, rules)[1])


def wants_retry(state: CheckState) -> bool:
    """Whether the check is to be looked at every `retry_every`: on its way to hard or back, or proving a remedy."""
    if state.parents:
        return False
    if state.climb is not None and state.climb.phase is Phase.VERIFYING:
        return True
    return any(map(events.is_soft, state.instances.values()))


def wants_tick(state: CheckState) -> bool:
    """Whether time alone may decide something for it."""
    if state.unknown_since_us is not None and not state.unknown_filed:
        return True
    return state.climb is not None and state.climb.phase in {Phase.VERIFYING, Phase.REFUSED}
