"""Doubts: what a failure asks before it is believed. Is its host there at all, and does what it needs still work?"""

from collections.abc import Container, Sequence

from agent.model.check import Check, host_of, reach_key
from agent.model.host import Host
from agent.model.look import Result, Verdict
from agent.practices import story
from agent.runtime.book import Book


class Doubts:
    """Decides who is looked at once more, and who is not looked at in vain."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def within_reach(self, host: Host | None, checks: Sequence[Check]) -> Sequence[Check]:
        """A check that the agent makes itself is left out while its host cannot be reached: its last value stands."""
        if host is None or not host.is_remote or not self._book.state(reach := reach_key(host.name)).is_failing:
            return checks
        return [check for check in checks if check.kind == "reach" or reach not in check.rules.needs]

    def of_host(self, host: Host | None, results: Sequence[Result]) -> Sequence[Check]:
        """A failure seen from here is first a question about the host: its connection, where nobody has asked yet."""
        reach = self._book.policies.checks.get(reach_key(host.name)) if host is not None else None
        if reach is None or any(result.key == reach.key for result in results):
            return ()
        return [reach] if any(result.look.verdict is Verdict.CRITICAL for result in results) else ()

    def of_parents(self, result: Result, asked: Container[str]) -> Sequence[Check]:
        """A failure that would be told or acted upon is a question to its parents on the same host, while all seem well.

        They were looked at before it, perhaps an hour ago, and may have begun to fail since.
        """
        rules = self._book.rules(result.key)
        if rules is None or self._book.failing_parents(result.key):
            return ()
        parents = [key for key in rules.needs if key not in asked and self._is_near(key, result)]
        if not parents or not story.is_grave(self._book.state(result.key), result, rules):
            return ()
        return [self._book.policies.checks[key] for key in parents]

    def _is_near(self, key: str, result: Result) -> bool:
        """Whether that one can be asked in the same breath: others' hosts may be looked at just now, by somebody else."""
        parent = self._book.policies.checks.get(key)
        if parent is None or parent.host is None or parent.host != host_of(result.key) or parent.kind == "reach":
            return False
        return (parent.paused_until_us or 0) <= result.ended_us
