"""Questions to one SNMP agent: values by GET, tables by GETBULK; rows, bytes and time are bounded."""

import dataclasses
from collections.abc import Sequence

from agent.clock import Deadline
from agent.errors import OutputLimitError, TransportError
from agent.transports.snmp import ber, message, usm
from agent.transports.snmp.ber import Cell, MalformedError, Varbind
from agent.transports.snmp.hub import Hub, Line, Read
from agent.transports.snmp.message import StatusError
from agent.transports.snmp.usm import Engine, ReportError, User

MOST_CELLS = 50_000  # 4,000 interfaces in twelve columns; about 12 MB
MOST_BYTES = 4_000_000
_BYTES_AT_ONCE = 1_400  # fills an Ethernet frame; more would travel in fragments, which firewalls drop
_BYTES_PER_CELL = 24.0  # at first; then as it was in the answer before
_NAMES_AT_ONCE = 30
_REDISCOVERIES = 3  # to be told the engine, its clock, and once more if it restarts just now

Column = dict[bytes, Cell]  # by the rest of the name after the column's own: the row's index


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Where an agent listens, and by what it lets us in: a community (v2c), or a user (v3)."""

    address: str
    port: int = 161
    community: str | None = dataclasses.field(default=None, repr=False)
    user: User | None = None


class Session:
    """One look's questions, over the kept line to the agent."""

    def __init__(self, hub: Hub, access: Access, deadline: Deadline, *, most_cells: int = MOST_CELLS) -> None:
        self._hub = hub
        self._access = access
        self._deadline = deadline
        self._heard = 0
        self._cells = 0
        self._most_cells = most_cells

    async def get(self, names: Sequence[bytes]) -> list[Cell]:
        """The values of these names, in their order; one that is not there has a tag of ABSENT."""
        found: list[Cell] = []
        for first in range(0, len(names), _NAMES_AT_ONCE):
            some = tuple(names[first : first + _NAMES_AT_ONCE])
            try:
                answer = await self._ask(message.get(some))
            except StatusError as error:
                raise self._error(str(error)) from error
            if len(answer) != len(some) or any(one[0] != name for one, name in zip(answer, some, strict=True)):
                raise self._error("it answers what was not asked")
            found += [(tag, content) for _, tag, content in answer]
        return found

    async def table(self, columns: Sequence[bytes]) -> list[Column]:
        """These columns, side by side; an empty one is not there.

        One that comes back to where it was, or does not end within the limits, is an error: it would never end.
        """
        found: list[Column] = [{} for _ in columns]
        last = dict(enumerate(columns))
        per_cell, most = _BYTES_PER_CELL, _BYTES_AT_ONCE
        while last:
            active, heard = list(last), self._heard
            repetitions = max(1, int(min(_BYTES_AT_ONCE / per_cell, most)) // len(active))
            asked = message.pdu(message.GETBULK, tuple(last.values()), 0, repetitions)
            try:
                answer = await self._ask(asked)
            except StatusError as error:
                if error.status == message.TOO_BIG and repetitions > 1:
                    most = repetitions * len(active) // 2
                    continue
                raise self._error(str(error)) from error
            if not answer:
                raise self._error("it answers nothing to what was asked")
            for place, number in enumerate(active[: len(answer)]):  # a small agent may not fit them all in one answer
                self._take(answer[place :: len(active)], columns[number], found[number], last, number)
            per_cell = (self._heard - heard) / len(answer)
        return found

    def _take(self, answer: list[Varbind], prefix: bytes, column: Column, last: dict[int, bytes], number: int) -> None:
        """Move one column forward; out of `last` when it has come to its end."""
        size, absent = len(prefix), ber.ABSENT
        fresh = {
            name[size:]: (tag, content)
            for name, tag, content in answer
            if name.startswith(prefix) and tag not in absent
        }
        if len(fresh) == len(answer) and column.keys().isdisjoint(fresh):
            column.update(fresh)
            self._go_on(last, number, answer[-1][0])
        else:
            self._take_end(answer, prefix, column, last, number)
        self._cells += len(answer)
        if self._cells > self._most_cells:
            raise OutputLimitError(
                f"{self._where}: its table has no end (more than {self._most_cells:,} values)",
                hint="ask for fewer columns",
            )

    def _take_end(
        self, answer: list[Varbind], prefix: bytes, column: Column, last: dict[int, bytes], number: int
    ) -> None:
        """As `_take`, where the column ends within the answer, or says something twice."""
        name = last[number]
        for name, tag, content in answer:
            if not name.startswith(prefix) or tag in ber.ABSENT:
                del last[number]
                return
            if (index := name[len(prefix) :]) in column:
                raise self._error(f"its table comes back to {ber.oid_text(name)}: it would never end")
            column[index] = (tag, content)
        self._go_on(last, number, name)

    def _go_on(self, last: dict[int, bytes], number: int, name: bytes) -> None:
        if not ber.follows(name, last[number]):
            raise self._error(f"its table goes back to {ber.oid_text(name)}: it would never end")
        last[number] = name

    def _late(self) -> str:
        return f"its table did not end in time ({self._cells:,} values came)"

    @property
    def _where(self) -> str:
        return f"{self._access.address} port {self._access.port}"

    def _error(self, why: str) -> TransportError:
        return TransportError(f"{self._where}: {why}", hint=f"try: snmpbulkwalk … {self._access.address}")

    async def _ask(self, asked: tuple[bytes, bytes]) -> list[Varbind]:
        if self._cells and self._deadline.is_over():
            raise self._error(self._late())
        access = self._access
        line = self._hub.kept(access.address, access.port)
        if line is None:
            line = await self._hub.line(access.address, access.port, self._deadline)
        try:
            if access.user is not None:
                return await self._secured(line, asked, access.user)
            number = line.number()
            request = message.v2c((access.community or "").encode(), asked, number)
            return await line.ask(number, request, self._plain, self._deadline)
        except TransportError as error:
            self._hub.drop(line)
            if self._cells and self._deadline.is_over():
                raise self._error(self._late()) from error
            raise

    def _plain(self, data: bytes, version: int, at: int) -> list[Varbind]:
        if version != message.V2C:
            raise MalformedError("it is of another version")
        self._count(data)
        return message.answered(data, at)

    async def _secured(self, line: Line, asked: tuple[bytes, bytes], user: User) -> list[Varbind]:
        for _ in range(_REDISCOVERIES):
            engine = line.engines.get(user) or await self._discovered(line, user)
            number = line.number()
            request = usm.request(user, engine, asked, number, self._now())
            try:
                told, answer = await line.ask(number, request, self._reader(user, engine), self._deadline)
            except ReportError as error:
                if not self._learns(line, user, engine, error):
                    raise self._error(str(error)) from error
                continue
            line.engines[user] = told if user.password is not None else engine
            return answer
        raise self._error("its engine keeps changing")

    def _learns(self, line: Line, user: User, engine: Engine, error: ReportError) -> bool:
        """Whether a report tells what to do better: another engine, or its clock, which it must sign."""
        line.engines.pop(user, None)
        if error.stat == usm.UNKNOWN_ENGINE:
            return True
        if error.stat == usm.NOT_IN_TIME and error.engine.proven and error.engine.id == engine.id:
            line.engines[user] = error.engine
            return True
        return False

    async def _discovered(self, line: Line, user: User) -> Engine:
        number = line.number()
        try:
            await line.ask(number, usm.discovery(number), self._reader(user, None), self._deadline)
        except ReportError as error:
            if error.stat == usm.UNKNOWN_ENGINE and error.engine.id:
                line.engines[user] = dataclasses.replace(error.engine, proven=False)
                return line.engines[user]
        raise self._error("it does not tell its engine")

    def _reader(self, user: User, engine: Engine | None) -> Read[tuple[Engine, list[Varbind]]]:
        def read(data: bytes, version: int, at: int) -> tuple[Engine, list[Varbind]]:
            if version != message.V3:
                raise MalformedError("it is of another version")
            self._count(data)
            return usm.read(data, at, user, engine, self._now())

        return read

    def _now(self) -> int:
        return self._deadline.clock.boottime()

    def _count(self, data: bytes) -> None:
        self._heard += len(data)
        if self._heard > MOST_BYTES:
            raise OutputLimitError(f"{self._where} sent more than {MOST_BYTES:,} bytes", hint="ask for fewer columns")
