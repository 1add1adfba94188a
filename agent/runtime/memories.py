"""What looks leave for the next look at the same thing: counters to compare with, a position; some of it for a restart.

In a daemon what a look left counts once its result has been followed through, and only then is it written: a line of a
log may be found twice when the process is killed, and is never missed.
"""

import dataclasses
import hashlib
import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel

from agent.checks.recalling import Kept
from agent.clock import MICROSECONDS, NANOSECONDS, Clock
from agent.model.check import Check
from agent.store.memories import Row

logger = logging.getLogger(__name__)
WORTH_SECONDS = 3600.0  # a rate over more than an hour says nothing about now
_AGAIN_NS = 600 * NANOSECONDS  # counters change with every look: the gap is small if they are kept so often
_MOST = 100_000  # more than any agent's checks; what nobody asks for any more is forgotten first


class Due(NamedTuple):
    """What is to be written of one check; `digest` is of what it asks."""

    key: str
    kind: str
    digest: str
    memory: Any


@dataclasses.dataclass(kw_only=True, slots=True)
class _Left:
    kind: str
    options: object
    memory: Any = None
    fresh: Any = None  # of a look whose result has not been followed through
    written: Any = None
    written_ns: int | None = None
    digest: str = ""  # made when it is first needed


class Memories:
    """The last memory of each check, as long as its options stay what they were. Belongs to one thread, but for `rows`."""

    def __init__(self, clock: Clock, *, kinds: Mapping[str, Kept] = MappingProxyType({}), most: int = _MOST) -> None:
        self._clock = clock
        self._kinds = kinds
        self._most = most
        self._left: dict[str, _Left] = {}
        self._stored: dict[str, Row] | None = None  # until they are asked for; None: nothing outlives this process
        self._due: set[str] = set()

    def begin(self, stored: Mapping[str, Row]) -> None:
        """Go on from what an earlier process wrote; from now on there is something to write."""
        self._stored = dict(stored)

    def recall(self, check: Check) -> Any:
        """What the last look left; None at the first, and when the check has been edited since."""
        left = self._left.get(check.key) or self._restored(check)
        if left is None or (left.options is not check.options and left.options != check.options):
            return None
        return left.memory

    def keep(self, check: Check, memory: Any) -> None:
        """Keep what a look left, in place of what an earlier one did."""
        left = self._left.pop(check.key, None)
        if left is None or (left.options is not check.options and left.options != check.options):
            left = _Left(kind=check.kind, options=check.options)
        self._left[check.key] = left
        left.options = check.options  # the same, but after a reload another object: found faster next time
        if self._stored is None:
            left.memory = memory
        else:
            left.fresh = memory
        if len(self._left) > self._most:
            oldest = next(iter(self._left))
            del self._left[oldest]
            self._due.discard(oldest)

    def settle(self, key: str) -> None:
        """The result of the last look at a key is durable: what it left counts."""
        left = self._left.get(key)
        if left is None or left.fresh is None:
            return
        left.memory, left.fresh = left.fresh, None
        if left.kind in self._kinds and self._is_due(left):
            self._due.add(key)

    def _is_due(self, left: _Left) -> bool:
        if left.written_ns is None:
            return True
        if self._kinds[left.kind].lasts:
            return bool(left.memory != left.written)
        return self._clock.boottime() - left.written_ns >= _AGAIN_NS and left.memory is not left.written

    def due(self, *, last: bool = False) -> tuple[Due, ...]:
        """What is to be written now; as the `last` thing of this process, all that is not written as it is."""
        keys: Iterable[str] = self._due
        if last and self._stored is not None:
            known = list(self._left.items())  # at once: looks that were not waited for may still go on
            keys = [key for key, one in known if one.kind in self._kinds and one.memory is not one.written]
        found = ((key, self._left[key]) for key in keys if key in self._left)
        return tuple(Due(key, one.kind, _asked(one), one.memory) for key, one in found if one.memory is not None)

    def rows(self, due: Iterable[Due]) -> list[Row]:
        """As they are to be stored, in any thread; what cannot be written down is left out."""
        at_us, boot_id = self._clock.now(), self._clock.boot_id
        told = ((one, self._kinds[one.kind].dumps(one.memory)) for one in due)
        return [Row(one.key, one.digest, boot_id, at_us, text) for one, text in told if text is not None]

    def written(self, due: Iterable[Due]) -> None:
        """These are durable; one that has changed since is due again."""
        now_ns = self._clock.boottime()
        for one in due:
            left = self._left.get(one.key)
            if left is not None and left.digest == one.digest:
                left.written, left.written_ns = one.memory, now_ns
                if not self._is_due(left):
                    self._due.discard(one.key)

    def _restored(self, check: Check) -> _Left | None:
        row = self._stored.pop(check.key, None) if self._stored else None
        kept = self._kinds.get(check.kind)
        asked = digest(check.kind, check.options) if row is not None else ""
        if row is None or kept is None or row.digest != asked:
            return None
        age_us = self._clock.now() - row.at_us
        if not kept.lasts and (row.boot_id != self._clock.boot_id or not 0 <= age_us <= WORTH_SECONDS * MICROSECONDS):
            return None
        memory = kept.loads(row.document)
        if memory is None:
            logger.warning("%s: what the last look left is not readable: this look is the first", check.key)
            return None
        left = _Left(
            kind=check.kind, options=check.options, memory=memory, written=memory, written_ns=self._clock.boottime(),
            digest=asked,
        )  # fmt: skip
        self._left[check.key] = left
        return left


def _asked(left: _Left) -> str:
    left.digest = left.digest or digest(left.kind, left.options)
    return left.digest


def digest(kind: str, options: object) -> str:
    """What tells whether a check asks for the same as the one that left something."""
    text = options.model_dump_json() if isinstance(options, BaseModel) else repr(options)
    return hashlib.sha256(f"{kind}\n{text}".encode()).hexdigest()[:32]
