"""Ids sort by time, are well formed and do not repeat."""

import dataclasses

from agent.store.ids import LENGTH, is_ulid, ulid


@dataclasses.dataclass
class StoodClock:
    """A clock that stands still."""

    now_us: int
    boot_id: str = "boot"

    def now(self) -> int:
        return self.now_us

    def boottime(self) -> int:
        return 0

    async def sleep_until(self, boottime_ns: int) -> None:
        """Time does not pass here."""


def test_an_id_has_26_characters_and_is_known_as_one() -> None:
    made = ulid(StoodClock(1_763_000_000_000_000))
    assert len(made) == LENGTH
    assert is_ulid(made)


def test_a_later_id_sorts_after_an_earlier_one() -> None:
    made = [ulid(StoodClock(milliseconds * 1_000)) for milliseconds in (1, 2, 31, 32, 1_763_000_000_000, 2**48 - 1)]
    assert made == sorted(made)


def test_the_first_ten_characters_are_the_milliseconds() -> None:
    assert ulid(StoodClock(1_469_918_176_385_999)).startswith("01ARYZ6S41")  # the example of the ULID specification


def test_ids_of_one_millisecond_differ() -> None:
    clock = StoodClock(1)
    assert len({ulid(clock) for _ in range(1_000)}) == 1_000


def test_what_is_no_id_is_told_apart() -> None:
    for text in ("", "42", "INC0000042", "I" * 26, "81ARYZ6S410000000000000000", "01ARYZ6S41000000000000000"):
        assert not is_ulid(text), text
