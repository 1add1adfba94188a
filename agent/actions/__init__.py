"""One file per way to change something. An action says whether it changes anything, and can be rehearsed.

An action never runs in our process: it makes the packet for a shim, and later reads what the run left behind.
Gates, leases, budgets and records are wrapped around it by `agent.runtime`; it knows nothing of them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from agent.registry import stamp

if TYPE_CHECKING:  # the program in the shim passes through here, and has no use for the clock and its asyncio
    from agent.transports.child import Ended, Lost, Packet

FAMILY = "action"
Class = TypeVar("Class", bound=type)


class Outcome(Protocol):
    """How a run ended, as far as the run itself can know: whether it helped, only a check can tell."""

    @property
    def ok(self) -> bool:
        """Whether it did all it was asked to do, everywhere."""

    @property
    def started(self) -> bool:
        """Whether it touched a host at all; what failed before that may be tried again."""

    @property
    def summary(self) -> str:
        """One line for people."""


class Action(Protocol):
    """What every action class carries; `Any` is the action's own frozen value (for a playbook: `Play`)."""

    CHANGES: ClassVar[bool]  # False: it only looks or collects, and needs no rehearsal

    @staticmethod
    def rehearse(what: Any, /) -> Any:
        """The same, so that it changes nothing and tells what it would change."""

    @staticmethod
    def packet(what: Any, /, **places: Any) -> "Packet":
        """What the shim is to run; raises InputError before anything has started."""

    @staticmethod
    def outcome(run_dir: Path, ended: "Ended | Lost", /) -> Outcome:
        """What happened, from what the run left in its folder."""


def action(name: str) -> Callable[[Class], Class]:
    """Stamp a class as the action of this name."""
    return stamp(FAMILY, name)
