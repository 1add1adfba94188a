"""The last look at everything, kept in memory and written in batches; up to a batch may be lost in a crash."""

from agent.clock import Clock
from agent.model.look import Result
from agent.runtime.workers import Workers
from agent.store import looks
from agent.store.engine import Store


class Recorder:
    """Notes results; `flush` makes them durable for other processes to read."""

    def __init__(self, store: Store, clock: Clock, workers: Workers) -> None:
        self._store = store
        self._clock = clock
        self._workers = workers
        self._waiting: dict[str, looks.LatestLook] = {}

    def now(self) -> int:
        """Wall time, microseconds UTC."""
        return self._clock.now()

    def note(self, result: Result) -> None:
        """Remember a result as the latest of its key."""
        self._waiting[result.key] = looks.LatestLook(
            key=result.key, at_us=result.ended_us, begun_us=result.begun_us, verdict=result.look.verdict,
            summary=result.look.summary, metrics=dict(result.look.metrics),
            instances={name: {"verdict": one.verdict.value, "summary": one.summary, "metrics": dict(one.metrics)}
                       for name, one in result.look.instances.items()},
        )  # fmt: skip

    async def flush(self) -> None:
        """Write what waits, in one transaction."""
        if self._waiting:
            batch, self._waiting = tuple(self._waiting.values()), {}
            await self._workers.write(self._save, batch)

    def _save(self, batch: tuple[looks.LatestLook, ...]) -> None:
        with self._store.write() as tx:
            looks.save(tx, batch)
