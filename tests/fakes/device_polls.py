"""Looks at simulated devices, again and again, and counts what was kept: whatever was kept must have been whole."""

import collections
import copy
import dataclasses
import random
from collections.abc import Callable, Iterator, Mapping

from agent.backups.configs import gate, reading
from agent.backups.configs.gate import Expected
from agent.backups.configs.platforms import rules_for
from agent.backups.configs.reading import Configuration, Wanted
from agent.errors import TransportError
from agent.transports.device import driver_of
from tests.fakes.odd_device import Fault, OddDevice

KEY = b"the key of a test"
HEALTHY = 0.3  # of the looks nothing goes wrong


@dataclasses.dataclass
class Count:
    """What came of the looks. `bad` names those that kept something that never was the configuration.

    `naive` counts those at which whoever keeps what a device returns would have kept such a thing.
    """

    looks: int = 0
    kept: int = 0
    refused: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    missed: int = 0  # healthy looks that were refused
    bad: list[str] = dataclasses.field(default_factory=list)
    naive: int = 0


Keep = Callable[[str, Configuration], None]


def polled(printed: Mapping[str, str], looks: int, seed: int, keep: Keep = lambda _, __: None) -> Count:
    """So many looks at one device per platform, in turn; each begins with a good one. `keep` gets what passed the gate."""
    dice, count = random.Random(seed), Count()
    polls = [_device(name, text, random.Random(dice.random()), (count, keep)) for name, text in printed.items()]
    for number in range(looks):
        next(polls[number % len(polls)])
    return count


def _device(network_os: str, text: str, dice: random.Random, found_by: tuple[Count, Keep]) -> Iterator[None]:
    count, keep = found_by
    expected = Expected(rules=rules_for(network_os, driver_of(network_os)), names=("sw1",))
    wanted = Wanted(command="show", expected=expected, hide=(), key=KEY, last="")
    device, fault = OddDevice(text, dice), Fault.NONE
    while True:
        if dice.random() < 0.3:
            device.change()
        device.begin(fault)
        count.naive += _is_naively_wrong(device, expected)
        found = _look(device, wanted)
        count.looks += 1
        if isinstance(found, Configuration):
            count.kept += 1
            keep(network_os, found)
            if found.text != gate.tidied(device.text, expected):
                count.bad.append(f"{network_os}: {fault.value}: {found.text[-60:]!r}")
            wanted = dataclasses.replace(wanted, last=found.shown)
        else:
            count.refused[fault.value] += 1
            count.missed += fault is Fault.NONE
        fault = Fault.NONE if dice.random() < HEALTHY else dice.choice(list(Fault))
        yield


def _is_naively_wrong(device: OddDevice, expected: Expected) -> bool:
    """Whether the first answer, taken as it comes, is another text than the device has."""
    same = copy.deepcopy(device)
    try:
        answer = same.run("show")
    except TransportError:
        return False
    return gate.tidied(answer, expected) != gate.tidied(same.text, expected)


def _look(device: OddDevice, wanted: Wanted) -> Configuration | str:
    try:
        return reading.read(device, wanted)
    except TransportError as error:
        return str(error)
