"""What was seen, written in batches: the last look at everything, what it left for the next, every sample of a metric.

Up to a batch may be lost in a crash; the inputs of decisions never go this way.
"""

from collections.abc import Awaitable, Container, Sequence

from agent.clock import MICROSECONDS, Clock
from agent.model.look import Result
from agent.runtime.memories import Due, Memories
from agent.runtime.workers import Workers
from agent.store import looks, memories, packing, samples
from agent.store.engine import Store

_LATE_US = 60 * MICROSECONDS  # an hour is packed so much after its end: its last looks may still wait to be written


class Recorder:
    """Notes results; `flush` makes them durable for other processes to read."""

    def __init__(self, store: Store, clock: Clock, workers: Workers, left: Memories | None = None) -> None:
        self._store = store
        self._clock = clock
        self._workers = workers
        self._left = left or Memories(clock)
        self._shelf = looks.Shelf()
        self._catalogue = samples.Catalogue()
        self._packed: packing.Progress | None = None
        self._version = -1
        self._noted: list[Result] = []
        self._keys: Container[str] | None = None  # to be told to the shelf

    def begin(self) -> None:
        """Take up what the looks of an earlier process left; for the one daemon of a state folder."""
        with self._store.read() as reader:
            self._left.begin(memories.read(reader))

    def adopt(self, keys: Container[str]) -> None:
        """These are looked at from now on: what was seen of others is not written again."""
        self._keys = keys

    def settle(self, key: str) -> None:
        """A result is followed through, and its state durable: only now may what its look left be written."""
        self._left.settle(key)

    def now(self) -> int:
        """Wall time, microseconds UTC."""
        return self._clock.now()

    def note(self, result: Result) -> None:
        """Remember a result as the latest of its key, and its numbers as samples."""
        self._noted.append(result)

    def flush_if_needed(self) -> Awaitable[None] | None:
        """The flush to be awaited; None while nothing waits."""
        return self.flush() if self._noted or self._left.due() else None

    async def flush(self, *, last: bool = False) -> None:
        """Write what waits, in one transaction; as the `last` one of this process, all that may be of use to the next."""
        left = self._left.due(last=last)
        if not self._noted and not left:
            return
        noted, self._noted = self._noted, []
        await self._workers.write(self._save, noted, left)
        self._left.written(left)

    def _save(self, noted: Sequence[Result], left: tuple[Due, ...]) -> None:
        catalogue, self._catalogue = self._catalogue, samples.Catalogue()  # what it learns is true once it is durable
        gathering = samples.Gathering(catalogue)
        for place, some in looks.by_place(noted):  # both at once: the next place's results push these out of the caches
            self._shelf.note(place, some)
            gathering.note(some)
        if (keys := self._keys) is not None:
            self._shelf.forget_others(keys)
            self._keys = None
        version, texts = self._store.data_version(), self._left.rows(left)
        with self._store.write(is_news=False) as tx:
            self._shelf.write(tx, merge=version != self._version)
            samples.append(tx, gathering.batch(tx))
            memories.write(tx, texts)
        self._shelf.written()
        self._version, self._catalogue = version, catalogue

    async def pack(self) -> None:
        """Make less of the samples that are over, a piece at a time: others write in between."""
        while await self._workers.write(self._pack_piece):
            pass

    def _pack_piece(self) -> bool:
        with self._store.write(is_news=False) as tx:
            done = packing.piece(tx, self._clock.now() - _LATE_US, self._packed)
        self._packed = done  # now that it is durable
        return done is not None
