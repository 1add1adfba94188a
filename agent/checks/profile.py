"""Which device keeps which of its health values where: the files of profiles/, chosen by sysObjectID."""

import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field

from agent.checks.reading import Pattern
from agent.closed import ClosedModel, Text
from agent.model.look import Unit
from agent.transports.snmp import ber

FOLDER = Path(__file__).with_name("profiles")
STANDARD = "standard"
Sensor = Literal["cpu", "memory", "temperature", "fans", "power", "bgp"]
METRICS: Mapping[Sensor, tuple[str, Unit]] = MappingProxyType(
    {
        "cpu": ("used", Unit.SHARE),
        "memory": ("used", Unit.SHARE),
        "temperature": ("celsius", Unit.NUMBER),
        "fans": ("state", Unit.TEXT),
        "power": ("state", Unit.TEXT),
        "bgp": ("state", Unit.TEXT),
    }
)


def _is_oid(text: str) -> str:
    ber.oid(text)
    return text


Column = Annotated[Text, AfterValidator(_is_oid)]
Number = Annotated[float, BeforeValidator(float)]
States = dict[int, Text]


class Source(ClosedModel):
    """One table, or scalar, in which a sensor is found. What has a value of `none`, or a state not listed, is left out.

    A number: `value` times `scale`, by ten to the minus `precision`. A share: of `used`, `free` (added up) and `total`
    two. A state: by the four maps of its numbers. `where`: other columns of the row, and the pattern found in each.
    """

    name: Column | None = None
    value: Column | None = None
    scale: Number = 1.0
    precision: Column | None = None
    used: Column | None = None
    free: tuple[Column, ...] = ()
    total: Column | None = None
    state: Column | None = None
    ok: States = Field(default={})
    warning: States = Field(default={})
    critical: States = Field(default={})
    where: dict[Column, Pattern] = Field(default={})
    none: tuple[int, ...] = ()

    def columns(self) -> tuple[str, ...]:
        """Every column that must be read."""
        named = (self.name, self.value, self.precision, self.used, *self.free, self.total, self.state, *self.where)
        return tuple(dict.fromkeys(column for column in named if column is not None))


class Profile(ClosedModel):
    """A family of devices: how their sysObjectIDs begin, and where their sensors are."""

    title: Text
    match: tuple[Column, ...]
    sensors: dict[Sensor, tuple[Source, ...]]


@functools.cache
def profiles() -> Mapping[str, Profile]:
    """All profiles by the names of their files."""
    files = sorted(FOLDER.glob("*.yaml"))
    return MappingProxyType({
        file.stem: Profile.model_validate(yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)) for file in files
    })  # fmt: skip


def sources(identity: str, sensor: Sensor) -> tuple[str, tuple[Source, ...]]:
    """The title of the profile for a sysObjectID, and where it finds a sensor: the longest beginning decides.

    What that profile does not name is looked for by the standards.
    """
    standard = profiles()[STANDARD]
    chosen = max(
        (
            (len(start), profile.title, profile)
            for profile in profiles().values()
            for start in profile.match
            if f"{identity}.".startswith(f"{start}.")
        ),
        key=lambda one: one[0],
        default=(0, standard.title, standard),
    )[2]
    return chosen.title, chosen.sensors.get(sensor) or standard.sensors.get(sensor, ())
