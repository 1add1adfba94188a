"""Measured values in words: the units in which bounds are written."""

import pytest

from agent import units
from agent.model.look import Measure, Unit
from agent.model.spelling import spelled


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.36836, Unit.SECONDS, "368.4ms"), (0.0, Unit.SECONDS, "0s"), (59.5, Unit.SECONDS, "59.5s"),
        (150.0, Unit.SECONDS, "2.5m"), (9_000.0, Unit.SECONDS, "2.5h"), (7_775_877.67, Unit.SECONDS, "90d"),
        (-7_776_000.0, Unit.SECONDS, "-90d"), (0.000024, Unit.SECONDS, "0.024ms"),
        (79_213_000_000.0, Unit.BYTES, "79.21GB"), (12.0, Unit.BYTES, "12B"), (12_000.0, Unit.BYTES, "12kB"),
        (0.95031, Unit.SHARE, "95.03%"), (0.4, Unit.SHARE, "40%"), (0.0, Unit.SHARE, "0%"),
        (1.25, Unit.PER_SECOND, "1.25/s"), (93_000_000.0, Unit.BITS_PER_SECOND, "93Mbit/s"),
        (12.0, Unit.NUMBER, "12"), (123_456.0, Unit.NUMBER, "123456"), (0.912345, Unit.NUMBER, "0.9123"),
        (1234.5678, Unit.NUMBER, "1235"), ("up", Unit.TEXT, "up"), ("7", Unit.SECONDS, "7"),
    ],
)  # fmt: skip
def test_a_value_is_told_in_its_unit(value: Measure, unit: Unit, words: str) -> None:
    assert spelled(value, unit) == words


@pytest.mark.parametrize("unit", [unit for unit in Unit if unit is not Unit.TEXT])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, 60.0, 250_000.0])
def test_what_is_told_can_be_written_into_a_policy(value: float, unit: Unit) -> None:
    assert units.quantity(spelled(value, unit), unit) == pytest.approx(value, rel=1e-3)
