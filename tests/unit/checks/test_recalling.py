"""What probes leave, as text and back: of its type to the letter, or nothing at all."""

import json
from typing import Any

import pytest

from agent.checks.counting import Moment
from agent.checks.cpu import Cpu
from agent.checks.interfaces import Interfaces, _Counted
from agent.checks.interfaces import _Memory as Walked
from agent.checks.log import Log
from agent.checks.recalling import MOST_BYTES, Kept
from agent.checks.snmp import Snmp
from agent.checks.snmp import _Memory as Asked
from agent.transports.snmp import ber
from agent.transports.snmp.session import Access

ACCESS = Access(address="192.0.2.1", community="hush-hush")
MOMENT = Moment(ticks=4_294_967_295, at_ns=123_456_789_012_345)
ASKED = Asked(
    access=ACCESS, moment=MOMENT, identity="1.3.6.1.4.1.9",
    counters={"Gi0/1, \x1b[31m": {"in": (ber.COUNTER64, b"\xff" * 8)}, "": {"value": (ber.COUNTER32, b"\0")}},
)  # fmt: skip
COUNTED = _Counted(index=b"\x81\x01", since=12.34, counters={"in": (2**64 - 1, 2**64), "in_errors": (0, 2**32)})
WALKED = Walked(access=ACCESS, moment=MOMENT, counted={"Gi0/1": COUNTED})


def without_access(memory: Any) -> Any:
    """As it comes back."""
    return type(memory)(**{name: getattr(memory, name) for name in type(memory).__slots__ if name != "access"})


@pytest.mark.parametrize(
    ("kept", "memory", "back"),
    [
        (Log.MEMORY, (0, 0), (0, 0)),
        (Log.MEMORY, (2**64 - 1, 33_554_432), (2**64 - 1, 33_554_432)),
        (Cpu.MEMORY, (1.0, 0.0, 2.5e18), (1.0, 0.0, 2.5e18)),
        (Snmp.MEMORY, Asked(access=None), Asked(access=None)),
        (Snmp.MEMORY, ASKED, without_access(ASKED)),
        (Interfaces.MEMORY, WALKED, without_access(WALKED)),
    ],
    ids=["empty log", "huge log", "cpu", "nothing yet", "counters", "interfaces"],
)
def test_what_was_kept_comes_back_as_it_was_but_for_what_opens_doors(kept: Kept, memory: Any, back: Any) -> None:
    text = kept.dumps(memory)
    assert text is not None
    assert "hush-hush" not in text
    assert kept.loads(text) == back
    assert type(kept.loads(text)) is type(back)


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "[[]]", "[[1]]", "[[1,2,3]]", "[[-1,0]]", "[[1,-1]]", "[[1,true]]", '[["1",2]]', "[[1,2.5]]",
        '[["$(reboot)",0]]', "[[1,2],3]", '{"0":[1,2]}', "[[1,NaN]]", "[[1,2]", "\ud800", "[" * 100_000,
        "[[1," + "9" * 10_000 + "]]",
    ],
)  # fmt: skip
def test_a_position_in_a_log_goes_into_a_script_and_is_two_natural_numbers_or_none(text: str) -> None:
    assert Log.MEMORY.loads(text) is None


@pytest.mark.parametrize(
    ("kept", "text"),
    [
        (Cpu.MEMORY, '[[1,"2"]]'),
        (Cpu.MEMORY, "[[1,NaN]]"),
        (Cpu.MEMORY, "[[1,Infinity]]"),
        (Snmp.MEMORY, '[{"moment":{"ticks":"5","at_ns":1}}]'),
        (Snmp.MEMORY, '[{"moment":{"at_ns":1}}]'),
        (Snmp.MEMORY, '[{"counters":{"a":{"b":[65,"!!!"]}}}]'),
        (Snmp.MEMORY, '[{"counters":{"a":{"b":["65","AA=="]}}}]'),
        (Snmp.MEMORY, '[{"surprise":1}]'),
        (Interfaces.MEMORY, '[{"counted":{"a":{"index":"AA==","since":NaN,"counters":{}}}}]'),
        (Interfaces.MEMORY, '[{"counted":{"a":{"index":"AA==","since":0,"counters":{"in":[1]}}}}]'),
    ],
)
def test_counters_of_another_shape_are_none(kept: Kept, text: str) -> None:
    assert kept.loads(text) is None


def test_one_that_opens_doors_is_not_taken_from_what_was_kept() -> None:
    """Whoever can write the store may not choose where the agent sends its passwords."""
    text = Snmp.MEMORY.dumps(Asked(access=None))
    assert text is not None
    [document] = json.loads(text)
    forged = json.dumps([{**document, "access": {"address": "198.51.100.6", "port": 161, "community": "x"}}])
    assert Snmp.MEMORY.loads(forged) is None
    assert Snmp.MEMORY.loads(json.dumps([document])) == Asked(access=None)


def test_half_a_character_in_a_name_costs_one_rate() -> None:
    broken = Asked(access=None, counters={"half \ud800": {"in": (ber.COUNTER32, b"\1")}})
    back = Snmp.MEMORY.loads(Snmp.MEMORY.dumps(broken) or "")
    assert back.counters.keys() == {"half \ufffd\ufffd\ufffd"}


def test_what_is_of_another_type_or_too_much_is_not_kept() -> None:
    assert Log.MEMORY.dumps("nothing of this type") is None
    many = {f"GigabitEthernet1/0/{number}": COUNTED for number in range(4_000)}
    assert Interfaces.MEMORY.dumps(Walked(counted=many)) is None
    fits = dict(list(many.items())[:1_000])
    assert len(Interfaces.MEMORY.dumps(Walked(counted=fits)) or "") > MOST_BYTES // 4
    assert Log.MEMORY.loads(f"[[1,2]{' ' * MOST_BYTES}]") is None
