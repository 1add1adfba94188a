"""What came of backups: a point that was saved, a drill that proved it, and how far the drills have come."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One saved state: a snapshot with its manifest. Times µs UTC, sizes bytes."""

    key: str
    exec_id: str
    snapshot: str
    at_us: int
    files: int
    size_bytes: int
    added_bytes: int
    partial: bool = False
    manifest: str = ""  # file name inside the state folder's manifests


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cycle:
    """How far the drills of a backup have come on their way through all files.

    Files are ordered by HMAC(key, path); `order` is the mark of that key. In a round every file is drawn once: `round`
    counts from 1, `drawn` slices of `planned` are behind it, and the last file drawn had the rank `cursor` (hex).
    `sample` is what was asked for per drill when the round was planned.
    """

    order: str = ""
    round: int = 1
    drawn: int = 0
    planned: int = 0
    cursor: str = ""
    sample: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DrillOrder:
    """How a drill is to be done: when it was ordered (0: unknown), and which `turn` it is, counted from 1.

    `older` counts the turns at which an older snapshot is proven as well, 0 at the others; `sample` files (0: all) are
    restored, from where the `cycle` is.
    """

    ordered_at_us: int = 0
    turn: int = 1
    older: int = 0
    sample: int = 0
    cycle: Cycle = Cycle()
    playbook: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Older:
    """An older snapshot that a drill restored as well; `compared` entries of it were as they had been."""

    snapshot: str
    at_us: int
    compared: int
    fault_count: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """One drill of one point: what was compared and how long it took.

    `files` of the snapshot hold `whole_bytes`; `sampled` of them were restored (0: the whole), `size_bytes` compared.
    `parts` are the seconds of each step, `seconds` all of them from the order to the proof. `turn` counts the drills
    of a backup; `cycle` says where the next one goes on.
    """

    key: str
    exec_id: str
    snapshot: str
    at_us: int
    passed: bool
    compared: int
    torn: int
    faults: tuple[str, ...]
    restore_seconds: float
    snapshot_at_us: int = 0
    turn: int = 0
    files: int = 0
    sampled: int = 0
    size_bytes: int = 0
    whole_bytes: int = 0
    seconds: float = 0.0
    parts: Mapping[str, float] = dataclasses.field(default_factory=dict)
    cycle: Cycle = Cycle()
    older: Older | None = None
    alarm: bool = False  # a byte that was changed on purpose was found
