"""How `doctor` asks every host whether it answers: each by the ways that its checks use, many at a time."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Self

from agent.clock import Clock, Deadline
from agent.errors import WatchkeeperError

if TYPE_CHECKING:
    from agent.checks import Target
    from agent.checks.asking import SnmpAccess
    from agent.model.host import Host
    from agent.model.policy import PolicySet

AT_ONCE = 32  # hosts asked at a time: a thousand, with a tenth of them dead, take a minute
SHELL_SECONDS = 15.0
DEVICE_SECONDS = 30.0  # a command line of a network device may take 20 s to be there
SNMP_SECONDS = 6.0
_UPTIME = "1.3.6.1.2.1.1.3.0"  # every agent has it (RFC 3418)


class Answer(NamedTuple):
    """What came of asking one host in one way; `mend` is what to do when it did not answer."""

    is_there: bool
    says: str
    mend: str = ""


class Question(NamedTuple):
    """Whom to ask, and how: `ask` blocks until it knows, and returns what to say, or raises WatchkeeperError."""

    host: str
    ask: Callable[[], str]


class Lines:
    """The connections of one examination; use it as a context."""

    def __init__(self, policies: "PolicySet", clock: Clock) -> None:
        from agent.model.host import Connection
        from agent.secrets import Secrets
        from agent.transports.device import device_pool
        from agent.transports.ssh import SshPool

        known_hosts, self._secrets = policies.config.state / "known_hosts", Secrets(policies.config.secrets)
        self._clock = clock
        self._policies = policies
        self._pools: dict[Connection, tuple[SshPool, str, float]] = {
            Connection.SSH: (SshPool(known_hosts, clock), ":", SHELL_SECONDS),
            Connection.NETWORK_CLI: (device_pool(known_hosts, clock, self._secrets.resolve), "", DEVICE_SECONDS),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for line in self._pools.values():
            line[0].close()

    def questions(self) -> list[Question]:
        """One for each line that something goes over, one for each SNMP agent that a check asks."""
        return [*self._shells(), *self._agents()]

    def _shells(self) -> Iterator[Question]:
        from agent.model.check import reach_key

        named = {backup.host for backup in self._policies.backups.values()}
        named |= {one.host for recovery in self._policies.recoveries.values() for one in recovery.scratch}
        for host in self._policies.hosts.values():
            is_entered = host.name in named or reach_key(host.name) in self._policies.checks
            if host.connection in self._pools and is_entered:
                yield Question(host.name, partial(self._log_in, host))

    def _log_in(self, host: "Host") -> str:
        pool, idle, seconds = self._pools[host.connection]
        pool.run_batch(host, [(idle, seconds / 2)], Deadline.after(self._clock, seconds))
        return f"{host.name} answers with its pinned key"

    def _agents(self) -> Iterator[Question]:
        from agent.checks import Target
        from agent.checks.asking import SnmpAccess

        asked: set[tuple[str | None, str]] = set()
        for check in self._policies.checks.values():
            access = getattr(check.options, "access", None)
            if not isinstance(access, SnmpAccess) or (check.host, access.model_dump_json()) in asked:
                continue
            asked.add((check.host, access.model_dump_json()))
            host = self._policies.hosts.get(check.host or "")
            target = Target(
                host=check.host, address=host.address if host else None, variables=host.variables if host else {},
                secrets=self._secrets,
            )  # fmt: skip
            name = check.host or access.host or check.key
            yield Question(name, partial(self._greet, name, target, access))

    def _greet(self, name: str, target: "Target", given: "SnmpAccess") -> str:
        return asyncio.run(self._get(name, target, given))

    async def _get(self, name: str, target: "Target", given: "SnmpAccess") -> str:
        from agent.checks.asking import access_of, session
        from agent.transports.snmp import ber
        from agent.transports.snmp.hub import Hub

        hub = Hub()
        try:
            with_hub = dataclasses.replace(target, snmp=hub)
            access = access_of(with_hub, given)
            await session(with_hub, access, Deadline.after(self._clock, SNMP_SECONDS)).get([ber.oid(_UPTIME)])
        finally:
            hub.close()
        return f"{name} answers by SNMP ({'v3' if access.user else 'v2c'}, {access.address} port {access.port})"


def ask(questions: Sequence[Question], told: Callable[[int, int], None]) -> Iterator[Answer]:
    """Ask all of them, `AT_ONCE` at a time; the answers as they come. `told` hears how many of how many are in."""
    threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ask")
    try:
        told(0, len(questions))
        asked = [threads.submit(_answer, question) for question in questions]
        for done, future in enumerate(as_completed(asked), start=1):
            told(done, len(asked))
            yield future.result()
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


def _answer(question: Question) -> Answer:
    try:
        return Answer(is_there=True, says=question.ask())
    except WatchkeeperError as error:
        name = "" if str(error).startswith(question.host) else f"{question.host}: "
        return Answer(is_there=False, says=f"{name}{error}", mend=error.hint)
