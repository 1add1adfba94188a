"""Network devices: one to be asked for its configuration, a revision of it, and its drift from what was accepted."""

import dataclasses
import enum


class Reaction(enum.StrEnum):
    """What follows when a change is seen outside a window of kind `change`."""

    NONE = ""
    NOTE = "note"  # a line of the journal
    INCIDENT = "incident"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """What a job must know of a device beside the way to it. `network_os` is the inventory's; `why` is written down.

    `is_watched`: a person asked for it, or a window for changes is open; then it may lose any part of its size.
    """

    network_os: str = ""
    become: bool = False
    why: str = ""
    is_watched: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """A configuration as it was read. `content` is a hash of it without its secrets, `commit` where it is kept.

    `before` is what was kept until now, in the commit `since`, seen through the rules of today; both are "" for a device
    that is seen for the first time. `lines` are the first of the `added` and `removed` lines, without secrets, each with
    its sign.
    """

    content: str
    commit: str
    at_us: int
    before: str = ""
    since: str = ""
    added: int = 0
    removed: int = 0
    lines: tuple[str, ...] = ()

    @property
    def is_change(self) -> bool:
        """Whether it is another one than before; the first one is no change."""
        return bool(self.before) and self.before != self.content


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """What is known of a device: the content that is accepted, the one that was read last (and its commit), the last drift.

    `drift_at_us` is 0 while there never was one; `drifted` is the content of the drift that stands, "" when none does.
    """

    accepted: str
    current: str
    read_at_us: int
    commit: str = ""
    drifted: str = ""
    drift_at_us: int = 0
    drift_lines: tuple[str, ...] = ()
    drift_commit: str = ""
