"""Kept sessions on the command lines of network devices, by netmiko; time and bytes are ours to bound, and host keys.

netmiko knows prompts and pagers. It is given a connection that is logged in already, and reads through a channel that
ends it: its own limits are measured on the wall clock, and it does not notice that a connection is gone.
"""

import codecs
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import paramiko

from agent.clock import Clock, Deadline
from agent.closed import SecretRef
from agent.errors import InputError, OutputLimitError, ToolError, TransportError
from agent.model.host import Host
from agent.model.look import Section
from agent.transports import login
from agent.transports.dial import LOGIN_BYTES
from agent.transports.framing import TIMED_OUT, TOO_MUCH
from agent.transports.shell import EndedError
from agent.transports.ssh import Scripts, SshPool

if TYPE_CHECKING:
    from netmiko import BaseConnection

MOST_BYTES = 1_000_000  # of one command: a full configuration, not a full routing table
_WINDOW = 262_144
_NEVER_SECONDS = 86_400.0  # netmiko's own time-outs, on the wall clock: ours comes first
_EXTRA = "pip install 'watchkeeper[network]'"
# The last part of ansible_network_os, where netmiko has another name for it.
_PLATFORMS: Mapping[str, str] = MappingProxyType({
    "ios": "cisco_ios", "iosxr": "cisco_xr", "nxos": "cisco_nxos", "asa": "cisco_asa", "junos": "juniper_junos",
    "eos": "arista_eos", "vyos": "vyos", "frr": "cisco_ios", "ce": "huawei", "vrp": "huawei", "routeros": "mikrotik_routeros",
    "fortios": "fortinet", "panos": "paloalto_panos", "comware": "hp_comware", "aoscx": "aruba_aoscx", "exos": "extreme_exos",
    "edgeos": "ubiquiti_edgerouter", "os10": "dell_os10", "dellos10": "dell_os10", "sros": "nokia_sros", "slxos": "extreme_slx",
})  # fmt: skip


def platform(host: Host) -> str:
    """Netmiko's name for what runs on a device; InputError when the inventory does not say."""
    named = str(host.variables.get("ansible_network_os") or "")
    short = named.rpartition(".")[2]
    if not re.fullmatch(r"[a-z0-9_]{1,40}", short):
        raise InputError(
            f"{host.name}: ansible_network_os is not set", hint="set it in the inventory, such as cisco.ios.ios"
        )
    return driver_of(short)


def driver_of(network_os: str) -> str:
    """Netmiko's name for what the inventory calls `ansible_network_os`."""
    short = network_os.rpartition(".")[2]
    return _PLATFORMS.get(short, short)


def device_pool(
    known_hosts: Path, clock: Clock, reveal: Callable[[SecretRef], str], *, most_bytes: int = MOST_BYTES
) -> SshPool:
    """Kept sessions on devices: as the kept shells of servers, under the same pins. `reveal` resolves a secret.

    One command may print `most_bytes`.
    """

    def variable(host: Host, *names: str) -> str | None:
        value = next((host.variables[name] for name in names if host.variables.get(name) not in (None, "")), None)
        if isinstance(value, Mapping) and set(value) == {"secret"}:
            return reveal(SecretRef(secret=str(value["secret"])))
        return None if value is None else str(value)

    def opened(host: Host, transport: login.Transport, deadline: Deadline) -> CommandLine:
        enable = variable(host, "ansible_become_password", "ansible_become_pass") if host.become else None
        return CommandLine.open(host, transport, deadline, enable=enable, most_bytes=most_bytes)

    return SshPool(
        known_hosts,
        clock,
        open_session=opened,
        password=lambda host: variable(host, "ansible_password", "ansible_ssh_pass"),
    )


class _Bounded:
    """What netmiko reads from and writes to: ends it when time is up, too much came, or nobody is there any more."""

    def __init__(self, channel: paramiko.Channel, deadline: Deadline, most_bytes: int) -> None:
        self._channel = channel
        self._letters = codecs.getincrementaldecoder("utf-8")("replace")  # a letter may come in two pieces
        self.deadline = deadline
        self.heard = 0
        self.most_bytes = most_bytes

    def write_channel(self, out_data: str) -> None:
        """Send."""
        self._channel.sendall(out_data.encode("utf-8", "replace"))

    def read_buffer(self) -> str:
        """What has come, at once."""
        if self.deadline.is_over():
            raise TimeoutError
        if not self._channel.recv_ready():
            if self._channel.closed or self._channel.eof_received:
                raise EOFError
            return ""
        data = self._channel.recv(65_536)
        self.heard += len(data)
        if self.heard > self.most_bytes:
            raise OutputLimitError(f"more than {self.most_bytes:,} bytes")
        return self._letters.decode(data)

    def read_channel(self) -> str:
        """What has come, all of it."""
        pieces = []
        while piece := self.read_buffer():
            pieces.append(piece)
        return "".join(pieces)


