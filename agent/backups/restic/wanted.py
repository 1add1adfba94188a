"""What a backup of files is to save, out of the plain options of its job."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

_BITS_PER_KIB = 8192


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What to save, apart from what matches `exclude` (restic's patterns).

    Of remote hosts: `may_vanish` is the share of entries (of 1) that may be gone at once, `limit_kib` the KiB/s that
    rsync may take, 0 for all.
    """

    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    one_file_system: bool = False
    may_vanish: float = 0.5
    limit_kib: int = 0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """From options that were checked when the policy was loaded."""
        return cls(
            paths=_many(options["paths"]),
            exclude=_many(options.get("exclude") or ()),
            one_file_system=bool(options.get("one_file_system")),
            may_vanish=float(options.get("may_vanish", 0.5)),
            limit_kib=max(1, int(options["limit"] / _BITS_PER_KIB)) if options.get("limit") else 0,
        )


def _many(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
