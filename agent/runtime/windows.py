"""The windows in force: which of them silences a check now, and whether any has opened or closed since the last question."""

from agent.model.check import Check
from agent.model.policy import PolicySet
from agent.practices import calendar
from agent.runtime.book import Book


class Windows:
    """Asks the calendar once for each window, not once for each check: thousands of checks may share a window."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._policies: PolicySet | None = None
        self._open: tuple[str, ...] = ()

    def have_turned(self, now_us: int) -> bool:
        """Whether other windows are open than at the last `turn`, or other policies are in force."""
        policies = self._book.policies
        if policies is not self._policies:
            return bool(policies.windows or self._open)
        return bool(policies.windows) and self._now_open(now_us) != self._open

    def turn(self, now_us: int) -> None:
        """Take note of what is open now."""
        self._policies, self._open = self._book.policies, self._now_open(now_us)

    def silence(self, check: Check, now_us: int) -> str:
        """The id of the window that silences a check now, or ""."""
        windows = self._book.policies.windows
        return calendar.silence(windows, check.service, check.host, now_us) if windows else ""

    def _now_open(self, now_us: int) -> tuple[str, ...]:
        return tuple(window.item for window in self._book.policies.windows if calendar.is_open(window, now_us))
