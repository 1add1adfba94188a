"""What a probe leaves for its next look, as text that outlives a restart: typed, bounded, and without what opens doors.

A probe that leaves a memory says in MEMORY of what type it is: numbers, text, bytes, and tuples, mappings and frozen
dataclasses of them. Text that is not exactly of this type is as good as none.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter
from pydantic_core import PydanticSerializationError

MOST_BYTES = 400_000  # per check; what a device with some 1,200 interfaces has
_STRICT = ConfigDict(strict=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

Natural = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def _refuse(_value: object) -> None:
    raise ValueError("this is never kept")


UNKEPT = BeforeValidator(_refuse)


class Kept:
    """A type of memory that may be kept beyond the life of the process.

    `lasts`: it is true for ever, as a position in a file is, and is kept with every look. What does not last, counters
    to compare with, is kept now and then, and worth nothing after an hour or under another boot of the agent's machine.
    A field with `exclude=True` and `UNKEPT` is neither kept nor taken from what was kept, and must have a default.
    """

    __slots__ = ("_adapter", "_shape", "lasts")

    def __init__(self, shape: Any, *, lasts: bool) -> None:
        self.lasts = lasts
        self._shape = shape
        self._adapter: TypeAdapter[tuple[Any]] | None = None

    def dumps(self, memory: Any) -> str | None:
        """The memory as text; None when it is too large, or not of its type."""
        try:
            text = self._codec().dump_json((memory,), warnings="error")
        except (PydanticSerializationError, UnicodeEncodeError):
            return None
        return text.decode() if len(text) <= MOST_BYTES else None

    def loads(self, text: str) -> Any:
        """The memory that `dumps` wrote; None when the text is anything else."""
        try:
            return self._codec().validate_json(text)[0] if len(text) <= MOST_BYTES else None
        except ValueError:
            return None

    def _codec(self) -> "TypeAdapter[tuple[Any]]":
        if self._adapter is None:  # made when it is needed: commands start faster
            self._adapter = TypeAdapter(tuple[self._shape], config=_STRICT)  # type: ignore[name-defined]  # a type by value
        return self._adapter


def kept(probes: Mapping[str, type]) -> dict[str, Kept]:
    """How the memories of these probes are kept, by name; without those that leave none."""
    return {name: probe.MEMORY for name, probe in probes.items() if hasattr(probe, "MEMORY")}
