"""check: port — does something listen on a port of the host?

The kernel's tables of sockets (proc_net(5): tcp, tcp6, udp, udp6), so no connection is made and no privilege is needed.
Critical unless something listens there; with `address`, unless it can be reached there: bound to that very address, or
to all. `addresses` are those it is bound to: `crit: {addresses: not 127.0.0.1}` tells when it opens to the world. An
IPv6 socket bound to all addresses takes IPv4 too, unless its program asked otherwise (ipv6(7): IPV6_V6ONLY).
"""

import ipaddress
import re
import struct
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, field_validator

from agent.checks import check
from agent.checks.reading import one_line, told
from agent.closed import ClosedModel, Port, Text
from agent.model.check import RunFrom
from agent.model.look import Look, Section, Unit, Verdict

_PRINTED = re.compile(r"^([0-9A-F]{8}|[0-9A-F]{32}):[0-9A-F]{4}$", re.MULTILINE)
_STATES = {
    "tcp": "0A",
    "udp": "07",
}  # LISTEN; CLOSE, which is what a UDP socket without a peer is in (net/tcp_states.h)
_MOST = 20  # addresses named; more sockets than that share a port only by SO_REUSEPORT, on the same address


class PortOptions(ClosedModel):
    """Which port, of which protocol, on which address."""

    port: Port = Field(description="The port")
    protocol: Text = Field(default="tcp", description="tcp or udp")
    address: Text | None = Field(default=None, description="Address on which it must be reachable; left out: any")

    @field_validator("protocol")
    @classmethod
    def _is_protocol(cls, protocol: str) -> str:
        if protocol not in _STATES:
            raise ValueError(f"{protocol!r} is not tcp or udp")
        return protocol

    @field_validator("address")
    @classmethod
    def _is_address(cls, address: str | None) -> str | None:
        return address if address is None else str(ipaddress.ip_address(address))


@check("port")
class ListeningPort:
    """All sockets that listen on one port, as one."""

    OPTIONS: ClassVar = PortOptions
    SHORT: ClassVar = "port"
    METRICS: ClassVar[Mapping[str, Unit]] = {"listening": Unit.TEXT, "addresses": Unit.TEXT}
    RUN_FROM: ClassVar = RunFrom.HOST
    INSTANCES: ClassVar = False

    @staticmethod
    def script(options: PortOptions) -> str:
        """The local addresses of the sockets on that port; of TCP the kernel lists those that listen first."""
        end = f":{options.port:04X}"
        state = _STATES[options.protocol]
        others = "NR > 1 { exit }" if options.protocol == "tcp" else ""
        program = f'$4 == "{state}" {{ if (substr($2, length($2) - 4) == "{end}") print $2; next }} {others}'
        four, six = f"/proc/net/{options.protocol}", f"/proc/net/{options.protocol}6"
        read = f"awk '{program}'"
        return (
            f"{{ {read} {four} && {{ [ ! -r {six} ] || {read} {six}; }} && echo all was read; }} 2>&1 | tail -n 500\n"
        )

    @staticmethod
    def read(section: Section, options: PortOptions) -> Look:
        """The addresses, if any."""
        if section.timed_out or not section.text.endswith("all was read\n"):
            words = "no answer in time" if section.timed_out else one_line(section.text) or "nothing was printed"
            return told(Verdict.UNKNOWN, f"no table of sockets: {words}", evidence=section.text)
        found = sorted({_address(digits) for digits in _PRINTED.findall(section.text)})
        name = f"port {options.port}/{options.protocol}"
        addresses = " ".join(found[:_MOST])
        metrics = {"listening": "up", "addresses": addresses}
        if not found:
            return told(Verdict.CRITICAL, f"{name}: nothing listens", metrics={"listening": "down"})
        if options.address is not None and not _covers(found, options.address):
            summary = f"{name}: listens on {addresses} alone, not on {options.address}"
            return told(Verdict.CRITICAL, summary, metrics=metrics)
        return told(Verdict.OK, f"{name}: listens on {addresses}", metrics=metrics)


def _address(digits: str) -> str:
    """Words of 32 bits, each in the byte order of the machine that prints them: little-endian on all that we look at."""
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    address = ipaddress.ip_address(struct.pack(f"<{len(words)}I", *words))
    return str((address.version == 6 and address.ipv4_mapped) or address)


def _covers(found: list[str], address: str) -> bool:
    everywhere = {"::"} if ":" in address else {"0.0.0.0", "::"}  # noqa: S104  # looked for, never bound to
    return address in found or bool(everywhere & set(found))
