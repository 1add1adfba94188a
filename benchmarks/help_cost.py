"""What `watchkeeper --help` costs, against importing typer alone."""

import sys
from typing import Any

from benchmarks.measuring import PROGRAM, Figure, cost, result

REPEATS = 15


def main() -> dict[str, Any]:
    """CPU seconds of both, turn by turn, so that a busy machine slows both alike."""
    peer, ours = [], []
    for _ in range(REPEATS):
        peer.append(cost([sys.executable, "-c", "import typer"]).cpu_seconds)
        ours.append(cost([PROGRAM, "--help"]).cpu_seconds)
    ratios = tuple(one / other for one, other in zip(ours, peer, strict=True))
    return result(
        "`watchkeeper --help`",
        Figure(name="CPU", unit="s", values=tuple(ours)),
        Figure(name="CPU of `python -c 'import typer'`", unit="s", values=tuple(peer)),
        Figure(name="ratio of the two", unit="times", values=ratios, limit=3.0),
    )
