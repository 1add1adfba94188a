"""Windows: spans of time in which something is silenced, or may be changed."""

import dataclasses
import enum

from agent.model.cadence import Cadence


class WindowKind(enum.StrEnum):
    """What a window is for; more kinds come with the practices that use them."""

    SILENCE = "silence"
    BACKUP = "backup"  # backups that name it begin within it; it silences nothing
    CHANGE = "change"  # devices may be changed; it silences nothing


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A window over some hosts (empty: all of the service's checks). Once from `start_us` to `end_us`, or recurring."""

    item: str
    service: str
    kind: WindowKind
    hosts: tuple[str, ...] = ()
    every: Cadence = ()
    duration_seconds: float = 0.0
    start_us: int | None = None
    end_us: int | None = None
    title: str = ""
