"""Events: what a look means under the bounds, and when bad is hard (soft → hard, per severity, per instance)."""

import dataclasses

from agent.model.bounds import Bound, Bounds, Relation
from agent.model.check import Rules, Threshold
from agent.model.look import Look, Measure, Unit, Verdict
from agent.model.spelling import spelled
from agent.model.state import Instance

_LETTERS = {Verdict.OK: "o", Verdict.WARNING: "w", Verdict.CRITICAL: "c"}
_WORDS = {
    Unit.SECONDS: "a time", Unit.BYTES: "a size", Unit.SHARE: "a share", Unit.PER_SECOND: "a rate",
    Unit.BITS_PER_SECOND: "bits per second", Unit.NUMBER: "a bare number", Unit.TEXT: "a word",
}  # fmt: skip
MICROSECONDS = 1_000_000


def judge(look: Look, rules: Rules, before: Instance) -> tuple[Verdict, str]:
    """The verdict of a look under the rules, and why when a bound decided it ("" when the probe's own verdict stands)."""
    if look.verdict is Verdict.UNKNOWN or not (rules.crit or rules.warn):
        return look.verdict, ""
    if look.verdict is Verdict.CRITICAL:
        return Verdict.CRITICAL, ""
    if rules.crit and (why := tripped(rules.crit, look, before)):
        return Verdict.CRITICAL, why
    if look.verdict is Verdict.WARNING:
        return Verdict.WARNING, ""
    if rules.warn and (why := tripped(rules.warn, look, before)):
        return Verdict.WARNING, why
    if look.units and (why := _incomparable((*rules.crit, *rules.warn), look)):
        return Verdict.UNKNOWN, why
    return Verdict.OK, ""


def tripped(bounds: Bounds, look: Look, before: Instance) -> str:
    """The first bound that trips, in words; "" when none does. A metric that was not measured trips nothing."""
    for name, alternatives in bounds:
        value = look.metrics.get(name)
        if value is None:
            continue
        for bound in alternatives:
            if _trips(bound, name, value, look, before) and not _clashes(bound, name, look):
                unit = look.units.get(name, bound.unit)
                return f"{name} is {spelled(value, unit)}, {bound.text} trips"
    return ""


def _incomparable(bounds: Bounds, look: Look) -> str:
    """The first bound that speaks of another unit than the metric, in words; "" when none does."""
    for name, alternatives in bounds:
        for bound in alternatives:
            if _clashes(bound, name, look):
                return f"{name} is measured as {_WORDS[look.units[name]]}: {bound.text} does not fit it"
    return ""


def _clashes(bound: Bound, name: str, look: Look) -> bool:
    """Whether the look itself names a unit (its probe knows none before) that the bound cannot be compared with.

    A bare number means a metric's own unit, but not of a share: 20 may be 20 %, or 2000 %.
    """
    unit = look.units.get(name)
    if unit is None or bound.relation is Relation.CHANGED:
        return False
    wanted = look.units.get(bound.other) if bound.other is not None else bound.unit
    if wanted is None or wanted is unit:
        return False
    if Unit.TEXT in {wanted, unit} and bound.relation in {Relation.IS, Relation.NOT}:
        return False  # a word is not a number, and that is all that was asked
    return wanted is not Unit.NUMBER or unit in {Unit.SHARE, Unit.TEXT}


def _trips(bound: Bound, name: str, value: Measure, look: Look, before: Instance) -> bool:
    if bound.relation is Relation.CHANGED:
        last = dict(before.remembered).get(name)
        return last is not None and last != str(value)
    if bound.relation in {Relation.INSIDE, Relation.OUTSIDE}:
        inside = isinstance(value, float | int) and bound.low <= value <= bound.high
        return inside is (bound.relation is Relation.INSIDE)
    operand = bound.operand if bound.other is None else look.metrics.get(bound.other)
    if operand is None:
        return False
    if bound.relation is Relation.IS:
        return value == operand
    if bound.relation is Relation.NOT:
        return value != operand
    if isinstance(value, str) or isinstance(operand, str):
        return False
    return _compares(bound.relation, value, operand)


