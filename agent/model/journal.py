"""One line of the journal: who did what to which record, when, why; chained by hashes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

GENESIS = "0" * 64


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What a writer hands over; sequence, times and hashes are added as it is appended."""

    actor: str
    kind: str
    object_type: str
    object_id: str
    why: str
    revision: int = 0
    on_behalf_of: str = ""
    body: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    body_version: int = 1
    policy_generation: int = 0
    exec_id: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One stored line, as read back."""

    seq: int
    recorded_at_us: int
    mono_ns: int
    boot_id: str
    entry: Entry
    prev_hash: str
    hash: str
