"""When each item last ran, so that a restart neither repeats nor forgets what the calendar asks for."""

from collections.abc import Iterable

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert

from agent.store.tables import dues
from agent.store.tx import Reader, Tx, reading

WATCHED = "watched:"  # before the key of what has to say since when it is watched

_MARK = insert(dues)
_MARK = _MARK.on_conflict_do_update(index_elements=[dues.c.key], set_={"at_us": _MARK.excluded.at_us})
_ONE = select(dues.c.at_us).where(dues.c.key == bindparam("at_key"))
_SOME = select(dues).where(dues.c.key >= bindparam("first"), dues.c.key < bindparam("end"))
_FORGET = delete(dues).where(dues.c.key == bindparam("at_key"))


def mark(tx: Tx, key: str, at_us: int) -> None:
    """Note that an item ran."""
    tx.connection.execute(_MARK, {"key": key, "at_us": at_us})


def watch(tx: Tx, keys: Iterable[str]) -> None:
    """Note of what is not watched yet that it is from now on; a mark of the future is of a clock that was wrong."""
    now_us, known = tx.clock.now(), beginning_with(tx, WATCHED)
    for key in keys:
        if known.get(WATCHED + key, now_us + 1) > now_us:
            mark(tx, WATCHED + key, now_us)


def last_runs(reader: Reader) -> dict[str, int]:
    """When each item last ran, µs UTC, by key."""
    return {row.key: row.at_us for row in reading(reader).execute(select(dues))}


def last_run(reader: Reader, key: str) -> int | None:
    """When one item last ran, µs UTC; None when it never did."""
    found: int | None = reading(reader).execute(_ONE, {"at_key": key}).scalar_one_or_none()
    return found


def beginning_with(reader: Reader, words: str) -> dict[str, int]:
    """The same as `last_runs`, of the keys that begin with these words; the last of them is plain ASCII."""
    end = words[:-1] + chr(ord(words[-1]) + 1)
    return {row.key: row.at_us for row in reading(reader).execute(_SOME, {"first": words, "end": end})}


def forget(tx: Tx, key: str) -> None:
    """Drop an item that no policy names any more."""
    tx.connection.execute(_FORGET, {"at_key": key})
