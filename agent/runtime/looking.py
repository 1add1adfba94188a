"""One look at everything that is due on one host over one transport; a sick host is a result, never an exception."""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from agent.checks import Shape, Target, is_instant, offers, recalls
from agent.checks.reading import told
from agent.clock import MICROSECONDS, Clock, Deadline
from agent.errors import HostKeyError, TransportError, WatchkeeperError
from agent.model.check import Check, RunFrom, reach_key
from agent.model.host import Connection, Host
from agent.model.look import Look, Result, Section, Unit, Verdict
from agent.runtime.memories import Memories
from agent.runtime.scripts import Scripts
from agent.runtime.workers import Workers, guard, guarded
from agent.transports import local
from agent.transports.beats import patience

CONNECT_SECONDS = 20.0  # for the login that may come before the first script
GRACE_SECONDS = 2.0  # a probe keeps its own time; this is for those that fail to
_NOTHING = Target(host=None, address=None)
# The shape of what goes over a host's line, and what is said there only to see whether somebody answers.
_LINES: Mapping[Connection, tuple[Shape, str]] = MappingProxyType(
    {Connection.SSH: ("script", ":"), Connection.NETWORK_CLI: ("command", "")}
)

Asked = Sequence[tuple[str, float]]


class Pool(Protocol):
    """Kept connections to hosts."""

    def run_batch(self, host: Host, scripts: Asked, deadline: Deadline) -> list[Section]:
        """All scripts in one round trip."""