class CommandLine:
    """One session on a device. Not for two threads at once."""

    def __init__(self, transport: login.Transport, netmiko: "BaseConnection", bounded: _Bounded, where: str) -> None:
        self.transport = transport
        self._netmiko = netmiko
        self._bounded = bounded
        self._where = where

    @classmethod
    def open(
        cls,
        host: Host,
        transport: login.Transport,
        deadline: Deadline,
        *,
        enable: str | None,
        most_bytes: int = MOST_BYTES,
    ) -> Self:
        """Start a session on a connection that is logged in; the caller closes it on an error."""
        where = f"{host.address} port {host.port}"
        connection = _driver(host, enable or "")
        login.socket_of(transport).allowance.renew(_WINDOW + LOGIN_BYTES)
        try:
            channel = transport.open_session(window_size=_WINDOW)
            channel.get_pty(term="vt100", width=511, height=1000)
            channel.invoke_shell()
            bounded = _Bounded(channel, deadline, most_bytes)

            def establish(*_args: Any, **_settings: Any) -> None:
                connection.remote_conn_pre = None
                connection.remote_conn = channel
                connection.channel = bounded  # type: ignore[assignment]  # it is one by what it does
                connection.special_login_handler()

            connection.establish_connection = establish  # type: ignore[method-assign]  # we have logged in ourselves
            connection._open()  # noqa: SLF001  # a test sees to it that the member exists
            if enable is not None:
                connection.enable()
        except _foreign() as error:
            raise _broken(where, error, deadline, "let us in, but shows no prompt that we know") from error
        return cls(transport, connection, bounded, where)

    def ask(self, scripts: Scripts, deadline: Deadline) -> list[Section]:
        """Each command, one after the other; one section each.

        After one that does not end, the rest is not asked, and their sections hold that command. One that
        prints too much is the last, and the session is over then: the rest is for another one.
        """
        sections: list[Section] = []
        for command, seconds in scripts:
            soon = min(deadline, Deadline.after(deadline.clock, seconds), key=lambda one: one.at_ns)
            self._bounded.deadline, self._bounded.heard = soon, 0
            login.socket_of(self.transport).allowance.renew(self._bounded.most_bytes + LOGIN_BYTES)
            try:
                sections.append(Section(text=self._say(command), exit_code=0))
            except TimeoutError:
                self.hang_up()  # what still comes would be taken for the answer to the next command
                hung = Section(text="", exit_code=TIMED_OUT, timed_out=True)
                unasked = Section(text=command, exit_code=TIMED_OUT, timed_out=True)
                return [*sections, hung, *[unasked] * (len(scripts) - len(sections) - 1)]
            except _foreign() as error:
                if isinstance(error, OutputLimitError) or login.socket_of(self.transport).allowance.is_flooded:
                    self.hang_up()
                    too_much = f"more than {self._bounded.most_bytes:,} bytes"
                    return [*sections, Section(text=too_much, exit_code=TOO_MUCH)]
                gone = isinstance(error, EOFError | OSError | paramiko.SSHException) and not self._bounded.heard
                if gone and not sections:
                    raise EndedError(f"{self._where} has closed the session", hint="it is opened again") from error
                raise _broken(self._where, error, soon, "broke off in mid-answer") from error
        return sections

    def hang_up(self) -> None:
        """End the session and its connection."""
        login.hang_up(self.transport)

    def _say(self, command: str) -> str:
        stray = self._netmiko.clear_buffer()
        if not command:
            return f"{stray}\n{self._netmiko.find_prompt()}".strip()  # what comes unasked is told with the prompt
        return str(self._netmiko.send_command(command, read_timeout=_NEVER_SECONDS))


def _driver(host: Host, secret: str) -> "BaseConnection":
    """Netmiko's driver for a device, not connected."""
    try:
        from netmiko import ConnectHandler
        from netmiko.ssh_dispatcher import CLASS_MAPPER
    except ImportError as error:
        raise ToolError(
            "netmiko is not installed: devices cannot be looked at by their command line", hint=_EXTRA
        ) from error
    name = platform(host)
    if name not in CLASS_MAPPER:
        raise InputError(
            f"{host.name}: ansible_network_os {name!r} is not known to netmiko",
            hint="such as cisco.ios.ios or arista.eos.eos",
        )
    found: BaseConnection = ConnectHandler(
        device_type=name, host=host.address, username="", secret=secret, auto_connect=False,
        read_timeout_override=_NEVER_SECONDS, session_timeout=_NEVER_SECONDS,
    )  # fmt: skip
    return found


def _foreign() -> tuple[type[Exception], ...]:
    """All that netmiko and paramiko raise at us."""
    from netmiko.exceptions import NetmikoBaseException

    return (NetmikoBaseException, ValueError, OutputLimitError, *login.FOREIGN)


def _broken(where: str, error: Exception, deadline: Deadline, what: str) -> TransportError:
    if isinstance(error, OutputLimitError):
        return OutputLimitError(f"{where} sent {error} before its prompt", hint="what runs there?")
    if isinstance(error, TimeoutError) or deadline.is_over():
        return TransportError(f"{where} did not answer in time", hint="is ansible_network_os right, is it overloaded?")
    words = login.words(str(error).strip().partition("\n")[0])
    return TransportError(f"{where} {what}{f': {words}' if words else ''}", hint="is ansible_network_os right?")
