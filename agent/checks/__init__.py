"""One file per probe. A probe has one of four shapes, and never retries, connects to a host's shell, or waits.

`HostCheck` prints a POSIX-sh script and reads what it printed, `DeviceCheck` the command of a network device;
`LocalCheck` looks in a thread, at this machine; `AgentCheck` is a coroutine over the network. One class may offer two.
A sick host is a verdict; a broken check is an exception (which becomes `unknown`).

A probe may have none of them and set REFERS instead, the option that names another check: the runtime makes its looks
out of the states of that check.

A probe that compares with its last look leaves a `memory` in it. An AgentCheck finds it in the next target; the other
shapes set RECALLS and get it as one more argument of `script`, `read` and `look`. MEMORY says of what type it is, and
whether it lasts: so it outlives a restart (see `recalling`).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar

from agent.clock import Deadline
from agent.closed import ClosedModel
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit
from agent.registry import stamp

if TYPE_CHECKING:
    from agent.secrets import Secrets
    from agent.transports.snmp.hub import Hub

FAMILY = "check"
Class = TypeVar("Class", bound=type)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Whom an agent's look is about: the host's name and address, both None with `hosts: none`.

    `variables` are the host's own of the inventory, `memory` is what the last look at the same thing left; `secrets`
    and `snmp` are what the agent has to ask with.
    """

    host: str | None
    address: str | None
    variables: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    memory: Any = dataclasses.field(default=None, compare=False, repr=False)
    secrets: "Secrets | None" = None
    snmp: "Hub | None" = None


class Probe(Protocol):
    """What every probe class carries.

    OPTIONS is the model of what stands behind its name in YAML; SHORT the field that a bare value fills
    (`systemd: nginx.service`), None when there is no short form, "" when nothing is needed (`memory:`).
    METRICS maps each metric to its unit; None means open: names and units are known only after a look.
    """

    OPTIONS: ClassVar[type[ClosedModel]]
    SHORT: ClassVar[str | None]
    METRICS: ClassVar[Mapping[str, Unit] | None]
    RUN_FROM: ClassVar[RunFrom]
    INSTANCES: ClassVar[bool]


class HostCheck(Probe, Protocol):
    """A look through a host's shell: many of them share one round trip."""

    @staticmethod
    def script(options: ClosedModel, /) -> str:
        """POSIX sh that only reads; every value from a policy goes through `shlex.quote`."""

    @staticmethod
    def read(section: Section, options: ClosedModel, /) -> Look:
        """Pure: what the script printed, as a look."""


class DeviceCheck(Probe, Protocol):
    """A look through a network device's command line; `read` runs in a thread."""

    @staticmethod
    def command(options: ClosedModel, /) -> str:
        """One line that only looks."""

    @staticmethod
    def read(section: Section, options: ClosedModel, platform: str, /) -> Look:
        """What the device printed, as a look; the platform is netmiko's name for it."""


class LocalCheck(Probe, Protocol):
    """A look at this machine, in a thread."""

    @staticmethod
    def look(options: ClosedModel, /) -> Look:
        """Look now; may block for as long as the check's timeout."""


class AgentCheck(Probe, Protocol):
    """A look from the agent over the network."""

    @staticmethod
    async def reach(target: Target, options: ClosedModel, deadline: Deadline, /) -> Look:
        """Look now; a refused port is a verdict, a broken check an exception; over by the deadline."""


def is_instant(probe: type) -> bool:
    """Whether it only asks the kernel for what it has in memory.

    A thread would cost more than its `look`; its `script` prints little and ends at once, and is not watched.
    """
    return bool(getattr(probe, "INSTANT", False))


def recalls(probe: type) -> bool:
    """Whether the functions of a probe class take the memory of its last look as one more argument."""
    return bool(getattr(probe, "RECALLS", False))


def refers(probe: type) -> str | None:
    """The option of a probe class that names the check whose states are all it looks at; None for all others."""
    option: str | None = getattr(probe, "REFERS", None)
    return option


Shape = Literal["script", "command", "look", "reach"]


def offers(probe: type, shape: Shape) -> bool:
    """Whether a probe class has this shape: `script` (HostCheck), `command` (DeviceCheck), `look` (LocalCheck), `reach` (AgentCheck)."""
    return hasattr(probe, shape)


def check(name: str) -> Callable[[Class], Class]:
    """Stamp a class as the probe of this name."""
    return stamp(FAMILY, name)
