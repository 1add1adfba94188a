"""Opens an SSH connection: greeting, host key checked before anything is said, login by key; all within a deadline."""

import base64
import contextlib
import getpass
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from agent.clock import Deadline
from agent.errors import HostKeyError, OutputLimitError, TransportError
from agent.model.host import Host
from agent.transports import authorities, known_hosts, login_keys
from agent.transports.cutoff import Cutoff, cut
from agent.transports.dial import Line, dial, unread
from agent.transports.known_hosts import HostKey

FOREIGN = (paramiko.SSHException, EOFError, OSError)  # all that paramiko raises at us
_CHANNEL = "agent.transports.protocol"
_TYPES = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256",
)  # fmt: skip
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_SHOWN = 200  # characters of what another side says of itself

Way = Callable[[Host, Deadline], Line]


def straight(host: Host, deadline: Deadline) -> Line:
    """The way to a host that can be dialled from here."""
    return dial(host.address, host.port, deadline)


# paramiko logs whatever it also raises, with a stack; we translate what it raises
logging.getLogger(_CHANNEL).setLevel(logging.CRITICAL + 1)


class _Packetizer(paramiko.packet.Packetizer):
    """paramiko's packets, without a thread for each login that only looks at the clock: the cut-off does so for all."""

    def start_handshake(self, timeout: float) -> None:
        """Nobody needs to be told."""


class Transport(paramiko.Transport):
    """paramiko's connection, without its ten wake-ups a second: nothing waits for them once `hang_up` closes it.

    A thousand connections that wake up twice a minute still cost a percent of a core; the kernel's keepalive is free.
    """

    _active_check_timeout = 600.0


def connect(
    host: Host, pins: Path, deadline: Deadline, cutoff: Cutoff, *, password: str | None = None, way: Way = straight
) -> Transport:
    """A connection to the host's proven self, logged in; or a TransportError (HostKeyError when it is not).

    With a password, that alone is shown: devices count every key as a failed login.
    """
    with _greeted(host, deadline, cutoff, _first_types(pins, host), way) as transport:
        verify(transport, pins, host, deadline.clock.now())
        if password is None:
            _log_in(transport, host, deadline)
        else:
            _say_password(transport, host, password)
        transport.auth_handler = None  # nobody asks it any more, and those of a thousand hosts weigh megabytes
    return transport


def host_key_of(host: Host, deadline: Deadline, cutoff: Cutoff, way: Way = straight) -> HostKey:
    """The key that a host shows, without logging in there."""
    with _greeted(host, deadline, cutoff, (), way) as transport:
        key = shown_key(transport)
    hang_up(transport)
    return key


def shown_key(transport: paramiko.Transport) -> HostKey:
    """The key by which the host proved itself."""
    key = transport.get_remote_server_key()
    return HostKey(type=key.get_name(), base64=key.get_base64())


def verify(transport: paramiko.Transport, pins: Path, host: Host, now_us: int) -> None:
    """HostKeyError unless who answers is the host: by a pinned key, or by the certificate of an authority."""
    shown = shown_key(transport)
    if shown in authorities.revoked(pins, host):
        raise HostKeyError(
            f"the host key of {host.address} port {host.port} is revoked: {shown}; nothing is done on this host",
            hint="give the host a new key; somebody may stand in between",
        )
    if shown in known_hosts.pinned(pins, host):
        return
    certificate = _certificate_of(transport)
    if certificate is None or not authorities.authorities(pins, host):
        known_hosts.verify(pins, host, shown)
    elif why := authorities.fault(certificate, pins, host, now_us):
        raise HostKeyError(
            f"{host.address} port {host.port} shows the host key {shown}, but {why}; nothing is done on this host",
            hint=f"see its certificate on the host: ssh-keygen -Lf; or pin its key: watchkeeper host trust {host.name}",
        )


def _certificate_of(transport: paramiko.Transport) -> HostKey | None:
    blob = getattr(transport.get_remote_server_key(), "public_blob", None)
    return blob and HostKey(type=blob.key_type, base64=base64.b64encode(blob.key_blob).decode())


def hang_up(transport: paramiko.Transport) -> None:
    """Close a connection and end its thread, whatever state they are in."""
    connection = socket_of(transport)
    # wakes its thread; closing alone would leave that one waiting
    cut(connection, abruptly=connection.allowance.is_flooded)
    transport.close()
    connection.close()  # close() does nothing on a connection that failed by itself
    if transport.is_alive():
        transport.join(5.0)


