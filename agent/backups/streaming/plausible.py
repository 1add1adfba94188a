"""Says whether a dump is as large as it should be: pure, from the sizes of the dumps before it."""

import statistics
from collections.abc import Sequence

REMEMBERED = 5  # the median of so many: a dump that stays small is believed once three of them are


def doubt(size_bytes: int, earlier: Sequence[int], at_least: float) -> str:
    """Why a dump is suspicious; empty when it is not. `earlier` are sizes in bytes, `at_least` a share (0 to 1).

    A dump that is smaller than that share of the median of the last ones is: tables are gone, or half of it is missing.
    """
    recent = earlier[-REMEMBERED:]
    usual = statistics.median(recent) if recent else 0.0
    if size_bytes >= usual * at_least:
        return ""
    share = size_bytes / usual
    return (
        f"{size_bytes} bytes are {share:.0%} of the usual {usual:.0f} (the median of the last {len(recent)}), "
        f"less than {at_least:.0%}"
    )