def _compares(relation: Relation, value: float, operand: float) -> bool:
    if relation is Relation.ABOVE:
        return value > operand
    if relation is Relation.BELOW:
        return value < operand
    if relation is Relation.AT_LEAST:
        return value >= operand
    return value <= operand


def remember(look: Look, rules: Rules, before: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The metrics that a `changed` bound will want to know next time; one that was not measured stays as it was."""
    names = dict.fromkeys(
        name
        for name, alternatives in (*rules.crit, *rules.warn)
        if any(bound.relation is Relation.CHANGED for bound in alternatives)
    )
    if not names:
        return ()  # as for nearly all
    known = dict(before) | {name: str(value) for name, value in look.metrics.items()}
    return tuple((name, known[name]) for name in names if name in known)


def advance(one: Instance, verdict: Verdict, at_us: int, rules: Rules) -> Instance:
    """Count one result. The same object comes back when nothing changed."""
    if verdict is Verdict.UNKNOWN:
        return seen(one, verdict, at_us)
    fail, recover = rules.fail_after, rules.recover_after
    is_critical, is_bad = verdict is Verdict.CRITICAL, verdict is not Verdict.OK
    calm = verdict.weight < one.hard.weight
    counted = (
        verdict,
        0 if is_bad else recover if one.hard is Verdict.OK else min(one.ok_run + 1, recover),  # well: one is enough
        min(one.calm_run + 1, recover) if calm else 0,
        min(one.warn_run + 1, fail.count) if is_bad else 0,
        min(one.crit_run + 1, fail.count) if is_critical else 0,
        (one.warn_first_us or at_us) if is_bad else None,
        (one.crit_first_us or at_us) if is_critical else None,
        (one.recent + _LETTERS[verdict])[-fail.window :] if fail.window else "",
        0,
    )
    if counted == (
        one.raw, one.ok_run, one.calm_run, one.warn_run, one.crit_run,
        one.warn_first_us, one.crit_first_us, one.recent, one.absent,
    ):  # fmt: skip
        return _settled(one, one, at_us, rules)
    after = dataclasses.replace(
        seen(one, verdict, at_us),
        ok_run=counted[1], calm_run=counted[2], warn_run=counted[3], crit_run=counted[4],
        warn_first_us=counted[5], crit_first_us=counted[6], recent=counted[7], absent=0,
    )  # fmt: skip
    return _settled(one, after, at_us, rules)


def seen(one: Instance, verdict: Verdict, at_us: int) -> Instance:
    """Show a result without counting it: an unknown, or one that came while a parent fails."""
    if one.raw is verdict:
        return one
    return dataclasses.replace(one, raw=verdict, since_us=at_us)


def _settled(before: Instance, after: Instance, at_us: int, rules: Rules) -> Instance:
    hard = _hard(after, at_us, rules)
    if hard is before.hard:
        return after
    return dataclasses.replace(after, hard=hard, hard_since_us=at_us, calm_run=0)


def _hard(one: Instance, at_us: int, rules: Rules) -> Verdict:
    fail = rules.fail_after
    if _reached(fail, one.crit_run, one.crit_first_us, one.recent.count("c"), at_us):
        return Verdict.CRITICAL
    warned = _reached(fail, one.warn_run, one.warn_first_us, len(one.recent) - one.recent.count("o"), at_us)
    if one.hard is Verdict.OK:
        return Verdict.WARNING if warned else Verdict.OK
    if one.raw is Verdict.OK and one.ok_run >= rules.recover_after and not warned:
        return Verdict.OK
    if one.hard is Verdict.CRITICAL and one.raw is not Verdict.CRITICAL and one.calm_run >= rules.recover_after:
        return Verdict.WARNING
    return one.hard


def _reached(fail: Threshold, run: int, first_us: int | None, in_window: int, at_us: int) -> bool:
    if fail.window is not None:
        return in_window >= fail.count
    if fail.seconds is not None:
        return first_us is not None and at_us - first_us >= fail.seconds * MICROSECONDS
    return run >= fail.count


def is_soft(one: Instance) -> bool:
    """Whether it is on its way: bad and not yet hard, or hard and on its way back."""
    return one.raw is not None and one.raw is not Verdict.UNKNOWN and one.raw is not one.hard