class Looker:
    """Looks; knows the shapes of probes, and nothing of what the results mean."""

    def __init__(  # noqa: PLR0913  all that a look may need
        self,
        *,
        probes: Mapping[str, type],
        pools: Mapping[Connection, Pool],
        workers: Workers,
        clock: Clock,
        inner: Mapping[str, Callable[[Check], Look]],
        means: Target = _NOTHING,
        memories: Memories | None = None,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._probes: Mapping[str, Any] = probes
        self._instant = frozenset(kind for kind, probe in probes.items() if is_instant(probe))
        self._glances = _glances(probes)
        self._recalling = frozenset(kind for kind, probe in probes.items() if recalls(probe))
        self._scripts = Scripts(probes)
        self._pools = pools
        self._workers = workers
        self._clock = clock
        self._inner = inner
        self._memories = memories or Memories(clock)
        self._connect_seconds = connect_seconds
        self._means = means  # what the agent has to ask with, for every target

    async def look(self, host: Host | None, checks: Sequence[Check]) -> list[Result]:
        """Everything that is due: what the agent sees itself, and what goes over the host's line, in one batch."""
        lined: list[Check] = []
        parts: list[Coroutine[Any, Any, list[Result]]] = []
        results: list[Result] = []
        is_reaching = False
        for check in checks:
            if check.kind == "reach":
                is_reaching = True
            elif self._goes_over_line(host, check):
                lined.append(check)
            elif check.kind in self._glances:
                results.append(self._at_once(check))
            else:
                parts.append(self._alone(host, check))
        if host is not None and (lined or is_reaching):
            parts.append(self._over_line(host, lined))
        found = await asyncio.gather(*parts) if len(parts) > 1 else [await part for part in parts]
        for some in found:
            results += some
        return results

    def _at_once(self, check: Check) -> Result:
        begun_us, begun_ns = self._clock.now(), self._clock.boottime()
        given = (check.options, *self._recalled(check))
        found = guarded(check.key, self._glances[check.kind], *given, otherwise=_cannot_tell)
        return self._result(check, found, begun_us, begun_ns)

    def _goes_over_line(self, host: Host | None, check: Check) -> bool:
        if host is None or host.connection not in _LINES or check.run_from is not RunFrom.HOST:
            return False
        return check.kind in self._probes and offers(self._probes[check.kind], _LINES[host.connection][0])

    async def _alone(self, host: Host | None, check: Check) -> list[Result]:
        begun_us, begun_ns = self._clock.now(), self._clock.boottime()
        limit = check.timeout_seconds + GRACE_SECONDS
        found = await guard(
            check.key, self._timely(host, check, limit), otherwise=lambda error: _cannot_tell(error, limit)
        )
        return [self._result(check, found, begun_us, begun_ns)]

    async def _timely(self, host: Host | None, check: Check, limit: float) -> Look:
        with patience(limit):  # wait_for would make a task of every look, asyncio.timeout a timer
            return await self._one(host, check)

    async def _one(self, host: Host | None, check: Check) -> Look:
        if check.kind in self._inner:
            return await self._workers.look(self._inner[check.kind], check)
        probe = self._probes[check.kind]
        if check.run_from is RunFrom.AGENT and offers(probe, "reach"):
            deadline = Deadline.after(self._clock, check.timeout_seconds)
            found: Look = await probe.reach(self._target(host, check), check.options, deadline)
            return found
        if offers(probe, "look"):
            seen: Look = await self._workers.look(probe.look, check.options, *self._recalled(check))
            return seen
        return await self._workers.look(self._locally, probe, check)

    def _target(self, host: Host | None, check: Check) -> Target:
        memory, means = self._memories.recall(check), self._means
        if host is None:
            return dataclasses.replace(means, memory=memory)
        return Target(
            host=host.name, address=host.address, variables=host.variables, memory=memory,
            secrets=means.secrets, snmp=means.snmp,
        )  # fmt: skip

    def _recalled(self, check: Check) -> tuple[Any, ...]:
        return (self._memories.recall(check),) if check.kind in self._recalling else ()

    def _locally(self, probe: Any, check: Check) -> Look:
        deadline = Deadline.after(self._clock, check.timeout_seconds + GRACE_SECONDS / 2)
        [section] = local.run_batch([(self._script(check), check.timeout_seconds)], deadline)
        found: Look = probe.read(section, check.options, *self._recalled(check))
        return found

    async def _over_line(self, host: Host, checks: Sequence[Check]) -> list[Result]:
        begun_us, begun_ns = self._clock.now(), self._clock.boottime()
        asked = [
            (self._question(host, one), 0.0 if one.kind in self._instant else one.timeout_seconds) for one in checks
        ]
        deadline = Deadline.after(self._clock, self._connect_seconds + sum(one.timeout_seconds for one in checks))
        pool, idle = self._pools[host.connection], _LINES[host.connection][1]
        try:
            sections = await self._workers.look(pool.run_batch, host, asked or [(idle, 5.0)], deadline)
        except TransportError as error:
            return [self._reached(host, _unreachable(error), begun_us, begun_ns)]
        except WatchkeeperError as error:
            unclear = _cannot_tell(error)
            results = [self._result(check, unclear, begun_us, begun_ns) for check in checks]
            return [self._reached(host, unclear, begun_us, begun_ns), *results]
        seen = Look(verdict=Verdict.OK, summary=f"{host.name} answers")
        results = [self._reached(host, seen, begun_us, begun_ns)]
        is_device = host.connection is Connection.NETWORK_CLI
        for check, section in zip(checks, sections, strict=False):
            found = await self._parsed(host, check, section) if is_device else self._read(check, section)
            results.append(self._result(check, found, begun_us, begun_ns))
        return results

    def _question(self, host: Host, check: Check) -> str:
        if host.connection is not Connection.NETWORK_CLI:
            return self._script(check)
        command: str = self._probes[check.kind].command(check.options)
        return command

    def _script(self, check: Check) -> str:
        return self._scripts.of(check, *self._recalled(check))

    def _read(self, check: Check, section: Section) -> Look:
        read = self._probes[check.kind].read
        return guarded(check.key, read, section, check.options, *self._recalled(check), otherwise=_cannot_tell)

    async def _parsed(self, host: Host, check: Check, section: Section) -> Look:
        from agent.transports.device import platform  # the templates of devices are slow, and not ours

        parsing = self._workers.look(self._probes[check.kind].read, section, check.options, platform(host))
        parsed: Look = await guard(check.key, parsing, otherwise=_cannot_tell)
        return parsed

    def _reached(self, host: Host, look: Look, begun_us: int, begun_ns: int) -> Result:
        return self._stamped(reach_key(host.name), look, begun_us, begun_ns)

    def _result(self, check: Check, look: Look, begun_us: int, begun_ns: int) -> Result:
        if look.memory is not None:
            self._memories.keep(check, look.memory)
        return self._stamped(check.key, look, begun_us, begun_ns)

    def _stamped(self, key: str, look: Look, begun_us: int, begun_ns: int) -> Result:
        took_us = (self._clock.boottime() - begun_ns) // 1_000
        metrics = look.metrics if "time" in look.metrics else {**look.metrics, "time": took_us / MICROSECONDS}
        if metrics is not look.metrics or look.memory is not None:
            look = Look(
                verdict=look.verdict, summary=look.summary, metrics=metrics,
                units=look.units, instances=look.instances, evidence=look.evidence,
            )  # fmt: skip
        return Result(key=key, begun_us=begun_us, ended_us=begun_us + took_us, look=look)


def _glances(probes: Mapping[str, Any]) -> Mapping[str, Callable[..., Look]]:
    return {kind: probe.look for kind, probe in probes.items() if is_instant(probe) and offers(probe, "look")}


def _unreachable(error: TransportError) -> Look:
    failure = "host-key" if isinstance(error, HostKeyError) else "transport"
    return told(
        Verdict.CRITICAL, str(error), metrics={"failure": failure}, units={"failure": Unit.TEXT}, evidence=error.hint
    )


def _cannot_tell(error: Exception, limit: float = 0.0) -> Look:
    if isinstance(error, WatchkeeperError):  # it knows what is wrong, and what to type next
        return told(Verdict.UNKNOWN, str(error), evidence=error.hint)
    words = str(error) or (f"nothing within {limit:g} s" if isinstance(error, TimeoutError) else type(error).__name__)
    return told(Verdict.UNKNOWN, f"the probe broke: {words}")