@contextlib.contextmanager
def _greeted(host: Host, deadline: Deadline, cutoff: Cutoff, first: Sequence[str], way: Way) -> Iterator[Transport]:
    connection = way(host, deadline)
    transport = Transport(connection, packetizer_class=_Packetizer)  # type: ignore[arg-type]  # all it asks of a socket
    with cutoff.watching(connection, deadline):
        try:
            _greet(transport, first)
            yield transport
        except FOREIGN as error:
            hang_up(transport)
            raise _failure(host, deadline, error, is_flooded=connection.allowance.is_flooded) from error
        except BaseException:
            hang_up(transport)
            raise


def _first_types(pins: Path, host: Host) -> list[str]:
    """The types of key that we can check, for the host to show one of these: certificates, then what is pinned."""
    known = [
        name for key in known_hosts.pinned(pins, host) for name in (_RSA if key.type == "ssh-rsa" else (key.type,))
    ]
    certified = [f"{name}{authorities.CERTIFIED}" for name in _TYPES] if authorities.authorities(pins, host) else []
    return [*certified, *known]


def _greet(transport: Transport, first: Sequence[str]) -> None:
    transport.set_log_channel(_CHANNEL)
    # the cut-off keeps the time, on a better clock
    transport.banner_timeout = transport.auth_timeout = 3600
    security = transport.get_security_options()
    usual = security.key_types
    able = [name for name in first if name.removesuffix(authorities.CERTIFIED) in usual]
    security.key_types = tuple(dict.fromkeys([*able, *usual]))
    # AES-GCM needs no separate MAC: a poll costs us a tenth less than by AES-CTR, which paramiko would propose first
    security.ciphers = tuple(sorted(security.ciphers, key=lambda name: "-gcm@" not in name))
    transport.start_client()


def _failure(host: Host, deadline: Deadline, error: BaseException, *, is_flooded: bool) -> TransportError:
    where = f"{host.address} port {host.port}"
    if is_flooded:
        return OutputLimitError(f"{where} sent more than an SSH login takes", hint="is it an SSH server at all?")
    if deadline.is_over():
        return TransportError(f"{where} did not finish the SSH login in time", hint=f"try: ssh -v {host.address}")
    if isinstance(error, IncompatiblePeer):
        return TransportError(f"{where} offers no algorithm that we accept: {words(error)}", hint="update its sshd")
    reason = words(error) or "it closed the connection"
    return TransportError(f"{where} broke off the SSH login: {reason}", hint=f"try: ssh -v {host.address}")


def words(said: object) -> str:
    """What may be a host's own words as part of a message: one line, not too long, and nothing in it but letters."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(said)[:_SHOWN])
    return " ".join(text.split())


def _say_password(transport: Transport, host: Host, password: str) -> None:
    user = host.user or getpass.getuser()
    try:
        further = transport.auth_password(user, password)  # or by keyboard-interactive, if that is what it takes
    except paramiko.AuthenticationException as error:
        if not transport.is_active():
            raise
        further = [words(error) or "another password"]
    if further:
        raise TransportError(
            f"{host.address} port {host.port} does not let {user} in by password",
            hint="are ansible_user and ansible_password right?",
        )


def _log_in(transport: Transport, host: Host, deadline: Deadline) -> None:
    user = host.user or getpass.getuser()
    tried: list[str] = []
    with contextlib.closing(login_keys.UserAgent(deadline, tried)) as agent:
        for name, key in itertools.islice(login_keys.offered(host, agent, tried), login_keys.MOST_KEYS):
            try:
                further = transport.auth_publickey(user, key)
            except paramiko.AuthenticationException:
                if not transport.is_active() or deadline.is_over():
                    raise
                tried.append(f"{name} was refused")
            else:
                if not further:
                    return
                tried.append(f"{name} is not enough, it asks for {words(' or '.join(further))} as well")
    raise TransportError(
        f"{host.address} port {host.port} does not let {user} in: {'; '.join(tried) or 'there is no key to show'}",
        hint=f"add the public key to ~{user}/.ssh/authorized_keys there, or set ansible_ssh_private_key_file"
        + unread(),
    )


def socket_of(transport: paramiko.Transport) -> Line:
    """The line under a connection."""
    return transport.sock  # type: ignore[return-value]  # we gave it one
