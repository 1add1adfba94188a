"""Drift: whether a device's configuration is another one than was accepted, and what follows. Pure."""

import dataclasses
import enum

from agent.model.device import Baseline, Reaction, Revision

LINES_TOLD = 5


class Verb(enum.StrEnum):
    """What is to be done about a reading."""

    NOTHING = "nothing"
    ACCEPT = "accept"  # the first one, or a change that was to be
    NOTE = "note"
    OPEN = "open"
    WORSEN = "worsen"  # another change, while the incident about the first one is open
    SETTLE = "settle"  # the incident has no cause any more


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What follows from a reading, what is known from now on, and why."""

    verb: Verb
    baseline: Baseline
    why: str


def judge(known: Baseline | None, seen: Revision, *, reaction: Reaction, window: str, has_incident: bool) -> Judgement:
    """What follows from a reading; `window` is one for changes that was open since the last reading, "" when none was."""
    if known is None:
        first = Baseline(accepted=seen.content, current=seen.content, read_at_us=seen.at_us, commit=seen.commit)
        return Judgement(verb=Verb.ACCEPT, baseline=first, why="seen for the first time: this is what is accepted")
    read = dataclasses.replace(known, current=seen.content, read_at_us=seen.at_us, commit=seen.commit)
    if seen.content == known.accepted:
        settled = dataclasses.replace(read, drifted="")
        if known.drifted:
            return Judgement(verb=Verb.SETTLE, baseline=settled, why="its configuration is as it was accepted again")
        return Judgement(verb=Verb.NOTHING, baseline=settled, why="as it was accepted")
    accepted = dataclasses.replace(read, accepted=seen.content, drifted="")
    if seen.content != known.current and seen.since == known.commit and not seen.is_change:
        same = dataclasses.replace(read, drifted=seen.content) if known.drifted else accepted
        return Judgement(verb=Verb.NOTHING, baseline=same, why="the same as before, seen through other rules")
    if seen.content == known.current:
        return _standing(read, accepted, reaction, has_incident=has_incident)
    return _changed(accepted, known, seen, reaction, window, has_incident=has_incident)


def _standing(read: Baseline, accepted: Baseline, reaction: Reaction, *, has_incident: bool) -> Judgement:
    """Nothing new since the last reading, but another one than accepted."""
    if reaction is not Reaction.INCIDENT:
        return Judgement(verb=Verb.SETTLE, baseline=accepted, why="the policy takes changes as they come")
    if not has_incident:
        return Judgement(verb=Verb.ACCEPT, baseline=accepted, why="accepted with the end of its incident")
    return Judgement(verb=Verb.NOTHING, baseline=read, why="still as it was changed")


def _changed(
    accepted: Baseline, known: Baseline, seen: Revision, reaction: Reaction, window: str, *, has_incident: bool
) -> Judgement:
    what = in_words(seen)
    if window or reaction is Reaction.NONE:
        why = f"changed within the window {window}: {what}" if window else f"changed: {what}"
        return Judgement(verb=Verb.SETTLE if has_incident else Verb.ACCEPT, baseline=accepted, why=why)
    why = f"changed outside a window for changes: {what}"
    drift = dataclasses.replace(
        accepted, drift_at_us=seen.at_us, drift_lines=seen.lines[:LINES_TOLD], drift_commit=seen.commit
    )
    if reaction is Reaction.NOTE:
        return Judgement(verb=Verb.NOTE, baseline=drift, why=why)
    standing = dataclasses.replace(drift, accepted=known.accepted, drifted=seen.content)
    return Judgement(verb=Verb.WORSEN if has_incident else Verb.OPEN, baseline=standing, why=why)


def in_words(seen: Revision) -> str:
    """The change of a revision: how many lines, and the first of them."""
    if not seen.lines:
        return "the lines are in its history"
    more = len(seen.lines) > LINES_TOLD or seen.added + seen.removed > len(seen.lines)
    told = "; ".join(seen.lines[:LINES_TOLD]) + ("; …" if more else "")
    return f"{seen.added} lines came, {seen.removed} went: {told}"
