"""Moments of the wall clock at which something is due, one each; what lies ahead costs nothing to pass by."""

import heapq
from collections.abc import Iterator

_LEFT_OVER = 1_000  # entries that mean nothing any more, and are not worth a clean-up


class Agenda:
    """When each key is due, in microseconds UTC."""

    def __init__(self) -> None:
        self._at_us: dict[str, int] = {}
        self._soonest: list[tuple[int, str]] = []  # a heap; what differs from `_at_us` means nothing any more

    def __contains__(self, key: str) -> bool:
        return key in self._at_us

    def put(self, key: str, at_us: int) -> None:
        """It is due then, and not when it was before."""
        self._at_us[key] = at_us
        heapq.heappush(self._soonest, (at_us, key))
        if len(self._soonest) > 2 * len(self._at_us) + _LEFT_OVER:
            self._soonest = [(at_us, key) for key, at_us in self._at_us.items()]
            heapq.heapify(self._soonest)

    def drop(self, key: str) -> None:
        """It is not due at all; nothing happens when it was not."""
        self._at_us.pop(key, None)

    def moments(self) -> dict[str, int]:
        """When each is due."""
        return dict(self._at_us)

    def take(self, now_us: int) -> Iterator[str]:
        """What has come due, the earliest first; it is taken out."""
        while self._soonest and self._soonest[0][0] <= now_us:
            at_us, key = heapq.heappop(self._soonest)
            if self._at_us.get(key) == at_us:
                del self._at_us[key]
                yield key
