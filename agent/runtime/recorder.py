"""What was seen, written in batches: the last look at everything, what it left for the next, every sample of a metric.

Up to a batch may be lost in a crash; the inputs of decisions never go this way.
"""

from collections.abc import Awaitable, Mapping

from agent.clock import Clock
from agent.model.look import Look, Result
from agent.runtime.memories import Due, Memories
from agent.runtime.workers import Workers
from agent.store import looks, memories, samples
from agent.store.engine import Store
from agent.store.samples import Name

Unknown = list[tuple[Name, int, float]]  # samples of series that have no number yet, and when, in tenths of a second


class Recorder:
    """Notes results; `flush` makes them durable for other processes to read."""

    def __init__(self, store: Store, clock: Clock, workers: Workers, left: Memories | None = None) -> None:
        self._store = store
        self._clock = clock
        self._workers = workers
        self._left = left or Memories(clock)
        self._shelf = looks.Shelf()
        self._catalogue = samples.Catalogue()
        self._version = -1
        self._samples: list[samples.Measured] = []
        self._unknown: Unknown = []

    def begin(self) -> None:
        """Take up what the looks of an earlier process left; for the one daemon of a state folder."""
        with self._store.read() as reader:
            self._left.begin(memories.read(reader))

    def settle(self, key: str) -> None:
        """A result is followed through, and its state durable: only now may what its look left be written."""
        self._left.settle(key)

    def now(self) -> int:
        """Wall time, microseconds UTC."""
        return self._clock.now()

    def note(self, result: Result) -> None:
        """Remember a result as the latest of its key, and its numbers as samples."""
        self._shelf.note(result)
        known, tenth = self._catalogue.known(result.key), result.ended_us // samples.TENTH_US
        for name, look in result.look.instances.items():
            self._measure(result.key, name, look, known, tenth)
        self._measure(result.key, "", result.look, known, tenth)

    def _measure(self, key: str, instance: str, look: Look, known: Mapping[tuple[str, str], int], tenth: int) -> None:
        for metric, value in look.metrics.items():
            if isinstance(value, str):
                continue
            number = known.get((instance, metric))
            if number is None:
                self._unknown.append((Name(key, instance, metric), tenth, value))
            else:
                self._samples.append((number, tenth, value))

    def flush_if_needed(self) -> Awaitable[None] | None:
        """The flush to be awaited; None while nothing waits."""
        return None if self._shelf.is_clean() and not self._left.due() else self.flush()

    async def flush(self, *, last: bool = False) -> None:
        """Write what waits, in one transaction; as the `last` one of this process, all that may be of use to the next."""
        left = self._left.due(last=last)
        if self._shelf.is_clean() and not left:
            return
        taken = self._shelf.take(), self._samples, self._unknown, left
        self._samples, self._unknown = [], []
        self._shelf.absorb(await self._workers.write(self._save, *taken))
        self._left.written(left)

    def _save(
        self, rows: dict[str, looks.Rows], measured: list[samples.Measured], unknown: Unknown, left: tuple[Due, ...]
    ) -> dict[str, looks.Rows]:
        version, texts = self._store.data_version(), self._left.rows(left)
        with self._store.write(is_news=False) as tx:
            joined = looks.write(tx, rows, merge=version != self._version)
            self._catalogue.learn(tx, [name for name, _, _ in unknown])
            for name, tenth, value in unknown:
                measured.append((self._catalogue.known(name.key)[name.instance, name.metric], tenth, value))
            samples.append(tx, measured)
            memories.write(tx, texts)
        self._version = version
        return joined

    async def pack(self) -> None:
        """Pack the hours that are over, and roll up the days."""
        await self._workers.write(self._pack)

    def _pack(self) -> None:
        with self._store.write(is_news=False) as tx:
            samples.pack(tx, self._clock.now())
        with self._store.write(is_news=False) as tx:
            samples.roll_up(tx, self._clock.now())
