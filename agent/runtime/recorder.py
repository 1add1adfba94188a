"""What was seen, kept in memory and written in batches: the last look at everything, and every sample of every metric.

Up to a batch may be lost in a crash; the inputs of decisions never go this way.
"""

from collections.abc import Mapping

from agent.clock import Clock
from agent.model.look import Look, Result
from agent.runtime.workers import Workers
from agent.store import looks, samples
from agent.store.engine import Store
from agent.store.samples import Name

Unknown = list[tuple[Name, int, float]]  # samples of series that have no number yet


class Recorder:
    """Notes results; `flush` makes them durable for other processes to read."""

    def __init__(self, store: Store, clock: Clock, workers: Workers) -> None:
        self._store = store
        self._clock = clock
        self._workers = workers
        self._shelf = looks.Shelf()
        self._catalogue = samples.Catalogue()
        self._version = -1
        self._numbers: list[int] = []
        self._times: list[int] = []
        self._values: list[float] = []
        self._unknown: Unknown = []

    def now(self) -> int:
        """Wall time, microseconds UTC."""
        return self._clock.now()

    def note(self, result: Result) -> None:
        """Remember a result as the latest of its key, and its numbers as samples."""
        self._shelf.note(result)
        known = self._catalogue.known(result.key)
        for name, look in result.look.instances.items() if result.look.instances else ():
            self._measure(result, name, look, known)
        self._measure(result, "", result.look, known)

    def _measure(self, result: Result, instance: str, look: Look, known: Mapping[tuple[str, str], int]) -> None:
        for metric, value in look.metrics.items():
            if isinstance(value, str):
                continue
            number = known.get((instance, metric))
            if number is None:
                self._unknown.append((Name(result.key, instance, metric), result.ended_us, value))
            else:
                self._numbers.append(number)
                self._times.append(result.ended_us // samples.TENTH_US)
                self._values.append(value)

    async def flush(self) -> None:
        """Write what waits, in one transaction."""
        if self._shelf.is_clean():
            return
        taken = self._shelf.take(), self._numbers, self._times, self._values, self._unknown
        self._numbers, self._times, self._values, self._unknown = [], [], [], []
        self._shelf.absorb(await self._workers.write(self._save, *taken))

    def _save(
        self, rows: dict[str, looks.Rows], numbers: list[int], times: list[int], values: list[float], unknown: Unknown
    ) -> dict[str, looks.Rows]:
        version = self._store.data_version()
        with self._store.write() as tx:
            joined = looks.write(tx, rows, merge=version != self._version)
            self._catalogue.learn(tx, [name for name, _, _ in unknown])
            for name, at_us, value in unknown:
                numbers.append(self._catalogue.known(name.key)[name.instance, name.metric])
                times.append(at_us // samples.TENTH_US)
                values.append(value)
            samples.append(tx, numbers, times, values)
        self._version = version
        return joined

    async def pack(self) -> None:
        """Pack the hours that are over, and roll up the days."""
        await self._workers.write(self._pack)

    def _pack(self) -> None:
        with self._store.write() as tx:
            samples.pack(tx, self._clock.now())
        with self._store.write() as tx:
            samples.roll_up(tx, self._clock.now())
