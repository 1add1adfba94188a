"""A story told in letters: what a check gave, minute by minute, and what was decided about it."""

from collections.abc import Mapping
from typing import Any

from agent.model.check import RemedyRules, Rules, Threshold
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
from agent.model.look import NOTHING, Look, Measure, Result, Verdict
from agent.model.state import CheckState, Climb
from agent.practices.story import step

KEY = "shop/checks/storefront@web1"
OTHER = "shop/checks/basket@web1"
SECOND = 1_000_000
MINUTE = 60 * SECOND
START = 1_764_000_000 * SECOND
LETTERS: Mapping[str, Verdict] = {
    "o": Verdict.OK,
    "w": Verdict.WARNING,
    "c": Verdict.CRITICAL,
    "?": Verdict.UNKNOWN,
}
SIGNS: Mapping[Verb, str] = {
    Verb.NOTE: "",
    Verb.COMMENT: "",
    Verb.OPEN: "!",
    Verb.REOPEN: "+",
    Verb.WORSEN: "^",
    Verb.RESOLVE: "-",
    Verb.TRY_REMEDY: "T",
    Verb.REMEDY_PROVEN: "P",
    Verb.REMEDY_FAILED: "F",
    Verb.OPEN_AGENT: "A",
    Verb.RESOLVE_AGENT: "a",
}


def letter(verdict: Verdict | None) -> str:
    """The letter of a verdict; a dash when there is none."""
    return next((sign for sign, known in LETTERS.items() if known is verdict), "-")


def look(sign: str, summary: str = "seen", metrics: Mapping[str, Measure] = NOTHING) -> Look:
    """A look with the verdict of a letter."""
    return Look(verdict=LETTERS[sign], summary=summary, metrics=metrics)


def disks(**signs: str) -> Look:
    """A look at several instances; as a whole it is as bad as the worst."""
    inner = {name: look(sign, f"{name} is {sign}") for name, sign in signs.items()}
    worst = max(inner.values(), key=lambda one: one.verdict.weight)
    return Look(verdict=worst.verdict, summary=worst.summary, instances=inner)


def rules(**more: Any) -> Rules:
    """Rules of which only what is said differs from the defaults; `fail_after` may be a plain number."""
    if isinstance(fail := more.get("fail_after"), int):
        more["fail_after"] = Threshold(count=fail)
    return Rules(key=KEY, **more)


def remedied(*items: str, warn: tuple[str, ...] = (), attempts: int = 1, **more: Any) -> Rules:
    """Rules with remedies that are tried at critical, and at warning; hard at once."""
    own = {name: more.pop(name) for name in ("verify_within_seconds", "post_checks") if name in more}
    remedies = tuple(RemedyRules(item=item, attempts=attempts, **own) for item in dict.fromkeys((*items, *warn)))
    return rules(
        **{"fail_after": 1, "ladder_critical": items, "ladder_warning": warn, "remedies": remedies, **more},
    )


class Story:
    """One check, told step by step."""

    def __init__(self, its_rules: Rules, state: CheckState | None = None) -> None:
        self.rules = its_rules
        self.state = state or CheckState(key=KEY)
        self.at_us = START
        self.last: tuple[Decision, ...] = ()
        self.inputs: list[Input] = []

    def give(self, given: Input) -> str:
        """Any input; the signs of what was decided."""
        self.inputs.append(given)
        self.state, self.last = step(self.state, given, self.rules)
        return "".join(SIGNS[one.verb] for one in self.last)

    def see(self, signs: str, beat: int = MINUTE) -> str:
        """One result per letter, a minute apart: per letter what was decided, a dot for nothing."""
        told = []
        for sign in signs:
            decided = self.look(look(sign), beat)
            told.append(decided if len(decided) == 1 else f"[{decided}]" if decided else ".")
        return "".join(told)

    def look(self, seen: Look, beat: int = MINUTE) -> str:
        """One result; it took a second."""
        self.at_us += beat
        return self.give(Result(key=KEY, begun_us=self.at_us - SECOND, ended_us=self.at_us, look=seen))

    def hards(self, signs: str, beat: int = MINUTE) -> str:
        """The letter of the hard state after each result."""
        told = []
        for sign in signs:
            self.look(look(sign), beat)
            told.append(letter(self.state.hard))
        return "".join(told)

    def tick(self, later: int = SECOND) -> str:
        """Time passed."""
        self.at_us += later
        return self.give(Tick(at_us=self.at_us))

    def parents(self, *failing: str) -> str:
        """These parents fail now."""
        return self.give(Parents(at_us=self.at_us, failing=failing))

    def window(self, silenced: str) -> str:
        """A silence begins, or ends."""
        return self.give(WindowEdge(at_us=self.at_us, silenced=silenced))

    def start(self, exec_id: str = "X1") -> str:
        """The gates said yes."""
        return self.give(ActionStarted(at_us=self.at_us, exec_id=exec_id))

    def refuse(self, reason: str = "spent", **more: Any) -> str:
        """A gate said no."""
        return self.give(ActionRefused(**{"at_us": self.at_us, "gate": "budget", "reason": reason, **more}))

    def end(self, *, ok: bool = True, uncertain: bool = False, exec_id: str = "X1") -> str:
        """The play is over, a minute later."""
        self.at_us += MINUTE
        return self.give(
            ActionEnded(at_us=self.at_us, exec_id=exec_id, ok=ok, uncertain=uncertain, summary="the play is over")
        )

    def run(self, exec_id: str = "X1", **how: Any) -> str:
        """A play from its start to its end."""
        return self.start(exec_id) + self.end(exec_id=exec_id, **how)

    def proof(self, sign: str, key: str = OTHER, begun: int = 0) -> str:
        """A result of another check, begun `begun` after now."""
        begun_us = self.at_us + begun
        return self.give(Proof(at_us=begun_us + SECOND, key=key, verdict=LETTERS[sign], begun_us=begun_us))

    def person(self, verb: str) -> str:
        """A person does something to the incident."""
        return self.give(Person(at_us=self.at_us, verb=verb, who="oncall", why="so be it"))

    def reload(self, its_rules: Rules) -> str:
        """Other rules."""
        self.rules = its_rules
        return self.give(Reload(at_us=self.at_us))

    def gap(self) -> str:
        """Nobody was watching."""
        return self.give(Gap(at_us=self.at_us, from_us=0))

    @property
    def climb(self) -> Climb:
        """The ladder under way; there must be one."""
        assert self.state.climb is not None
        return self.state.climb

    def why(self, verb: Verb) -> str:
        """The words of the one decision of that kind just made."""
        (one,) = [decision for decision in self.last if decision.verb is verb]
        return one.why
