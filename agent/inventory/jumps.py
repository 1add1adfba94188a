"""The jump hosts that an inventory's ssh arguments name: `-J [user@]host[:port][,…]` or `-o ProxyJump=…`; pure."""

import dataclasses
import getopt
import re
import shlex
from collections.abc import Mapping
from typing import Any

from agent.model.host import Connection, Host

_OPTIONS = "1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy"  # of ssh(1), OpenSSH 9
_SPEC = re.compile(
    r"(?:ssh://)?(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.@\\-]*)@)?(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]*))(?::(?P<port>[0-9]{1,5}))?/?"
)
_FOLLOWED = ("ansible_ssh_common_args", "ansible_ssh_extra_args")
_REPLACED = "ansible_ssh_args"  # plays replace it by the agent's own: a jump host in there would be forgotten


class NoWayError(ValueError):
    """The way to a host cannot be told, and why."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """One jump host as it is written."""

    host: str
    user: str | None = None
    port: int | None = None


class Table:
    """The hosts of an inventory, to look jump hosts up in: one that stands there logs in as it says there."""

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self._by_name = hosts
        self._by_place = {
            (host.address, host.port): host for host in hosts.values() if host.connection is Connection.SSH
        }

    def way_to(self, host: Host) -> tuple[Host, ...]:
        """The hosts on the way to one, in the order in which they are passed; NoWayError."""
        if host.connection is Connection.LOCAL:
            return ()
        return tuple(self._hop(spec) for spec in specs(host.variables))

    def _hop(self, spec: Spec) -> Host:
        told = self._by_name.get(spec.host) or self._by_place.get((spec.host, spec.port or 22))
        if told is None or told.connection is not Connection.SSH:
            told = Host(name=spec.host, address=spec.host, connection=Connection.SSH)
        return Host(
            name=spec.host, address=told.address, connection=Connection.SSH, port=spec.port or told.port,
            user=spec.user or told.user, key_file=told.key_file,
        )  # fmt: skip


def specs(variables: Mapping[str, Any]) -> tuple[Spec, ...]:
    """The jump hosts that the variables of a host name; NoWayError when they cannot be followed."""
    if _jump_of(_REPLACED, variables):
        raise NoWayError(f"its {_REPLACED} name a jump host; write it into ansible_ssh_common_args")
    found = [(name, text) for name in _FOLLOWED if (text := _jump_of(name, variables)) is not None]
    if len(found) > 1:
        raise NoWayError(f"both its {_FOLLOWED[0]} and its {_FOLLOWED[1]} name a jump host; write it once")
    if not found or found[0][1].lower() == "none":
        return ()
    name, text = found[0]
    return tuple(_spec(name, one) for one in text.split(","))


def _jump_of(name: str, variables: Mapping[str, Any]) -> str | None:
    """What ssh would take for the jump hosts in one variable: the first that is said counts."""
    text = str(variables.get(name) or "")
    if not text:
        return None
    try:
        options, rest = getopt.getopt(shlex.split(text), _OPTIONS)
    except (getopt.GetoptError, ValueError) as error:
        raise NoWayError(f"its {name} {text!r} are no options of ssh: {error}") from error
    if rest:
        raise NoWayError(f"its {name} {text!r} are more than options of ssh: {rest[0]!r}")
    for option, value in options:
        if option == "-J":
            return value
        word, _, told = re.sub(r"\s*=\s*|\s+", "=", value.strip(), count=1).partition("=")
        if option == "-o" and word.lower() == "proxyjump":
            return told.strip()
        if option == "-o" and word.lower() == "proxycommand" and told.strip().lower() != "none":
            raise NoWayError(f"its {name} have a ProxyCommand, which is not followed; write -J user@host:port instead")
    return None


def _spec(name: str, text: str) -> Spec:
    found = _SPEC.fullmatch(text.strip())
    port = int(found["port"]) if found and found["port"] else None
    if found is None or port == 0 or (port or 0) > 65535:
        raise NoWayError(f"its {name} name the jump host {text!r}, which is not [user@]host[:port]")
    return Spec(host=found["v6"] or found["host"], user=found["user"], port=port)
