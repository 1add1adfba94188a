"""Whether looks came too late, as the agent notes it once a minute, and which hosts keep the others waiting."""

from typing import TYPE_CHECKING, Any, NamedTuple

from agent.cli.wording import plural, span
from agent.clock import MICROSECONDS, Clock

if TYPE_CHECKING:
    from agent.model.policy import PolicySet
    from agent.store.tx import Reader

FRESH_SECONDS = 180.0  # noted once a minute; older: no agent runs, or an earlier one did
LONG_SECONDS = 1.0  # a wait for a place that nobody needs to hear of
SHOWN = 5  # slow hosts by name


class Tally(NamedTuple):
    """The looks of one minute: how many, how many were left out for they came too late, the longest wait for a place."""

    at_us: int
    looked: int
    late: int
    wait_seconds: float

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        from agent.clock import rfc3339

        return {
            "at": rfc3339(self.at_us), "looked": self.looked, "late": self.late, "wait_seconds": self.wait_seconds,
            "says": in_words(self),
        }  # fmt: skip


class Slow(NamedTuple):
    """A host and how long the slowest of its last looks took."""

    host: str
    seconds: float


def last_minute(reader: "Reader", clock: Clock) -> Tally | None:
    """What the agent noted last; None when it noted nothing of late."""
    from agent.runtime.rota import TALLY
    from agent.store import looks

    seen = looks.latest(reader, [TALLY]).get(TALLY)
    if seen is None or clock.now() - seen.at_us > FRESH_SECONDS * MICROSECONDS:
        return None
    looked, late, wait = (_number(seen.metrics.get(name)) for name in ("looked", "late", "wait"))
    return Tally(seen.at_us, int(looked), int(late), wait)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def is_late(tally: Tally) -> bool:
    """Whether a person should hear of it."""
    return tally.late > 0


def slow_hosts(reader: "Reader", policies: "PolicySet", clock: Clock) -> list[Slow]:
    """The hosts whose last looks took so long that they are kept apart from the others, the slowest first."""
    from agent.model.check import host_of
    from agent.runtime.lanes import PATIENCE_SECONDS
    from agent.store import looks

    slowest: dict[str, float] = {}
    for key, seen in looks.latest(reader).items():
        host, took = host_of(key), _number(seen.metrics.get("time"))
        if (
            host is not None
            and host in policies.hosts
            and took > PATIENCE_SECONDS
            and clock.now() - seen.at_us < 3_600 * MICROSECONDS
        ):
            slowest[host] = max(took, slowest.get(host, 0.0))
    return sorted((Slow(host, took) for host, took in slowest.items()), key=lambda one: (-one.seconds, one.host))


def in_words(tally: Tally) -> str:
    """One line: what came too late."""
    waited = f", the longest wait {span(tally.wait_seconds)}" if tally.wait_seconds > LONG_SECONDS else ""
    if not is_late(tally):
        return f"{plural(tally.looked, 'look')} in the last minute, none left out{waited}"
    of = tally.looked + tally.late
    return f"{tally.late} of {plural(of, 'look')} in the last minute came too late and were left out{waited}"


def told(tally: Tally, slow: list[Slow]) -> tuple[str, str]:
    """What is so, with the slow hosts by name, and what to do about it; "" when nothing is."""
    from agent.runtime import lanes

    named = ", ".join(f"{one.host} ({span(one.seconds)})" for one in slow[:SHOWN])
    more = f" and {len(slow) - SHOWN} more" if len(slow) > SHOWN else ""
    says = in_words(tally) + (f"; slow: {named}{more}" if slow else "; no host is slow" if is_late(tally) else "")
    if not is_late(tally):
        return says, ""
    limits = (
        f"{lanes.AT_ONCE} looks go on at once, {lanes.SUBNET_AT_ONCE} of them in one subnet, "
        f"and {lanes.SLOW_AT_ONCE} at slow hosts"
    )
    mend = "give the checks of the slow hosts a shorter `timeout`, or a longer `every`" if slow else (
        "give the checks a longer `every`, or the agent more processor"
    )  # fmt: skip
    return says, f"{mend} ({limits})"
