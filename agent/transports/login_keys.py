"""The keys and certificates that are shown at a login: the host's key file, the ssh-agent's, the user's own."""

from collections.abc import Iterator
from pathlib import Path

import paramiko
from paramiko.agent import AgentSSH, get_agent_connection
from paramiko.pkey import PublicBlob

from agent.clock import Deadline
from agent.model.host import Host
from agent.transports.authorities import CERTIFIED

MOST_KEYS = 5  # sshd closes the connection after six attempts (MaxAuthTries)
_KEY_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa")
_AGENT_SECONDS = (
    2.0  # to say what it holds; to sign with it may take as long as there is time, for a person may be asked
)


class UserAgent(paramiko.Agent):
    """The user's ssh-agent, if there is one; one that does not answer, or is locked, has no keys, and `unusable` says so."""

    def __init__(self, deadline: Deadline, unusable: list[str]) -> None:
        AgentSSH.__init__(self)  # its own would wait for an answer for ever
        connection = get_agent_connection()
        if not connection:
            return
        connection.settimeout(min(_AGENT_SECONDS, max(0.1, deadline.remaining_seconds())))
        try:
            self._connect(connection)  # type: ignore[attr-defined]  # its own first step
        except (paramiko.SSHException, OSError) as error:
            self.close()
            unusable.append(f"the ssh-agent tells of no keys ({error})")
        else:
            connection.settimeout(max(0.1, deadline.remaining_seconds()))


def offered(host: Host, agent: paramiko.Agent, unusable: list[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    """What to show a host, with names: its key file, what the ssh-agent holds, then the user's default keys.

    What cannot be used is added to `unusable`, with the reason. sshd puts up with `MOST_KEYS` attempts.
    """
    folder = Path.home() / ".ssh"
    if host.key_file:
        yield from _loaded(Path(host.key_file).expanduser(), unusable)
    yield from _held(agent)
    for file in (folder / name for name in _KEY_NAMES):
        if file.exists():
            yield from _loaded(file, unusable)


def _held(agent: paramiko.Agent) -> list[tuple[str, paramiko.PKey]]:
    """What the agent holds, certificates first."""
    keys = sorted(agent.get_keys(), key=lambda key: CERTIFIED not in key.get_name())
    for key in keys:
        if key.get_name().endswith(CERTIFIED):  # of an RSA certificate, paramiko would show the bare key
            key.public_blob = PublicBlob(key.get_name(), key.blob)  # type: ignore[assignment]  # the stubs know only None
    return [(f"the agent's {key.get_name()}", key) for key in keys[: MOST_KEYS - 2]]


def _loaded(file: Path, unusable: list[str]) -> list[tuple[str, paramiko.PKey]]:
    """A key file's key; before it with the certificate that lies beside it, as ssh offers them."""
    beside = Path(f"{file}-cert.pub")
    try:
        return [*_certified(file, beside, unusable), (str(file), _key(file))]
    except (paramiko.PasswordRequiredException, TypeError):  # cryptography says it with a TypeError
        unusable.append(f"{file} has a passphrase (load it into an ssh-agent)")
    except OSError as error:
        unusable.append(f"{file}: {error.strerror}")
    except (paramiko.SSHException, ValueError) as error:
        unusable.append(f"{file} is not a usable key: {error}")
    return []


def _certified(file: Path, beside: Path, unusable: list[str]) -> list[tuple[str, paramiko.PKey]]:
    if not beside.exists():
        return []
    key = _key(file)
    try:
        key.load_certificate(str(beside))
    except (paramiko.SSHException, ValueError, OSError) as error:
        unusable.append(f"{beside} is not a usable certificate: {error}")
        return []
    return [(str(beside), key)]


def _key(file: Path) -> paramiko.PKey:
    """The key in a file, without what lies beside it: a broken certificate must not spoil it."""
    with file.open("rb") as opened:
        return paramiko.PKey.from_path(f"/proc/self/fd/{opened.fileno()}")
