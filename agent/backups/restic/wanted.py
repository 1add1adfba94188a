"""What a backup of files is to save, out of the plain options of its job."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Self

from agent.errors import InputError

_BITS_PER_KIB = 8192


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What to save, apart from what matches `exclude` (restic's patterns).

    Of remote hosts: `may_vanish` is the share of entries (of 1) that may be gone at once, `limit_kib` the KiB/s that
    rsync may take, 0 for all; `is_run_there`: restic runs on the host.
    """

    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    one_file_system: bool = False
    may_vanish: float = 0.5
    limit_kib: int = 0
    is_run_there: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """From options that were checked when the policy was loaded; InputError where they cannot have been."""
        try:
            paths = full_paths(_many(options.get("paths") or ()))
        except ValueError as error:
            raise InputError(f"the options are wrong: {error}", hint="run: watchkeeper validate") from error
        return cls(
            paths=paths,
            exclude=_many(options.get("exclude") or ()),
            one_file_system=bool(options.get("one_file_system")),
            may_vanish=float(options.get("may_vanish", 0.5)),
            is_run_there=options.get("run_from") == "host",
            limit_kib=max(1, int(options["limit"] / _BITS_PER_KIB)) if options.get("limit") else 0,
        )


def full_paths(paths: tuple[str, ...]) -> tuple[str, ...]:
    """The paths, which are full ones; ValueError when one is not."""
    if not paths:
        raise ValueError("name at least one path")
    for path in paths:
        if not path.startswith("/") or "\0" in path or (os.path.normpath(path) != path.rstrip("/") and path != "/"):
            raise ValueError(f"{path!r} is no full path: write it like /etc or /srv/shop")
    return paths


def _many(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
