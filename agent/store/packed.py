"""How samples are spelled in bytes: as they come in, by the hour, by the day.

Values are kept to one part in 8,192 (12 bits of mantissa, rounded), times to a tenth of a second.
"""

import itertools
import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MICROSECONDS = 1_000_000
HOUR_US = 3600 * MICROSECONDS
_EACH = 10  # bytes of a sample in a batch: number, offset, value
_LOST = 11  # of the 23 bits of a float32's mantissa, so many are rounded away
_HALF = 1 << _LOST - 1
_HEAD = struct.Struct("<HHHI")  # first tenth of the hour, step in tenths (0: offsets follow), samples, first value


class Hourly(NamedTuple):
    """What is left of an hour after a month."""

    at_us: int
    low: float
    mean: float
    high: float


class Columns(NamedTuple):
    """A batch of samples of all series: the number of each one's series, tenths since the batch began, values."""

    numbers: "array[int]"
    offsets: "array[int]"
    values: "array[float]"


def pack_batch(columns: Columns) -> bytes:
    """The samples as they come in."""
    return b"".join(column.tobytes() for column in columns)


def unpack_batch(body: bytes, count: int) -> Columns:
    """What `pack_batch` packed."""
    raw = body if len(body) == _EACH * count else zlib.decompress(body)  # an earlier version deflated them
    found = Columns(array("I"), array("H"), array("f"))
    found.numbers.frombytes(raw[: 4 * count])
    found.offsets.frombytes(raw[4 * count : 6 * count])
    found.values.frombytes(raw[6 * count :])
    return found


def pack_hour(samples: Sequence[tuple[int, float]]) -> bytes:
    """The samples of one series in one hour, as (tenths since the hour began, value).

    Times are a first one and a step, or offsets; values are the changes of the rounded bit patterns, zigzag, all in as
    many bits as the largest needs: noise takes no table, and a value that stands still takes nothing.
    """
    ordered = sorted(samples)
    times = [tenth for tenth, _ in ordered]
    steps = {later - earlier for earlier, later in itertools.pairwise(times)}
    step = steps.pop() if len(steps) == 1 else 0
    words = array("I")
    words.frombytes(array("f", [value for _, value in ordered]).tobytes())
    rounded = [(word + _HALF if word & 0x7F800000 < 0x7F000000 else word) >> _LOST for word in words]
    changes = [_zigzag(after - before) for before, after in itertools.pairwise(rounded)]
    head = _HEAD.pack(times[0], step, len(times), rounded[0])
    offsets = b"" if step else _bits([tenth - times[0] for tenth in times])
    return head + offsets + _bits(changes)


def unpack_hour(body: bytes) -> list[tuple[int, float]]:
    """What `pack_hour` packed."""
    first, step, count, word = _HEAD.unpack_from(body)
    place = _HEAD.size
    if step:
        times = [first + step * number for number in range(count)]
    else:
        offsets, place = _unbits(body, place, count)
        times = [first + offset for offset in offsets]
    changes, place = _unbits(body, place, count - 1)
    words = array("I", [word << _LOST])
    for change in changes:
        word += (change >> 1) ^ -(change & 1)
        words.append(word << _LOST)
    values = array("f")
    values.frombytes(words.tobytes())
    return list(zip(times, values, strict=True))


def _zigzag(change: int) -> int:
    return change << 1 if change >= 0 else (-change << 1) - 1


def _bits(numbers: Sequence[int]) -> bytes:
    """Numbers of zero and above, all in as many bits as the largest needs; that width is the first byte."""
    width = max(numbers, default=0).bit_length()
    whole = 0
    for number in reversed(numbers):
        whole = whole << width | number
    return bytes([width]) + whole.to_bytes((width * len(numbers) + 7) // 8, "little")


def _unbits(body: bytes, place: int, count: int) -> tuple[list[int], int]:
    width = body[place]
    end = place + 1 + (width * count + 7) // 8
    whole = int.from_bytes(body[place + 1 : end], "little")
    mask = (1 << width) - 1
    return [whole >> width * number & mask for number in range(count)], end


def _planes(raw: bytes, width: int) -> bytes:
    """All first bytes, all second bytes …: like stands by like, and deflates better."""
    return b"".join(raw[place::width] for place in range(width))


def _joined(planes: bytes, width: int) -> bytes:
    count = len(planes) // width
    raw = bytearray(len(planes))
    for place in range(width):
        raw[place::width] = planes[place * count : (place + 1) * count]
    return bytes(raw)


def _deflated(raw: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(raw) + packer.flush()


def summary(hour: int, body: bytes) -> Hourly:
    """Low, mean and high of what `pack_hour` packed of that hour since the epoch."""
    values = [value for _, value in unpack_hour(body)]
    return Hourly(hour * HOUR_US, min(values), sum(values) / len(values), max(values))


def pack_day(hours: Sequence[Hourly]) -> bytes:
    """Those hours of a day that have any samples."""
    ordered = sorted(hours)
    columns = array("f", [value for column in (1, 2, 3) for value in (hour[column] for hour in ordered)])
    numbers = bytes([len(ordered), *(hour.at_us // HOUR_US % 24 for hour in ordered)])
    return _deflated(numbers + _planes(columns.tobytes(), 4))


def unpack_day(body: bytes, day: int) -> Iterator[Hourly]:
    """What `pack_day` packed of that day since the epoch."""
    raw = zlib.decompress(body, -15)
    count = raw[0]
    columns = array("f")
    columns.frombytes(_joined(raw[1 + count :], 4))
    for place, hour in enumerate(raw[1 : 1 + count]):
        low, mean, high = columns[place], columns[count + place], columns[2 * count + place]
        yield Hourly((day * 24 + hour) * HOUR_US, low, mean, high)
